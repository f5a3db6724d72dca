// SPDX-License-Identifier: Apache-2.0

//go:build linux

package daemon_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestAMonitorReadsTheCountersFromASocketFile(t *testing.T) {
	needDevices(t)
	n := newNetwork(t)
	root := newSite(t, n, append(alone(1), "metrics-listen = ./metrics.sock")...)
	r := root.start(t)
	leaf := newSite(t, n, append(alone(2), "parents = 127.0.0.1:9401")...).start(t)
	client := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", root.path("metrics.sock"))
		},
	}}
	var page string
	until(t, "the monitor sees the child", func() bool {
		answer, err := client.Get("http://node/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		page = string(text)
		return strings.Contains(page, "\nmcc_children 1\n")
	})
	for _, want := range []string{"mcc_parent_up 1\n", `id="` + root.id.String() + `"`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in\n%s", want, page)
		}
	}
	if strings.Contains(page, `mcc_bytes_total{direction="in",class="handshake"} 0`+"\n") {
		t.Errorf("a child without a handshake:\n%s", page)
	}
	leaf.end(t)
	r.end(t)
	if _, err := net.Dial("unix", root.path("metrics.sock")); err == nil {
		t.Error("the socket is still there")
	}
}
