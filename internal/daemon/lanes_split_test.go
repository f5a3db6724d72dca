// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"testing"

	"staex/internal/host/tun"
)

func TestOnlyMachinesWithProcessorsToSpareHaveSeveralLanes(t *testing.T) {
	for _, c := range []struct {
		profile string
		procs   int
		want    int
	}{
		{"normal", 1, 1},
		{"normal", 2, 1},
		{"normal", 3, 1},
		{"normal", 4, 2},
		{"relay", 8, 4},
		{"relay", 128, 4},
		{"small", 8, 1},
	} {
		p := profileOf(c.profile, 0)
		if got := p.lanes(c.procs); got != c.want {
			t.Errorf("%s with %d processors has %d lanes, want %d", c.profile, c.procs, got, c.want)
		}
	}
}

func TestThePacketsOfAFlowGoToOneQueueAndFlowsToSeveral(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		packet := func(port byte, payload int) []byte {
			b := make([]byte, tun.HeaderSize+40+20+payload)
			p := b[tun.HeaderSize:]
			p[0], p[15], p[19], p[23] = 0x45, 1, 2, port
			if v6 {
				p[0], p[19], p[23], p[39], p[43] = 0x60, 0, 1, 2, port
			}
			p[5] = byte(payload) // no part of the flow, nor is the sequence number of TCP
			p[len(p)-payload-1] = byte(payload)
			return b
		}
		seen := map[uint]bool{}
		for port := range byte(8) {
			queue := flowOf(packet(port, 0)) % 4
			seen[queue] = true
			if other := flowOf(packet(port, 77)) % 4; other != queue {
				t.Errorf("packets of port %d go to queues %d and %d", port, queue, other)
			}
		}
		if len(seen) != 4 {
			t.Errorf("eight flows use %d of 4 queues", len(seen))
		}
	}
	for n := range 80 { // whatever a device is given has a queue
		b := make([]byte, n)
		flowOf(b)
		if n > tun.HeaderSize {
			b[tun.HeaderSize] = 0x60
			flowOf(b)
		}
	}
}
