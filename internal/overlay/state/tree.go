// SPDX-License-Identifier: Apache-2.0

package state

import (
	"math"
	"slices"

	"staex/internal/ident"
)

// branch is everything that is reached through one link: the neighbour's own row, and below it
// all others. Branch 0 holds the rows of this node.
type branch struct {
	via   Via
	id    rowID // what the rows directly below have as their parent
	child rowID
	rows  int32
	quota int32
	sum   digest
}

func (t *Table) lookBranch(via Via) *branch {
	if id, ok := t.branches[via]; ok {
		return t.roots[id&^rootBit]
	}
	return nil
}

// branch returns the branch of a link and makes it if there is none.
func (t *Table) branch(via Via) *branch {
	if b := t.lookBranch(via); b != nil {
		return b
	}
	b := &branch{via: via, child: noRow, quota: int32(min(t.limits.PerVia, math.MaxInt32))}
	b.sum.key = t.zero
	if via == Self {
		b.quota = math.MaxInt32 // our own rows are bounded by the table alone
	}
	if last := len(t.spare) - 1; last >= 0 {
		b.id, t.spare = t.spare[last], t.spare[:last]
		t.roots[b.id&^rootBit] = b
	} else {
		b.id = rowID(len(t.roots)) | rootBit
		t.roots = append(t.roots, b)
	}
	t.branches[via] = b.id
	return b
}

func (t *Table) dropBranch(b *branch) {
	delete(t.branches, b.via)
	t.roots[b.id&^rootBit] = nil
	t.spare = append(t.spare, b.id)
}

func isRoot(id rowID) bool { return id&rootBit != 0 }

// firstChild is where the list of rows below a row or branch begins.
func (t *Table) firstChild(id rowID) *rowID {
	if isRoot(id) {
		return &t.roots[id&^rootBit].child
	}
	return &t.store.at(id).child
}

// climb walks to the branch of a row or of itself. It returns how many rows were met.
func (t *Table) climb(id rowID) (b *branch, depth int) {
	for ; !isRoot(id); id = t.store.at(id).parent {
		depth++
	}
	return t.roots[id&^rootBit], depth
}

// below reports whether id is top or somewhere under it.
func (t *Table) below(id, top rowID) bool {
	for ; !isRoot(id); id = t.store.at(id).parent {
		if id == top {
			return true
		}
	}
	return false
}

// subtree calls visit with a row and all rows under it, parents first. It returns how many levels
// there are. The depth is bounded by MaxDepth, because no deeper row is admitted.
func (t *Table) subtree(id rowID, visit func(rowID)) (height int) {
	visit(id)
	for c := t.store.at(id).child; c != noRow; c = t.store.at(c).next {
		height = max(height, t.subtree(c, visit))
	}
	return height + 1
}

// measure counts the rows of a subtree and its levels.
func (t *Table) measure(id rowID) (rows, height int) {
	height = t.subtree(id, func(rowID) { rows++ })
	return rows, height
}

func (t *Table) attach(id, parent rowID) {
	r, first := t.store.at(id), t.firstChild(parent)
	r.parent, r.prev, r.next = parent, noRow, *first
	if r.next != noRow {
		t.store.at(r.next).prev = id
	}
	*first = id
}

func (t *Table) detach(id rowID) {
	r := t.store.at(id)
	if r.prev != noRow {
		t.store.at(r.prev).next = r.next
	} else {
		*t.firstChild(r.parent) = r.next
	}
	if r.next != noRow {
		t.store.at(r.next).prev = r.prev
	}
	r.parent, r.prev, r.next = noRow, noRow, noRow
}

// children lists the rows directly below a row or branch in key order.
func (t *Table) children(id rowID) []rowID {
	var list []rowID
	for c := *t.firstChild(id); c != noRow; c = t.store.at(c).next {
		list = append(list, c)
	}
	t.sort(list)
	return list
}

func (t *Table) sort(list []rowID) {
	slices.SortFunc(list, func(a, b rowID) int {
		return t.store.at(a).key.Compare(t.store.at(b).key)
	})
}

// childRows lists what is directly below a key in key order. Below this node itself hang the
// heads of all branches.
func (t *Table) childRows(key ident.NodeID) []rowID {
	if key != t.self {
		if id, ok := t.order.get(&key); ok {
			return t.children(id)
		}
		return nil
	}
	var list []rowID
	for _, b := range t.roots {
		if b == nil {
			continue
		}
		for c := b.child; c != noRow; c = t.store.at(c).next {
			if t.store.at(c).key != t.self {
				list = append(list, c)
			}
		}
	}
	t.sort(list)
	return list
}
