// SPDX-License-Identifier: Apache-2.0

package node

import (
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/plane"
	"staex/internal/overlay/state"
	"staex/internal/wire"
)

const (
	// maxFetching bounds the records that were asked for and did not come yet.
	maxFetching = 64
	// maxFresh bounds the records that came by themselves, were not kept, and are to be told.
	maxFresh = 64
	// maxPassing bounds them together with those that were fetched.
	maxPassing = maxFresh + 2*maxFetching
	// fetchLife is how long one is waited for.
	fetchLife = 10 * time.Second
	// spareFetches is how many records a parent may fetch beyond the rows there are.
	spareFetches = 1024
)

// fetch asks the branch below for a record whose bytes we have no room for, because our parent
// has to be told. It is false while too many others are under way.
func (n *Node) fetch(now clock.Reading, key ident.NodeID) bool {
	row, ok := n.records.Find(key)
	l := n.links.byID[plane.LinkID(row.Via)]
	if !ok || l == nil || l.toward {
		return true // nobody has it
	}
	if at, under := n.fetching[key]; under && now.Up-at < fetchLife {
		return true
	}
	if len(n.fetching) >= maxFetching {
		for k, at := range n.fetching {
			if now.Up-at >= fetchLife {
				delete(n.fetching, k)
			}
		}
	}
	if len(n.fetching) >= maxFetching || len(n.passing) >= maxPassing {
		return false
	}
	n.fetching[key] = now.Up
	n.tell(l, wire.ControlFetch, wire.Fetch{Key: key}.Append(nil))
	return true
}

// pass holds the bytes of a record that the log had no room for until our parent was told.
func (n *Node) pass(key ident.NodeID, m wire.Record) {
	if n.parents.active == nil || n.records.Keeps(key) || len(n.passing) >= maxFresh {
		return
	}
	m.NetworkCert = nil
	n.passing[key] = m.Append(nil)
}

// fetched takes a record that was asked for: it will not be kept, and goes on before all others.
func (n *Node) fetched(key ident.NodeID, m wire.Record) {
	l := n.parents.active
	if _, ok := n.fetching[key]; !ok || l == nil {
		return
	}
	delete(n.fetching, key)
	m.NetworkCert = nil
	n.passing[key] = m.Append(nil)
	l.ctl.open().first.add(key)
	n.links.busy[l.id] = l
}

// fromFetch tells a parent a record once more.
func (n *Node) fromFetch(now clock.Reading, l *link, b []byte) error {
	f, err := wire.ParseFetch(b)
	if err != nil {
		return err
	}
	if !l.syncing().budget.take(now.Up, 1, n.records.Len()+spareFetches) {
		n.count(drop.Quota)
		return nil
	}
	if row, ok := n.records.Get(f.Key); ok && row.Via == state.Self && row.Encoded != nil {
		m := wire.Record{Record: row.Encoded, NodeCert: n.certOf(row)}
		n.tell(l, wire.ControlRecord, m.Append(nil))
		return nil
	}
	l.ctl.open().dirty.add(f.Key)
	n.links.busy[l.id] = l
	return nil
}

// recordMessage is what to tell a neighbour about a key now: its record, or that it is gone. It is
// nil for a record that we did not keep.
func (n *Node) recordMessage(key ident.NodeID, l *link) []byte {
	row, ok := n.records.Get(key)
	if !ok {
		g := wire.Gone{Key: key, Seq: state.MaxSeq}
		return wire.AppendMessage(nil, wire.ControlGone, g.Append(nil))
	}
	if row.Encoded == nil {
		b := n.passing[key]
		if b == nil {
			return nil
		}
		m, err := wire.ParseRecord(b)
		if err != nil {
			return nil
		}
		m.NetworkCert = n.chainFor(row, l)
		return wire.AppendMessage(nil, wire.ControlRecord, m.Append(nil))
	}
	m := wire.Record{
		Record: row.Encoded, NodeCert: n.certOf(row), NetworkCert: n.chainFor(row, l),
	}
	if key == n.self && l.toward {
		m.NodeCert, m.NetworkCert = nil, nil // the link handshake carried them
	}
	return wire.AppendMessage(nil, wire.ControlRecord, m.Append(nil))
}
