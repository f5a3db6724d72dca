// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"testing"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
)

func TestCongestionMarksAndServiceClassesArriveAsTheyWereSent(t *testing.T) {
	r := newRig()
	for _, v6 := range []bool{false, true} {
		for ecn := range uint8(4) {
			for _, dscp := range []uint8{0, 10, 46} {
				stream, single := tcp(v6, flow.FlagACK), flow.Compact{Kind: flow.KindUDP, V6: v6}
				for port, c := range map[uint16]flow.Compact{80: stream, 161: single} {
					c.ECN, c.DSCP = ecn, dscp
					p := packet(c, request(v6, port), make([]byte, 100), 0)
					got := r.send(t, r.client, r.server, p)
					var v flow.View
					if len(got) != 1 || v.Parse(got[0][flow.OffloadSize:]) != drop.None {
						t.Fatalf("IPv6 %v, port %d: %d packets arrived", v6, port, len(got))
					}
					if v.ECN != ecn || v.DSCP != dscp {
						t.Errorf("IPv6 %v, port %d: ECN %d and DSCP %d arrived as %d and %d", v6,
							port, ecn, dscp, v.ECN, v.DSCP)
					}
				}
			}
		}
	}
}
