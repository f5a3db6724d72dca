// SPDX-License-Identifier: Apache-2.0

package node

import (
	"slices"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/state"
	"staex/internal/wire"
)

const (
	// maxLookups bounds the questions of others that this relay waits for.
	maxLookups = 1024
	// maxTagged bounds the keys whose tags are indexed: names are for people, and few.
	maxTagged = 1 << 16
)

// tagBook finds the keys below this node by the tags in their records.
type tagBook struct {
	byTag map[[8]byte][]ident.NodeID // in the order of keys; checked against the table when used
	byKey map[ident.NodeID][][8]byte
	asked map[[8]byte]*relayed
}

// relayed is a question that went up for somebody below.
type relayed struct {
	id    [8]byte
	from  *link
	to    *link
	timer *timer
}

func (b *tagBook) init() {
	b.byTag = map[[8]byte][]ident.NodeID{}
	b.byKey = map[ident.NodeID][][8]byte{}
	b.asked = map[[8]byte]*relayed{}
}

// index follows a record that changed.
func (b *tagBook) index(r *state.Record) {
	b.unindex(r.Key)
	if len(r.Tags) == 0 || len(b.byKey) >= maxTagged ||
		r.Kind != state.Node && len(b.byKey) >= maxTagged/2 {
		return
	}
	b.byKey[r.Key] = r.Tags
	for _, t := range r.Tags {
		list := b.byTag[t]
		at, _ := slices.BinarySearchFunc(list, r.Key, ident.NodeID.Compare)
		b.byTag[t] = slices.Insert(list, at, r.Key)
	}
}

func (b *tagBook) unindex(key ident.NodeID) {
	for _, t := range b.byKey[key] {
		b.byTag[t] = slices.DeleteFunc(b.byTag[t], func(k ident.NodeID) bool { return k == key })
		if len(b.byTag[t]) == 0 {
			delete(b.byTag, t)
		}
	}
	delete(b.byKey, key)
}

// owners are the nodes in our table whose records have a tag, or host an endpoint whose record has
// it, at most wire.MaxFound.
func (n *Node) owners(tag [8]byte) []ident.NodeID {
	var list []ident.NodeID
	for _, k := range slices.Clone(n.lookups.byTag[tag]) {
		row, ok := n.records.Find(k)
		if !ok {
			n.lookups.unindex(k)
			continue
		}
		if row.Kind != state.Node {
			k = row.Parent
		}
		if len(list) < wire.MaxFound && !slices.Contains(list, k) {
			list = append(list, k)
		}
	}
	return list
}

// fromLookup answers a question for a tag, or passes it up.
func (n *Node) fromLookup(now clock.Reading, l *link, b []byte) error {
	m, err := wire.ParseLookup(b)
	if err != nil {
		return err
	}
	owners := n.owners(m.Tag)
	if slices.Contains(n.tags(), m.Tag) {
		owners = append([]ident.NodeID{n.self}, owners[:min(len(owners), wire.MaxFound-1)]...)
	}
	p := n.parents.active
	if len(owners) > 0 || p == nil || p == l || m.Hops == 0 || n.lookups.asked[m.ID] != nil ||
		len(n.lookups.asked) >= maxLookups {
		n.tell(l, wire.ControlFound, wire.Found{ID: m.ID, Keys: owners}.Append(nil))
		return nil
	}
	r := &relayed{id: m.ID, from: l, to: p}
	r.timer = newTimer(func(clock.Reading, *Effects) { delete(n.lookups.asked, r.id) })
	n.timers.arm(r.timer, now.Up+n.cfg.LookupTimeout)
	n.lookups.asked[m.ID] = r
	m.Hops--
	n.tell(p, wire.ControlLookup, m.Append(nil))
	return nil
}

// fromFound takes an answer: for a question of ours, or for who asked us.
func (n *Node) fromFound(now clock.Reading, l *link, b []byte) error {
	m, err := wire.ParseFound(b)
	if err != nil {
		return err
	}
	if q := n.names.byID[m.ID]; q != nil && l.toward {
		n.found(now, q, m)
		return nil
	}
	r := n.lookups.asked[m.ID]
	if r == nil || r.to != l {
		n.count(drop.Stranger)
		return nil
	}
	n.timers.stop(r.timer)
	delete(n.lookups.asked, m.ID)
	if n.links.byID[r.from.id] == r.from {
		n.tell(r.from, wire.ControlFound, m.Append(nil))
	}
	return nil
}
