// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import "testing"

// TestADisabledTunnelIsCutAtOnceAndItsNeighbourFlowsOn switches one of two tunnels while both carry
// a transfer. What arrives after mcc has returned was under way already.
func TestADisabledTunnelIsCutAtOnceAndItsNeighbourFlowsOn(t *testing.T) {
	t.Parallel()
	n := story(t)
	n.external("recorder", "tcp:8000")
	n.regular("files", "tcp:8001")
	cut := n.transfer("recorder", "camera", "8000", n.address("technician", "recorder").String())
	other := n.transfer("files", "gateway", "8001", n.address("technician", "files").String())
	const underWay = 2 * pieceSize
	for _, end := range []string{"gateway", "technician"} {
		other.longest()
		n.w.Host(end).MCC("disable-tunnel", "recorder")
		then := cut.got.Load()
		for range 8 { // far more than a second's share of the one that was cut
			other.flows("beside a disabled tunnel")
		}
		if more := cut.got.Load() - then; more > underWay {
			t.Errorf("disabled at the %s, %d more bytes arrived", end, more)
		}
		rest := cut.got.Load()
		other.flows("on")
		if more := cut.got.Load() - rest; more > 0 {
			t.Errorf("disabled at the %s, bytes still trickle: %d", end, more)
		}
		n.w.Host(end).MCC("enable-tunnel", "recorder")
		cut.flows("after it was enabled at the " + end)
		t.Logf("%s: the other tunnel's longest gap was %v", end, other.longest())
	}
	cut.finish()
	other.finish()
}
