// SPDX-License-Identifier: Apache-2.0

//go:build linux

package daemon_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// monitor fetches pages from the socket file of a site.
func monitor(s *site) func(t *testing.T) string {
	client := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", s.path("metrics.sock"))
		},
	}}
	return func(t *testing.T) string {
		t.Helper()
		answer, err := client.Get("http://node/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

func TestAMonitorReadsTheCountersFromASocketFile(t *testing.T) {
	needDevices(t)
	n := newNetwork(t)
	root := newSite(t, n, append(alone(1), "metrics-listen = ./metrics.sock")...)
	r := root.start(t)
	leaf := newSite(t, n, append(alone(2), "parents = 127.0.0.1:9401")...).start(t)
	look := monitor(root)
	var page string
	until(t, "the monitor sees the child", func() bool {
		page = look(t)
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

func TestAnIdleRootIsWokenByWhoAsksAndByNothingElse(t *testing.T) {
	needDevices(t)
	s := newSite(t, newNetwork(t), append(alone(1), "metrics-listen = ./metrics.sock")...)
	r := s.start(t)
	look := monitor(s)
	wakes := func() (sum int) {
		for _, m := range regexp.MustCompile(`(?m)^mcc_wakeups_total\{of="(node|socket)"\} (\d+)$`).
			FindAllStringSubmatch(look(t), -1) {
			n, err := strconv.Atoi(m[2])
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
		return sum
	}
	// What the start left to do comes to its end.
	last := wakes()
	until(t, "the root sleeps", func() bool {
		before := last
		last = wakes()
		return last == before+1
	})
	first, times := wakes(), 0
	until(t, "a while has passed", func() bool {
		times++
		last = wakes()
		return times == 100
	})
	if last != first+times {
		t.Errorf("asked %d times, the node woke %d times", times, last-first)
	}
	r.end(t)
}
