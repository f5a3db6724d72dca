// SPDX-License-Identifier: Apache-2.0

package tunnel

import (
	"errors"
	"fmt"
	"slices"

	"staex/internal/ident"
)

const (
	// MaxTunnels bounds a book: a gateway with a thousand devices and some tunnels each.
	MaxTunnels = 4096

	// MaxAuto is how many tunnels of one offering node are accepted without a person.
	MaxAuto = 16

	// MaxOffered is how many tunnels of one offering node may wait for a person: more are nothing
	// that a person looks at.
	MaxOffered = 256

	// MaxTombstones is how many deleted tunnels of one remote node are remembered.
	MaxTombstones = 16
)

// The reasons why a book refuses a tunnel.
var (
	// ErrFull says that the book holds MaxTunnels.
	ErrFull = errors.New("too many tunnels")
	// ErrExists says that there is a tunnel with this id or with this remote key.
	ErrExists = errors.New("tunnel exists")
	// ErrOfferer says that the remote node already has MaxAuto tunnels that nobody looked at, or
	// MaxOffered that wait for somebody.
	ErrOfferer = errors.New("too many tunnels offered by this node")
)

// Book holds the tunnels of a node, each once, in the order of their ids. The tunnels belong to
// the caller, who may change them in place, except for ID. A Book is for one goroutine.
type Book struct {
	list   []*Tunnel
	buried []ident.NodeID // deleted tunnels, oldest first
}

// NewBook makes an empty book.
func NewBook() *Book { return &Book{} }

func (b *Book) search(id ident.NodeID) (int, bool) {
	return slices.BinarySearchFunc(b.list, id, func(t *Tunnel, id ident.NodeID) int {
		return t.ID.Compare(id)
	})
}

// Add puts a tunnel into the book. Errors wrap ErrFull, ErrExists or ErrOfferer.
func (b *Book) Add(t *Tunnel) error {
	at, found := b.search(t.ID)
	if found {
		return fmt.Errorf("add tunnel %v: %w", t.ID, ErrExists)
	}
	if other, used := b.ByRemoteKey(t.RemoteKey); used {
		return fmt.Errorf("add tunnel %v: %w: %v has the same remote key",
			t.ID, ErrExists, other.ID)
	}
	if len(b.list) >= MaxTunnels {
		return fmt.Errorf("add tunnel %v: %w: there are %d", t.ID, ErrFull, len(b.list))
	}
	if t.Auto && !t.Deleted && !b.TakesFrom(t.RemoteNode) ||
		t.Pending && b.count(t.RemoteNode, isPending) >= MaxOffered {
		return fmt.Errorf("add tunnel %v of %v: %w", t.ID, t.RemoteNode, ErrOfferer)
	}
	b.list = slices.Insert(b.list, at, t)
	if t.Deleted {
		b.buried = append(b.buried, t.ID)
	}
	return nil
}

// TakesFrom reports whether one more tunnel of a node may be accepted without a person.
func (b *Book) TakesFrom(remote ident.NodeID) bool { return b.count(remote, isAuto) < MaxAuto }

func isAuto(t *Tunnel) bool    { return t.Auto && !t.Deleted }
func isPending(t *Tunnel) bool { return t.Pending }
func isDeleted(t *Tunnel) bool { return t.Deleted }

// count says how many tunnels to a node are of some kind.
func (b *Book) count(remote ident.NodeID, of func(*Tunnel) bool) (n int) {
	for _, t := range b.list {
		if t.RemoteNode == remote && of(t) {
			n++
		}
	}
	return n
}

// Remove forgets a tunnel altogether. It reports whether there was one.
func (b *Book) Remove(id ident.NodeID) bool {
	at, found := b.search(id)
	if !found {
		return false
	}
	b.list = slices.Delete(b.list, at, at+1)
	b.buried = slices.DeleteFunc(b.buried, func(dead ident.NodeID) bool { return dead == id })
	return true
}

// Bury marks a tunnel as deleted and lets its private key and certificate go. What stays is a
// tombstone, by which an offer of the same tunnel is known and refused. When the remote node then
// has more than MaxTombstones, its oldest one is forgotten: forgotten is its id, else zero. ok is
// false when there is no such tunnel or it is deleted already.
func (b *Book) Bury(id ident.NodeID) (forgotten ident.NodeID, ok bool) {
	t, found := b.ByID(id)
	if !found || t.Deleted {
		return ident.NodeID{}, false
	}
	t.Deleted, t.Pending, t.Auto = true, false, false
	t.Local, t.LocalCert = nil, nil
	b.buried = append(b.buried, id)
	if b.count(t.RemoteNode, isDeleted) <= MaxTombstones {
		return ident.NodeID{}, true
	}
	for _, dead := range b.buried {
		if old, there := b.ByID(dead); there && old.RemoteNode == t.RemoteNode {
			b.Remove(dead)
			return dead, true
		}
	}
	return ident.NodeID{}, true
}

// ByID returns the tunnel of a server endpoint's key, deleted or not.
func (b *Book) ByID(id ident.NodeID) (*Tunnel, bool) {
	at, found := b.search(id)
	if !found {
		return nil, false
	}
	return b.list[at], true
}

// ByName returns the first tunnel, in order of id, that is not deleted and is called name.
func (b *Book) ByName(name string) (*Tunnel, bool) {
	return b.first(func(t *Tunnel) bool { return !t.Deleted && t.HasName(name) })
}

// ByRemoteKey returns the tunnel whose other endpoint has this key. The zero key finds nothing,
// and deleted tunnels are not found.
func (b *Book) ByRemoteKey(key ident.NodeID) (*Tunnel, bool) {
	if key.IsZero() {
		return nil, false
	}
	return b.first(func(t *Tunnel) bool { return !t.Deleted && t.RemoteKey == key })
}

// ByLocalKey returns the tunnel whose endpoint at this end has this key. Deleted tunnels are not
// found.
func (b *Book) ByLocalKey(key ident.NodeID) (*Tunnel, bool) {
	return b.first(func(t *Tunnel) bool {
		return !t.Deleted && t.Local != nil && t.Local.ID() == key
	})
}

func (b *Book) first(match func(*Tunnel) bool) (*Tunnel, bool) {
	for _, t := range b.list {
		if match(t) {
			return t, true
		}
	}
	return nil, false
}

// List returns all tunnels in order of id, deleted ones included.
func (b *Book) List() []*Tunnel { return slices.Clone(b.list) }

// Len is the number of tunnels, deleted ones included.
func (b *Book) Len() int { return len(b.list) }
