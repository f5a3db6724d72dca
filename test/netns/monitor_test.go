// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"staex/test/world"
)

// metric is the value of a sample on a page for monitors, -1 without one.
func metric(page, sample string) float64 {
	for line := range strings.Lines(page) {
		if rest, ok := strings.CutPrefix(line, sample+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				return -1
			}
			return v
		}
	}
	return -1
}

func TestAMonitorSeesWhatGoesThroughANode(t *testing.T) {
	t.Parallel()
	n := sites(t)
	w := n.w
	w.NeedPrograms("curl")
	n.node("public", "", "metrics-listen = /run/mcc/metrics.sock")
	n.node("gateway", "203.0.113.1")
	n.node("technician", "203.0.113.1", "metrics-listen = 127.0.0.1:9377")
	n.camera("gateway", "camera1")
	n.opens("http://camera1/", world.Marker1, 10*time.Second)

	page := n.page("technician", "http://127.0.0.1:9377/metrics")
	for sample, least := range map[string]float64{
		"mcc_parent_up": 1, "mcc_hops": 1, "mcc_tunnels": 1, "mcc_sessions": 1,
		`mcc_packets_total{done="sealed"}`: 3, `mcc_packets_total{done="opened"}`: 3,
		`mcc_bytes_total{direction="out",class="data"}`:      100,
		`mcc_bytes_total{direction="in",class="data"}`:       100,
		`mcc_bytes_total{direction="out",class="control"}`:   100,
		`mcc_bytes_total{direction="in",class="control"}`:    100,
		`mcc_bytes_total{direction="out",class="handshake"}`: 1000,
		`mcc_wakeups_total{of="node"}`:                       3,
		`mcc_wakeups_total{of="socket"}`:                     3,
		`mcc_wakeups_total{of="device"}`:                     3,
	} {
		if got := metric(page, sample); got < least {
			t.Errorf("%s is %v, at least %v:\n%s", sample, got, least, page)
		}
	}
	parent := `mcc_parent_info{id="` + n.ids["public"] + `",address="203.0.113.1:9376"}`
	if metric(page, parent) != 1 {
		t.Errorf("no %s:\n%s", parent, page)
	}
	// The parent is asked a few seconds after it was found, which is the first measurement.
	w.Until("the round trip is known", 20*time.Second, func() bool {
		trip := metric(n.page("technician", "http://127.0.0.1:9377/metrics"),
			"mcc_round_trip_seconds")
		return trip > 0 && trip < 1
	})
	relay := w.Host("public").Run("curl", "-sS", "--unix-socket", "/run/mcc/metrics.sock",
		"http://node/metrics")
	carried, children := metric(relay, `mcc_packets_total{done="carried"}`), metric(relay,
		"mcc_children")
	if carried < 6 || children != 2 {
		t.Errorf("the relay says\n%s", relay)
	}
	// A packet that no tunnel allows has its counter.
	w.Host("technician").Try("ping", "-c1", "-W1", w.Host("technician").MCC("resolve",
		n.ids["gateway"]))
	page = n.page("technician", "http://127.0.0.1:9377/metrics")
	if metric(page, `mcc_drops_total{reason="no-tunnel"}`) < 1 {
		t.Errorf("no packet was dropped:\n%s", page)
	}
	if r := w.Host("technician").Try("curl", "-sS", "http://10.20.0.2:9377/metrics"); r.OK() {
		t.Error("the metrics are served at another address than the configured one")
	}
}
