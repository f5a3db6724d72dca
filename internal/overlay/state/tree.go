// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/binary"
	"math"
	"slices"

	"golang.org/x/crypto/blake2s"

	"staex/internal/ident"
)

// entry is one row as the table keeps it: the encoded record, and its place in the tree. A
// branch's root is an entry too; it has no key and no record.
type entry struct {
	key     ident.NodeID
	encoded []byte
	parent  *entry  // nil only for the root of a branch and for what is in no tree
	child   *entry  // first of the rows below
	prev    *entry  // siblings
	next    *entry  //
	branch  *branch // set only for the root of a branch
}

// branch is everything that is reached through one link: the neighbour's own row, and below it
// all others. Branch 0 holds the rows of this node.
type branch struct {
	via   Via
	root  entry
	rows  int
	quota int
	sum   digest
}

// digest is a sum over rows that does not depend on their order. The key is inside a closure, so
// that it cannot be printed.
type digest struct {
	of    func(key ident.NodeID, seq uint64) uint32
	total uint32
}

func newDigest(key [32]byte) digest {
	return digest{of: func(id ident.NodeID, seq uint64) uint32 {
		h, err := blake2s.New256(key[:])
		if err != nil {
			panic("state: a 32-byte key was refused: " + err.Error())
		}
		var sum [blake2s.Size]byte
		h.Write(id[:])
		h.Write(binary.BigEndian.AppendUint64(nil, seq))
		return binary.BigEndian.Uint32(h.Sum(sum[:0]))
	}}
}

func (d *digest) add(e *entry)    { d.total += d.of(e.key, seqOf(e.encoded)) }
func (d *digest) remove(e *entry) { d.total -= d.of(e.key, seqOf(e.encoded)) }

func (d *digest) bytes() (b [4]byte) {
	binary.BigEndian.PutUint32(b[:], d.total)
	return b
}

func newBranch(via Via, quota int) *branch {
	b := &branch{via: via, quota: quota, sum: newDigest([32]byte{})}
	if via == Self {
		b.quota = math.MaxInt // our own rows are bounded by the table alone
	}
	b.root.branch = b
	return b
}

func (e *entry) kind() Kind                 { return Kind(e.encoded[1]) }
func (e *entry) network() ident.NetworkHash { return ident.NetworkHash(e.encoded[networkAt:seqAt]) }

// climb walks to the root of the branch. It returns the branch, and how many rows were met,
// counting e itself unless it is the root.
func (e *entry) climb() (b *branch, depth int) {
	for ; e.parent != nil; e = e.parent {
		depth++
	}
	return e.branch, depth
}

// below reports whether e is top or somewhere under it.
func (e *entry) below(top *entry) bool {
	for ; e != nil; e = e.parent {
		if e == top {
			return true
		}
	}
	return false
}

// subtree calls visit with e and all rows under it, parents first. It returns how many levels
// there are. The depth is bounded by MaxDepth, because no deeper row is admitted.
func (e *entry) subtree(visit func(*entry)) (height int) {
	visit(e)
	for c := e.child; c != nil; c = c.next {
		height = max(height, c.subtree(visit))
	}
	return height + 1
}

// measure counts the rows of a subtree and its levels.
func (e *entry) measure() (rows, height int) {
	height = e.subtree(func(*entry) { rows++ })
	return rows, height
}

func (e *entry) attach(parent *entry) {
	e.parent, e.next = parent, parent.child
	if e.next != nil {
		e.next.prev = e
	}
	parent.child = e
}

func (e *entry) detach() {
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		e.parent.child = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	}
	e.parent, e.prev, e.next = nil, nil, nil
}

// children lists the rows directly below in key order.
func (e *entry) children() []*entry {
	var list []*entry
	for c := e.child; c != nil; c = c.next {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *entry) int { return a.key.Compare(b.key) })
	return list
}
