// SPDX-License-Identifier: Apache-2.0

package main

// mutant is one check less: in a file, old is replaced by changed.
type mutant struct{ name, file, old, changed string }

const (
	node  = "internal/overlay/node/"
	fast  = "internal/overlay/plane/"
	crypt = "internal/overlay/session/"
)

// mutants are the checks that keep somebody out, grouped by what they keep out.
var mutants = slicesOf(
	strangers, links, records, paths, calls, agreements, revocations, frames, policies,
	tickets, chains, quarantines, hops, headers, claims, exchanges, churns, clones,
	heals,
)

func slicesOf(groups ...[]mutant) (all []mutant) {
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}

var strangers = []mutant{
	{
		"mac1", node + "admit.go",
		"if session.CheckMac1(k, wire.MACInput(b), mac1) {",
		"if true {",
	},
	{
		"cookie", node + "admit.go",
		"n.halves.jar != nil && n.halves.jar.Check(now.Up, from, wire.MAC2Input(b), h.Mac2)",
		"true",
	},
	{
		"cookie-demanded", node + "admit.go",
		"b.begun > cookieRate || len(b.ring) >= b.most/cookieShare",
		"false",
	},
	{
		"half-open-ring", node + "admit.go",
		"case len(b.ring) > b.most:",
		"case false:",
	},
	{
		"half-open-prefix", node + "admit.go",
		"case share > b.most/prefixShare:",
		"case false:",
	},
	{
		"half-open-labels", node + "admit.go",
		"n.labels.Return(now.Up, x.mine)",
		"n.labels.Free(now.Up, x.mine)",
	},
	{
		"amplification", node + "admit.go",
		"if old.from == from && len(b) >= len(old.answer) {",
		"if true {",
	},
}

var links = []mutant{
	{
		"proves", node + "trust.go",
		"if c.Key.X25519() != static {",
		"if false {",
	},
	{
		"network-signature", node + "trust.go",
		"return c.Verify(&ident.NetworkCert{Key: key})",
		"_ = key\n\treturn nil",
	},
	{
		"child-admitted", node + "admit.go",
		"return p, cert, n.orTrusted(cert, n.proveChild(now, cert, p.NetworkCert))",
		"return p, cert, nil",
	},
	{
		"parent-trusted", node + "parent.go",
		"return n.asRelay(cert, n.trusts(cert))",
		"return n.asRelay(cert, nil)",
	},
	{
		"trusted-node-network", node + "trust.go",
		"errors.Is(err, ErrForeign) && !known && slices.Contains(n.cfg.TrustNodes, c.Key)",
		"_ = known; slices.Contains(n.cfg.TrustNodes, c.Key)",
	},
	{
		"child-speaks-as-parent", node + "control.go",
		"return l.toward\n\tcase wire.ControlDigest:",
		"return true\n\tcase wire.ControlDigest:",
	},
	{
		"want-rate", node + "compare.go",
		"if now.Up < l.wantNext || l != n.parents.active {\n\t\tn.count",
		"if l != n.parents.active {\n\t\tn.count",
	},
	{
		"digest-budget", node + "compare.go",
		"if !s.budget.take(now.Up, n.records.Cost(via, d.Span)+1, most) {",
		"if _ = most; false {",
	},
	{
		"fetch-budget", node + "fetch.go",
		"if !l.syncing().budget.take(now.Up, 1, n.records.Len()+spareFetches) {",
		"if false {",
	},
	{
		"comparison-without-end", node + "compare.go",
		"c.spent < n.records.Len()+spareDigests {",
		"true {",
	},
	{
		"refused-rows-again", node + "compare.go",
		"s.damp = min(max(2*s.damp, wantEvery), wantLast)",
		"s.damp = 0",
	},
	{
		"address-unproven", fast + "link.go",
		"if !l.unproven.Load() {",
		"if true {",
	},
	{
		"address-echo", node + "nudge.go",
		"k.HasEcho && x != nil && k.Echo == x.sent && from == x.to",
		"k.HasEcho && x != nil",
	},
	{
		"nudge-mac", node + "nudge.go",
		"case !session.CheckNudgeMAC(l.digest, u.MACInput(), u.MAC):",
		"case false:",
	},
	{
		"reset-token", node + "reset.go",
		"if subtle.ConstantTimeCompare(l.up.token[:], r.Token[:]) != 1 {",
		"if subtle.ConstantTimeCompare(nil, nil) != 1 {",
	},
	{
		"ticket-mac", node + "ticket_parent.go",
		"case !c.secret.CheckTicket(wire.TicketMACInput(b), t.Mac):",
		"case false:",
	},
	{
		"unknown-label-queue", node + "rows.go",
		"if l.ctl.waiting() >= unknownQueue {",
		"if false {",
	},
	{
		"early-packets", node + "control.go",
		"case ahead < 0 || ahead >= controlWindow:",
		"case ahead < 0 || ahead >= 100*controlWindow:",
	},
	{
		"flapping-parent", node + "parent.go",
		"if p.flaps <= 2 {",
		"if true {",
	},
}

var records = []mutant{
	{
		"record-signature", node + "records.go",
		"if !r.Verify() {\n\t\treturn fmt.Errorf(\"record of",
		"if false {\n\t\treturn fmt.Errorf(\"record of",
	},
	{
		"record-signature-from-above", node + "records.go",
		"if !r.Verify() {\n\t\tn.count(drop.BadSignature)",
		"if false {\n\t\tn.count(drop.BadSignature)",
	},
	{
		"record-echo", node + "records.go",
		"r.Seq < row.Seq || n.records.Heard(r, encoded) {",
		"r.Seq < row.Seq {",
	},
	{
		"record-network", node + "records.go",
		"if r.Kind != state.Node || r.Network != l.network {",
		"if false {",
	},
	{
		"record-certificate", node + "records.go",
		"if c.Key != r.Key || c.Network != r.Network {",
		"if false {",
	},
	{
		"endpoint-kind", node + "records.go",
		"if c.Key != r.Key || (c.Kind == ident.ClientEndpoint) != (r.Kind == " +
			"state.ClientEndpoint) {",
		"if false {",
	},
	{
		"endpoint-network", node + "records.go",
		"if !ok || host.Network != r.Network {",
		"if _ = host; !ok {",
	},
	{
		"client-endpoint-signature", node + "records.go",
		"return c.VerifyBy(r.Parent)",
		"return nil",
	},
	{
		"server-endpoint-signature", node + "records.go",
		"return c.VerifyBy(key)\n}",
		"_ = key\n\treturn nil\n}",
	},
	{
		"record-quota-of-a-link", "internal/overlay/state/read.go",
		"return rows >= quota || ",
		"return rows < 0 && quota < 0 || ",
	},
	{
		"record-quota-of-a-host", node + "records.go",
		"n.records.Hosted(r.Parent, n.cfg.HostRows) < n.cfg.HostRows",
		"true",
	},
	{
		"gone-from-its-branch-only", node + "records.go",
		"if l.toward || !ok || row.Via != state.Via(l.id) || row.Seq > g.Seq {",
		"if _ = row; !ok {",
	},
}

var paths = []mutant{
	{
		"path-quota-of-a-link", node + "rows.go",
		"if cause != nil && !cause.toward && int(cause.rows) >= n.rowsFor(cause) {",
		"if false {",
	},
	{
		"path-charged-to-its-cause", node + "paths.go",
		"n.newRow(now, back, to, from)",
		"n.newRow(now, back, to, to)",
	},
	{
		"path-answered-by-another", node + "paths.go",
		"s := n.paths.byID[ok.ID]\n\tif s == nil || s.to != l {",
		"s := n.paths.byID[ok.ID]\n\tif s == nil {",
	},
	{
		"path-refused-by-another", node + "paths.go",
		"s := n.paths.byID[no.ID]\n\tif s == nil || s.to != l {",
		"s := n.paths.byID[no.ID]\n\tif s == nil {",
	},
	{
		"hop-limit", node + "paths.go",
		"case p.Hops == 0:",
		"case false:",
	},
	{
		"unknown-label-of-a-session", node + "sessions.go",
		"if s.link == l && s.out == out {",
		"if s.out == out {",
	},
}

var calls = []mutant{
	{
		"hello-mac", node + "dial.go",
		"known := subtle.ConstantTimeCompare(mac[:], p.Body[:helloMACSize]) == 1",
		"known := subtle.ConstantTimeCompare(mac[:], mac[:]) == 1",
	},
	{
		"calls-of-strangers", node + "strangers.go",
		"if len(n.cfg.TrustNetworks)+len(n.cfg.TrustNodes) == 0 {",
		"if false {",
	},
	{
		"caller-of-a-tunnel", node + "dial.go",
		"if h.conv.key.remote.X25519() != static || h.conv.end == nil {",
		"if h.conv.end == nil {",
	},
	{
		"caller-proves", node + "dial.go",
		"|| proves(cert, static) != nil ||",
		"||",
	},
	{
		"caller-trusted", node + "dial.go",
		"|| n.trusts(cert) != nil {",
		"{",
	},
	{
		"calls-of-members", node + "dial.go",
		"return count < nodeHalfSessions &&",
		"return",
	},
	{
		"restart-without-mark", node + "resume.go",
		"a != nil && mark != c.mark {",
		"a != nil {",
	},
	{
		"words-between-nodes-in-a-tunnel", node + "sessions.go",
		"if s.conv.end != nil {\n\t\tn.count(drop.BadType)",
		"if false {\n\t\tn.count(drop.BadType)",
	},
}

var agreements = []mutant{
	{
		"offer-meant-for-us", node + "offers.go",
		"cert.Kind != ident.ServerEndpoint || cert.Peer != n.self {",
		"cert.Kind != ident.ServerEndpoint {",
	},
	{
		"offer-signature", node + "offers.go",
		"if err := cert.VerifyBy(key); err != nil {",
		"if _ = key; false {",
	},
	{
		"offer-proof", node + "offers.go",
		"if subtle.ConstantTimeCompare(proof[:], o.Proof[:]) != 1 {",
		"if _ = proof; false {",
	},
	{
		"offer-key-in-use", node + "offers.go",
		"if t, _ := n.tunnels.ByID(cert.Key); n.inUse(cert.Key, t) {",
		"if false {",
	},
	{
		"offer-after-a-revoked-node", node + "offers.go",
		"case known && (t.Side != tunnel.Client || moved && t.Revoked):",
		"case known && t.Side != tunnel.Client:",
	},
	{
		"name-in-use", node + "given.go",
		"if n.holder(t, name) == nil {",
		"if n.holder(t, name) != t {",
	},
	{
		"offer-repeated", node + "offers.go",
		"o.Seq == t.Seq && slices.Equal(wanted",
		"o.Seq > t.Seq && slices.Equal(wanted",
	},
	{
		"accept-by-another-node", node + "accepts.go",
		"t.Deleted || t.RemoteNode != c.key.remote ||\n\t\tt.Offer != a.ID {",
		"t.Deleted {",
	},
	{
		"accept-proof", node + "accepts.go",
		"if subtle.ConstantTimeCompare(proof[:], a.Proof[:]) != 1 {",
		"if subtle.ConstantTimeCompare(proof[:], proof[:]) != 1 {",
	},
	{
		"accept-key-in-use", node + "accepts.go",
		"if n.inUse(cert.Key, t) {",
		"if false {",
	},
	{
		"switch-by-another-node", node + "switches.go",
		"case !ok || t.RemoteNode != c.key.remote:",
		"case !ok:",
	},
	{
		"tunnel-expires", "internal/overlay/tunnel/tunnel.go",
		"return now != 0 && t.Expires != 0 && now > t.Expires",
		"return false",
	},
}

var revocations = []mutant{
	{
		"revoked-neighbour", node + "revoked.go",
		"if n.isRevoked(c.Network, c.Key) {\n\t\treturn",
		"if false {\n\t\treturn",
	},
	{
		"revoked-link", node + "revoked.go",
		"case n.isRevoked(l.network, l.peer):",
		"case false:",
	},
	{
		"revoked-tunnel", node + "revoked.go",
		"if !t.Revoked && !n.tunnelRevoked(t) {",
		"if !t.Revoked {",
	},
	{
		"revoked-rows", node + "revoked.go",
		"if theirs && r.Via != state.Self && ended(r) {",
		"if theirs && r.Via != state.Self && false {",
	},
	{
		"revocation-signature", node + "news.go",
		"case h.Verify() != nil:",
		"case false:",
	},
	{
		"expired-node", node + "moment.go",
		"if !c.Expired(n.moment(c.Network)) {",
		"if true {",
	},
}

var frames = []mutant{
	{
		"replay-window", crypt + "window.go",
		"return w.bits[word]&(1<<bit) == 0",
		"return word|bit >= 0",
	},
	{
		"replay-behind-the-window", crypt + "window.go",
		"if ctr == 0 || w.top-ctr >= w.size {",
		"if ctr == 0 {",
	},
	{
		"epoch-ahead", crypt + "receiver.go",
		"case epoch > k.epoch+EpochsAhead:",
		"case false:",
	},
	{
		"epoch-behind", crypt + "receiver.go",
		"case epoch < k.epoch && (k.prev == nil || epoch+1 != k.epoch):",
		"case false:",
	},
	{
		"source", fast + "inbound.go",
		"if r.In.Addr() != from {",
		"if false {",
	},
	{
		"label-check-bits", fast + "tables.go",
		"if r := &c[i%chunkRows]; r.Kind != RowNone && r.Label == l {",
		"if r := &c[i%chunkRows]; r.Kind != RowNone {",
	},
	{
		"control-label-for-data", fast + "inbound.go",
		"if r == nil || r.In == nil {",
		"if r == nil {",
	},
}
