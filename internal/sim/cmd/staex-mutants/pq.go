// SPDX-License-Identifier: Apache-2.0

package main

// exchanges are the checks of the post-quantum key exchange.
var exchanges = []mutant{
	{
		"pq-required", node + "pq.go",
		"case p == PQRequire && theirs&wire.FlagPQ == 0:",
		"case false:",
	},
	{
		"pq-needed", node + "pq.go",
		"case p == PQOff && theirs&wire.FlagPQMust != 0:",
		"case false:",
	},
	{
		"pq-ticket", node + "pq.go",
		"return n.cfg.PostQuantum == PQRequire && !hybrid",
		"return n.cfg.PostQuantum == PQRequire && !hybrid && false",
	},
	{
		"pq-link-first", node + "control.go",
		"if l.kem != nil || typ == wire.ControlKEMKey",
		"if typ == wire.ControlKEMKey",
	},
	{
		"pq-link-shut", node + "pq_link.go",
		"return l.kem != nil && !(l.toward && l.kem.mixed)",
		"return false",
	},
	{
		"pq-link-unfinished", node + "link.go",
		"if l.kem != nil {\n\t\tn.linkDown(now, l, errKEMUnfinished)",
		"if false {\n\t\tn.linkDown(now, l, errKEMUnfinished)",
	},
	{
		"pq-session-held", node + "pq_session.go",
		"return s.kem != nil && s.kem.must",
		"return false",
	},
	{
		"pq-session-messages", node + "sessions.go",
		"case s.held() && m.Type != wire.SessionClose:",
		"case false:",
	},
	{
		"pq-session-packets", node + "handover.go",
		"if other == nil || other.held() {",
		"if other == nil {",
	},
	{
		"pq-session-silence", node + "pq_session.go",
		"case try >= kemTries:\n\t\tn.kemFailed(now, s)",
		"case try >= kemTries:\n\t\tn.endSessionKEM(s)",
	},
	{
		"pq-session-patience", node + "pq_session.go",
		"func(now clock.Reading, _ *Effects) { n.kemFailed(now, s) })",
		"func(clock.Reading, *Effects) { s.kem = nil })",
	},
	{
		"pq-session-switch", node + "pq_session.go",
		"if x == nil || !x.mixed || !s.fast.Recv.Turned() {",
		"if x == nil || !x.mixed {",
	},
	{
		"pq-handshake-keys", crypt + "kem.go",
		"base := keyed(k.Chain[:], []byte",
		"base := keyed(nil, []byte",
	},
	{
		"pq-transcript", crypt + "kem.go",
		"shared, k.Hash[:], public, answer)\n\tmixed.Send",
		"shared, nil, public, answer)\n\tmixed.Send",
	},
	{
		"pq-messages", crypt + "kem.go",
		"shared, k.Hash[:], public, answer)\n\tmixed.Send",
		"shared, k.Hash[:], nil, nil)\n\tmixed.Send",
	},
}
