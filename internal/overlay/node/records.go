// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/blake2s"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/plane"
	"staex/internal/overlay/state"
	"staex/internal/wire"
)

// digestSize is the digest in a keep-alive in bytes.
const digestSize = 4

// memberRows is how many rows a child of our own network may hold below it: such a child may be
// a relay with a whole site under it. Strangers' children keep the default of state.ChildRows.
const memberRows = 1 << 20

// ownRecords is what this node says of itself and of its endpoints.
type ownRecords struct {
	seq map[ident.NodeID]uint64
}

const seqPrefix = "seq-"

// load takes the sequence numbers from before the restart and puts the node's own row.
func (o *ownRecords) load(n *Node) error {
	o.seq = map[ident.NodeID]uint64{}
	for name, b := range n.cfg.Stored {
		if len(name) > len(seqPrefix) && name[:len(seqPrefix)] == seqPrefix {
			id, err := ident.ParseNodeID(name[len(seqPrefix):])
			if err != nil || len(b) != 8 {
				return fmt.Errorf("load %s: damaged", name)
			}
			o.seq[id] = binary.BigEndian.Uint64(b)
		}
	}
	n.names.blank = o.seq[n.self] == 0
	n.say(state.Node, n.who.Secret, ident.NodeID{})
	return nil
}

// say signs a new record of one of our own keys and marks it for the parent.
func (n *Node) say(kind state.Kind, key *ident.Secret, parent ident.NodeID) {
	id := key.ID()
	n.own.seq[id] = min(n.own.seq[id]+1, state.MaxSeq) // the disk's or a copy's may be any
	r := state.Record{
		Kind: kind, Key: id, Parent: parent, Network: n.who.Cert.Network, Seq: n.own.seq[id],
	}
	if t, ok := n.tunnels.ByID(id); kind == state.Node {
		r.Tags = n.tags()
	} else if ok && n.who.HasNames { // of a server: who lost its disk looks for it
		r.Tags = [][8]byte{n.tagOf(endsOf(t.RemoteNode), false)}
		n.lookups.index(&r)
	}
	r.Sign(key)
	n.keep(seqPrefix+id.String(), binary.BigEndian.AppendUint64(nil, r.Seq))
	n.records.Put(&r, nil, state.From{})
	n.mark(id)
}

// keep queues a value for the disk; it leaves with the effects of this call.
func (n *Node) keep(name string, data []byte) { n.keeps = append(n.keeps, Record{name, data}) }

// mark notes that the parent should be told about a key.
func (n *Node) mark(key ident.NodeID) {
	if l := n.parents.active; l != nil && !l.held() {
		l.ctl.open().dirty.add(key)
		n.links.busy[l.id] = l
	}
}

// attached tells a new parent what we say ourselves, and compares what is below with what it has.
func (n *Node) attached(now clock.Reading, l *link) {
	clear(n.passing)
	n.say(state.Node, n.who.Secret, l.peer)
	n.tellHeads(l)
	for _, own := range n.records.EntriesIn(state.Self, wire.Span{}) {
		n.mark(own.Key)
	}
	if n.records.Len() > n.records.LenVia(state.Self) {
		n.compare(now, l)
	}
	n.tellAbove(now, l)
	n.retryOffers(now)
	n.resumeSessions(now)
	n.lookOwn(now)
}

// childAttached prepares the quota and the digest of a child's rows.
func (n *Node) childAttached(l *link) {
	via := state.Via(l.id)
	n.tellHeads(l)
	n.records.SetKeyVia(via, l.digest)
	if l.network == n.who.Cert.Network {
		n.records.SetQuota(via, memberRows)
	}
}

// certOf is the certificate that admitted a row.
func (n *Node) certOf(row state.Row) []byte {
	if row.Key == n.self {
		return n.who.Cert.Append(nil)
	}
	if t, ok := n.tunnels.ByLocalKey(row.Key); ok {
		return t.LocalCert
	}
	return row.Cert
}

// fromRecord takes a record that a neighbour passed on.
func (n *Node) fromRecord(now clock.Reading, l *link, b []byte) error {
	m, err := wire.ParseRecord(b)
	if err != nil {
		return err
	}
	r, err := state.DecodeRecord(m.Record)
	if err != nil {
		return err
	}
	if l.toward {
		n.fromAbove(l, r, m.Record)
		return nil
	}
	if n.isRevoked(r.Network, r.Key) {
		n.count(drop.Revoked)
		return nil
	}
	if !n.roomFor(l, r) {
		n.count(drop.Quota)
		return nil
	}
	if !n.records.Knows(r.Key, m.Record) {
		if n.churn.often(now.Up, r.Key) {
			n.count(drop.Churn)
			n.tooOften(l, r.Key)
			return nil
		}
		if err := n.admitRecord(now, l, r, m); err != nil {
			n.count(refusal(err))
			return nil
		}
	}
	n.putRecord(now, l, r, m)
	return nil
}

// putRecord offers a record that was checked to the table and passes on what it changed.
func (n *Node) putRecord(now clock.Reading, l *link, r *state.Record, m wire.Record) {
	cert := m.NodeCert
	if r.Key == l.peer && len(cert) == 0 {
		cert = n.links.certs[l.id]
	}
	if !n.rowMayMove(now, l, r) {
		return
	}
	old, known := n.records.Branch(r.Key)
	from := state.From{Via: state.Via(l.id), Neighbour: l.peer}
	change := n.records.Admit(r, m.Record, cert, from)
	switch {
	case change == state.Stale:
		n.count(drop.StaleRecord)
		n.sendRecord(l, r.Key)
	case change.Changed():
		n.churn.changed(now.Up, r.Key, change)
		if r.Key == l.peer {
			delete(n.links.certs, l.id) // it lies in the log now
		}
		delete(n.fetching, r.Key)
		if !n.withhold(now, l, r.Key) {
			n.pass(r.Key, wire.Record{Record: m.Record, NodeCert: cert})
			n.mark(r.Key)
		}
		n.lookups.index(r)
		if known && old != state.Via(l.id) {
			n.tellOldBranch(old, m.Record)
		}
	case change == state.Same:
		n.fetched(r.Key, m)
	case change == state.Quota:
		n.count(drop.Quota)
	default:
		n.count(drop.NotAdmitted)
	}
}

// roomFor says whether a record may bring a new row at all. It is asked before any signature is
// computed, so that a flood beyond the quota costs a look into a table.
func (n *Node) roomFor(l *link, r *state.Record) bool {
	if _, known := n.records.Branch(r.Key); known {
		return true
	}
	if n.records.Full(state.Via(l.id)) {
		return false
	}
	return r.Kind == state.Node ||
		n.records.Hosted(r.Parent, n.cfg.HostRows) < n.cfg.HostRows
}

// refusal is the reason that counts for a record that is not admitted.
func refusal(err error) drop.Reason {
	if errors.Is(err, ident.ErrSignature) {
		return drop.BadSignature
	}
	return drop.NotAdmitted
}

// sendRecord gives a neighbour the newest record we know, so that its owner can go on from there.
func (n *Node) sendRecord(l *link, key ident.NodeID) {
	if row, ok := n.records.Get(key); ok && row.Encoded != nil {
		n.tell(l, wire.ControlRecord, wire.Record{Record: row.Encoded}.Append(nil))
	}
}

// tellOldBranch tells the branch that a key left, so that it drops its rows. Labels need no word:
// who moved lays its paths anew.
func (n *Node) tellOldBranch(old state.Via, encoded []byte) {
	l := n.links.byID[plane.LinkID(old)]
	if l == nil || l.toward {
		return
	}
	n.tell(l, wire.ControlRecord, wire.Record{Record: encoded}.Append(nil))
}

// fromAbove takes a record that a parent sent down: either our own, newer than we knew (the disk
// was lost), or that of a key which has left our branch.
func (n *Node) fromAbove(l *link, r *state.Record, encoded []byte) {
	row, ok := n.records.Find(r.Key)
	if !ok || r.Seq < row.Seq || n.records.Heard(r, encoded) {
		n.count(drop.StaleRecord) // an echo would make us sign, store and send without end
		return
	}
	if !r.Verify() {
		n.count(drop.BadSignature)
		return
	}
	if row.Via == state.Self {
		if secret, kind, parent, ok := n.ownKey(r.Key, l); ok && n.leaps() {
			n.own.seq[r.Key] = r.Seq
			n.say(kind, secret, parent)
		}
		return
	}
	n.records.Remove(r.Key) // of equal number, too: its owner lost its disk, or there are two
	if down := n.links.byID[plane.LinkID(row.Via)]; down != nil && !down.toward {
		n.tell(down, wire.ControlRecord, wire.Record{Record: encoded}.Append(nil))
	}
}

// ownKey finds the secret of one of our own keys.
func (n *Node) ownKey(key ident.NodeID, l *link) (s *ident.Secret, k state.Kind,
	parent ident.NodeID, ok bool,
) {
	if key == n.self {
		return n.who.Secret, state.Node, l.peer, true
	}
	t, ok := n.tunnels.ByLocalKey(key)
	if !ok {
		return nil, 0, parent, false
	}
	return t.Local, kindOf(t.Side), n.self, true
}

// admitRecord checks the signature and that the key belongs to an admitted network. A key whose
// certificate was checked before needs only the signature.
func (n *Node) admitRecord(now clock.Reading, l *link, r *state.Record, m wire.Record) error {
	cert := m.NodeCert
	if !r.Verify() {
		return fmt.Errorf("record of %v: %w", r.Key, ident.ErrSignature)
	}
	if r.Key == l.peer { // its certificate came with the link handshake
		if r.Kind != state.Node || r.Network != l.network {
			return fmt.Errorf("record of %v: %w", r.Key, ErrForeign)
		}
		return nil
	}
	if len(cert) == 0 {
		return n.admitUpdate(r)
	}
	if r.Kind != state.Node {
		return n.admitEndpoint(r, cert)
	}
	c, err := ident.DecodeNodeCert(cert)
	if err != nil {
		return err
	}
	if c.Key != r.Key || c.Network != r.Network {
		return ErrWrongKey
	}
	return n.proveChild(now, c, m.NetworkCert)
}

// admitUpdate admits a record without a certificate: what the certificate of the known row spoke
// of must not have changed. A client endpoint's speaks of its host as well.
func (n *Node) admitUpdate(r *state.Record) error {
	row, known := n.records.Find(r.Key)
	switch {
	case !known || row.Via == state.Self:
		return fmt.Errorf("record of %v: no certificate", r.Key)
	case row.Kind != r.Kind, row.Network != r.Network,
		r.Kind == state.ClientEndpoint && row.Parent != r.Parent:
		return ErrWrongKey
	}
	return nil
}

// admitEndpoint checks an endpoint's certificate: a server endpoint's is signed by the network, a
// client endpoint's by the node that hosts it. Its record names the network of its host.
func (n *Node) admitEndpoint(r *state.Record, cert []byte) error {
	c, err := ident.DecodeEndpointCert(cert)
	if err != nil {
		return err
	}
	host, ok := n.records.Get(r.Parent)
	if !ok || host.Network != r.Network {
		return ErrForeign
	}
	if c.Key != r.Key || (c.Kind == ident.ClientEndpoint) != (r.Kind == state.ClientEndpoint) {
		return ErrWrongKey
	}
	if r.Kind == state.ClientEndpoint {
		return c.VerifyBy(r.Parent)
	}
	key, ok := n.admitted[c.Network]
	if !ok {
		return ErrForeign
	}
	return c.VerifyBy(key)
}

// fromGone takes the news that a subtree below a child is gone.
func (n *Node) fromGone(now clock.Reading, l *link, b []byte) error {
	g, err := wire.ParseGone(b)
	if err != nil {
		return err
	}
	row, ok := n.records.Find(g.Key)
	if l.toward || !ok || row.Via != state.Via(l.id) || row.Seq > g.Seq {
		return nil
	}
	n.records.Remove(g.Key)
	n.churn.add(now.Up, g.Key)
	n.mark(g.Key)
	return nil
}

// forgetRows drops the rows of a link that went down. The parent is told about the neighbour
// alone: with it goes all that is below.
func (n *Node) forgetRows(l *link) {
	gone := n.records.RemoveVia(state.Via(l.id))
	if _, found := slices.BinarySearchFunc(gone, l.peer, ident.NodeID.Compare); found {
		n.mark(l.peer)
	}
}

// hashName makes a file name out of a configured text.
func hashName(s string) string {
	sum := blake2s.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

// recordSet is keys in the order they were marked, each once.
type recordSet struct {
	list []ident.NodeID
	has  map[ident.NodeID]bool
}

func (s *recordSet) add(k ident.NodeID) {
	if s.has == nil {
		s.has = map[ident.NodeID]bool{}
	}
	if !s.has[k] {
		s.has[k] = true
		s.list = append(s.list, k)
	}
}

func (s *recordSet) len() int { return len(s.list) }

// pop takes out the first key.
func (s *recordSet) pop() {
	delete(s.has, s.list[0])
	s.list = s.list[1:]
}
