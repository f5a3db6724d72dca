// SPDX-License-Identifier: Apache-2.0

package main

// tickets are the checks of resumption and of the questions about a translator.
var tickets = []mutant{
	{
		"ticket-mac", node + "ticket_parent.go",
		"case !c.secret.CheckTicket(wire.TicketMACInput(b), t.Mac):",
		"case false:",
	},
	{
		"ticket-nonce", node + "ticket_parent.go",
		"if old.from != from {",
		"if false {",
	},
	{
		"ticket-child-share", node + "ticket_parent.go",
		"case len(mine) >= childComebacks:",
		"case false:",
	},
	{
		"ticket-life", crypt + "ticket.go",
		"if age >= 2*TicketKeyLife {",
		"if false {",
	},
	{
		"ticket-worn", node + "ticket_kept.go",
		"return t.count >= maxResumes || ",
		"return ",
	},
	{
		"ticket-first-frame", node + "ticket_parent.go",
		"first.Open(nil, h.Epoch, h.Counter, h.Long, b[0], sealed); err != nil {",
		"first.Open(nil, h.Epoch, h.Counter, h.Long, b[0], sealed); false && err != nil {",
	},
	{
		"answer-mac", node + "ticket_child.go",
		"case !a.kept.secret.CheckAnswer(a.nonce, wire.TicketMACInput(b), h.Mac):",
		"case false:",
	},
	{
		"answer-nonce", crypt + "ticket.go",
		"return mac(k[:], nonce[:], msg)",
		"return mac(k[:], msg)",
	},
	{
		"reset-token", node + "reset.go",
		"if subtle.ConstantTimeCompare(l.up.token[:], r.Token[:]) != 1 {",
		"if subtle.ConstantTimeCompare(l.up.token[:], r.Token[:]) > 1 {",
	},
	{
		"reset-seldom", node + "reset.go",
		"if now.Up < l.up.resetEnd {",
		"if false {",
	},
	{
		"reset-rate", node + "reset.go",
		"if jar == nil || b.tokens <= 0 {",
		"if jar == nil {",
	},
	{
		"reset-strangers", node + "reset.go",
		"if now.Up >= b.until && !b.lost[x.Label] {",
		"if false {",
	},
	{
		"nat-question-mac", node + "nat_parent.go",
		"if !session.CheckProbe(l.digest, false, wire.TicketMACInput(b), p.Mac) {",
		"if false {",
	},
	{
		"nat-question-number", node + "nat_parent.go",
		"case p.Number <= x.number:",
		"case false:",
	},
	{
		"nat-question-rate", node + "nat_parent.go",
		"case now.Up-x.asked < probeEvery:",
		"case false:",
	},
	{
		"nat-answer-mac", node + "nat_child.go",
		"if !session.CheckProbe(l.digest, true, wire.TicketMACInput(b), a.Mac) {",
		"if false && !session.CheckProbe(l.digest, true, wire.TicketMACInput(b), a.Mac) {",
	},
	{
		"nat-answer-number", node + "nat_child.go",
		"case a.Number != s.number:",
		"case false:",
	},
}
