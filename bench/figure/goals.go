// SPDX-License-Identifier: Apache-2.0

package figure

import "strings"

// Goal is a promise that the figures can keep or break.
type Goal struct {
	What string
	Key  Key
	// To is the peer and the line that the value is divided by; empty: the value itself counts.
	To Key
	// Least and Most bound the median; 0 means no bound on that side.
	Least, Most float64
	// Account is as in Column.
	Account bool
}

// Verdict is what became of a goal.
type Verdict struct {
	Goal
	Found Spread
	Met   bool
}

// Judge holds the goals to the figures. Those of which nothing was measured are left out.
func (r *Report) Judge(goals []Goal) []Verdict {
	var all []Verdict
	for _, g := range goals {
		var found Spread
		if g.To == (Key{}) {
			found = r.Cell(g.Key, g.Account)
		} else {
			found = r.Ratio(g.Key, g.To)
		}
		if found.Count == 0 {
			continue
		}
		met := found.Median >= g.Least && (g.Most == 0 || found.Median <= g.Most)
		all = append(all, Verdict{Goal: g, Found: found, Met: met})
	}
	return all
}

// Decides says whether a peer's figures of a test on a line decide a goal: its own do, and so do
// those of the reference and of all that is ours where a goal stands.
func Decides(line, test, peer string) bool {
	for _, g := range Goals() {
		for _, k := range []Key{g.Key, g.To} {
			if k.Line == line && k.Test == test &&
				(k.Peer == peer || peer == wireguard || strings.HasPrefix(peer, us)) {
				return true
			}
		}
	}
	return false
}

// us, us1420 and the others are names of peers.
const (
	us, us1420 = "staex", "staex-1420"
	wireguard  = "wireguard-go"
	tinc       = "tinc"
	bound      = "bound"
)

// times makes a goal of a ratio to another peer on the same line.
func times(what, line, test, peer, value, other string, least, most float64) Goal {
	return Goal{
		What: what + ", × " + other,
		Key:  Key{line, test, peer, value}, To: Key{line, test, other, value},
		Least: least, Most: most,
	}
}

// atMost makes a goal of a bound on our own value.
func atMost(what, line, test, value string, most float64, account bool) Goal {
	return Goal{
		What: what, Key: Key{line, test, us, value}, Most: most, Account: account,
	}
}

// Goals are what this network wants to be on one machine with others.
func Goals() []Goal {
	goals := []Goal{
		times("direct TCP, MTU 1420", "direct", "tcp1", us1420, Gbps, wireguard, 2, 0),
		times("direct TCP, our defaults", "direct", "tcp1", us, Gbps, wireguard, 2, 0),
		times("direct TCP, MTU 1420", "direct", "tcp1", us1420, Gbps, bound, 0.9, 0),
		times("direct TCP, 4 streams", "direct", "tcp4", us1420, Gbps, wireguard, 2, 0),
		times("direct TCP, 4 streams", "direct", "tcp4", us1420, Gbps, bound, 0.9, 0),
		times("TCP without segmentation offload", "plain", "tcp1", us1420, Gbps,
			wireguard, 1.8, 0),
		times("processor per GB, both ends", "direct", "tcp1", us1420, Ends,
			wireguard, 0, 0.43),
		times("TCP over one relay", "relay", "tcp1", us, Gbps, wireguard, 3, 0),
		atMost("the relay, s/GB", "relay", "tcp1", Relays, 0.40, true),
		times("the relay, s/GB", "relay", "tcp1", us, Relays, bound, 0, 1.1),
		atMost("64 bytes at 20,000/s, both ends, µs", "direct", "paced64", Ends, 9, true),
		atMost("64 bytes in a flood, both ends, µs", "direct", "udp64", Ends, 5, true),
		times("64 bytes delivered", "direct", "udp64", us, Packets, wireguard, 3, 0),
		atMost("the relay, 64 bytes singly, µs", "relay", "paced64", Relays, 4, true),
		atMost("the relay, saturated, s/GB", "relay", "queue1200", Relays, 0.20, true),
		times("the relay, saturated, s/GB", "relay", "queue1200", us, Relays, bound, 0, 1.1),
		atMost("the relay, 64 bytes in batches of 16 and more, µs", "relay", "queue64", Relays,
			0.3, true),
		atMost("the relay, 64 bytes in batches of 8, µs", "relay", "queue8", Relays, 1, true),
		times("round trip", "direct", "rtt", us, Median, wireguard, 0, 0.75),
		times("round trip", "direct", "rtt", us, Median, tinc, 0, 1),
		times("round trip over a relay", "relay", "rtt", us, Median, wireguard, 0,
			0.75),
		times("round trip over a relay", "relay", "rtt", us, Median, tinc, 0, 1),
	}
	four := Goal{
		What: "TCP over four relays, × wireguard-go over one",
		Key:  Key{"relays", "tcp1", us, Gbps}, To: Key{"relay", "tcp1", wireguard, Gbps}, Least: 1,
	}
	goals = append(goals, four)
	for _, line := range []string{"direct", "relay"} {
		goals = append(goals,
			atMost("bytes for UDP of 10, "+line, line, "wire", WireTen, 62, false),
			atMost("bytes for UDP of 16, "+line, line, "wire", "wire16", 68, false),
			atMost("bytes for UDP of 100, "+line, line, "wire", "wire100", 152, false),
			atMost("bytes for MQTT and its ACK, "+line, line, "wire", Message, 140, false))
	}
	return append(goals,
		atMost("idle, KiB/h", "direct", "idle", Idle, 8, true),
		atMost("idle, ms of processor a minute", "direct", "idle", IdleCPU, 2, true),
		atMost("memory, idle, MiB", "direct", "memory", Resident, 10, false),
		atMost("memory, at most, MiB", "direct", "peak", Peak, 16, false),
		atMost("memory, at most, on a small board, MiB", "board", "peak", Peak, 16, false),
		atMost("program, MB", "direct", "size", Size, 8, false),
		atMost("start to the first answer, ms", "direct", "start", Start, 19, false),
		atMost("start to the first answer over a relay, ms", "relay", "start", Start, 60, false),
	)
}
