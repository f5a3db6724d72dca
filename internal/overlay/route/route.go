// SPDX-License-Identifier: Apache-2.0

// Package route is the way: by which link a key is reached, and which nodes lie between two keys.
// It reads the table of records and never changes it.
package route

import (
	"slices"

	"staex/internal/ident"
	"staex/internal/overlay/state"
)

// MaxHops is how many parents are followed from one key before the walk gives up. The table admits
// no row that is deeper.
const MaxHops = state.MaxDepth

// Next returns the link that leads to dest: state.Self when dest is this node or one of its own
// endpoints. ok is false when dest is not known below this node; the packet then goes to the
// parent, and at a root there is no route. It takes time in proportion to the depth of dest.
func Next(t *state.Table, self, dest ident.NodeID) (via state.Via, ok bool) {
	if dest == self {
		return state.Self, true
	}
	at := dest
	for range MaxHops {
		parent, known := t.Parent(at)
		if !known {
			return 0, false
		}
		if parent == self {
			return t.Branch(at)
		}
		at = parent
	}
	return 0, false // a cycle, or too deep to be reached
}

// Path returns the keys from one to another, both included, over their lowest common ancestor. Each
// key has one active parent, so this is the only way and the shortest. Keys that are known only as
// somebody's parent, such as this node's own, can begin or end a path. ok is false when no
// common ancestor is known.
func Path(t *state.Table, from, to ident.NodeID) (path []ident.NodeID, ok bool) {
	up := ancestors(t, from)
	down := ancestors(t, to)
	at := make(map[ident.NodeID]int, len(up))
	for i, key := range up {
		at[key] = i
	}
	for j, key := range down {
		if i, common := at[key]; common {
			path = append(path, up[:i+1]...)
			below := down[:j]
			slices.Reverse(below)
			return append(path, below...), true
		}
	}
	return nil, false
}

// ancestors lists a key, its parent, and so on up to the first that is not in the table, is a
// root, or was met before.
func ancestors(t *state.Table, key ident.NodeID) []ident.NodeID {
	chain := []ident.NodeID{key}
	met := map[ident.NodeID]bool{key: true}
	for len(chain) <= 2*MaxHops {
		parent, ok := t.Parent(chain[len(chain)-1])
		if !ok || parent.IsZero() || met[parent] {
			break
		}
		met[parent] = true
		chain = append(chain, parent)
	}
	return chain
}
