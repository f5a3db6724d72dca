// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"testing"

	"staex/internal/overlay/flow"
)

func TestThePacketsOfAFlowGoToOneQueueAndFlowsToSeveral(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		packet := func(port byte, payload int) []byte {
			b := make([]byte, flow.OffloadSize+40+20+payload)
			p := b[flow.OffloadSize:]
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
			queue := flow.Spread(packet(port, 0)) % 4
			seen[queue] = true
			if other := flow.Spread(packet(port, 77)) % 4; other != queue {
				t.Errorf("packets of port %d go to queues %d and %d", port, queue, other)
			}
		}
		if len(seen) != 4 {
			t.Errorf("eight flows use %d of 4 queues", len(seen))
		}
	}
	for n := range 80 { // whatever a device is given has a queue
		b := make([]byte, n)
		flow.Spread(b)
		if n > flow.OffloadSize {
			b[flow.OffloadSize] = 0x60
			flow.Spread(b)
		}
	}
}
