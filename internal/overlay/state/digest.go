// SPDX-License-Identifier: Apache-2.0

package state

import (
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"golang.org/x/crypto/blake2s"

	"staex/internal/ident"
)

// sumOf tells two records with one sequence number apart. Whoever signs both can make them collide,
// and gains that the second is taken for the first.
func sumOf(encoded []byte) uint32 { return crc32.ChecksumIEEE(encoded) }

// digestKey keys the digests of one link. It cannot be printed.
type digestKey struct{ b [digestKeySize]byte }

const (
	// digestKeySize makes key, row key and sequence number fill one block of the hash.
	digestKeySize = blake2s.BlockSize - ident.KeySize - 8
	// digestLabel separates the key of the digests from every other use of a link's key.
	digestLabel = "staex digest v1"
)

// Format hides the key from every verb of package fmt.
func (digestKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[secret]") }

// newDigestKey derives the key from that of the link.
func newDigestKey(link [32]byte) (key digestKey) {
	h, err := blake2s.New256(link[:])
	if err != nil {
		panic("state: a 32-byte key was refused: " + err.Error())
	}
	h.Write([]byte(digestLabel))
	copy(key.b[:], h.Sum(nil))
	return key
}

// hasher makes the hashes of many rows: BLAKE2s-256 over the digest key, the row's key and its
// sequence number in 8 bytes.
type hasher struct{ block [blake2s.BlockSize]byte }

func newHasher(key *digestKey) *hasher {
	x := &hasher{}
	copy(x.block[:], key.b[:])
	return x
}

func (x *hasher) row(key *ident.NodeID, seq uint64) [blake2s.Size]byte {
	copy(x.block[digestKeySize:], key[:])
	binary.BigEndian.PutUint64(x.block[digestKeySize+ident.KeySize:], seq)
	return blake2s.Sum256(x.block[:])
}

// short is what one row adds to the digest in a keep-alive.
func (x *hasher) short(r *row) uint32 {
	sum := x.row(&r.key, r.seqNumber())
	return binary.BigEndian.Uint32(sum[:])
}

// digest is a sum over rows that does not depend on their order. It is made when it is first asked
// for, and kept from then on: a table that only grows pays nothing.
type digest struct {
	key   digestKey
	total uint32
	made  bool
}

// setKey changes the key. What was made under the same one stays.
func (d *digest) setKey(link [32]byte) {
	key := newDigestKey(link)
	if subtle.ConstantTimeCompare(d.key.b[:], key.b[:]) != 1 {
		*d = digest{key: key}
	}
}

func (d *digest) add(r *row) {
	if d.made {
		d.total += newHasher(&d.key).short(r)
	}
}

func (d *digest) remove(r *row) {
	if d.made {
		d.total -= newHasher(&d.key).short(r)
	}
}

// bytes returns the digest; each walks the rows it is about.
func (d *digest) bytes(each func(visit func(*row))) (b [4]byte) {
	if !d.made {
		x := newHasher(&d.key)
		d.total = 0
		each(func(r *row) { d.total += x.short(r) })
		d.made = true
	}
	binary.BigEndian.PutUint32(b[:], d.total)
	return b
}

// SetKeyVia sets the secret under which the digests of one link are made. Both ends of a link use
// the same key. Without a call the key is all zero.
func (t *Table) SetKeyVia(via Via, key [32]byte) { t.branch(via).sum.setKey(key) }

// DigestVia is the digest of all rows of one link, as the neighbour there computes it over its
// whole table. The first call takes time in proportion to the rows.
func (t *Table) DigestVia(via Via) [4]byte {
	b := t.lookBranch(via)
	if b == nil {
		return [4]byte{}
	}
	return b.sum.bytes(func(visit func(*row)) { t.subtrees(b, visit) })
}

// SetKey sets the secret under which the digests of the whole table are made.
func (t *Table) SetKey(key [32]byte) { t.sum.setKey(key) }

// DigestAll is the digest of the whole table, the node's own rows included. The first call after
// SetKey gave another key takes time in proportion to the table.
func (t *Table) DigestAll() [4]byte { return t.sum.bytes(t.eachRow) }

// eachRow calls visit with all rows in any order.
func (t *Table) eachRow(visit func(*row)) {
	for id := range t.store.used {
		if r := t.store.at(id); r.kind != 0 {
			visit(r)
		}
	}
}

// subtrees calls visit with all rows of a branch, parents first.
func (t *Table) subtrees(b *branch, visit func(*row)) {
	for c := b.child; c != noRow; c = t.store.at(c).next {
		t.subtree(c, func(id rowID) { visit(t.store.at(id)) })
	}
}

// Digest computes the digest of the chosen rows under a key from scratch. It takes time in
// proportion to the table.
func (t *Table) Digest(key [32]byte, chosen func(Row) bool) uint32 {
	derived := newDigestKey(key)
	x := newHasher(&derived)
	var total uint32
	t.Each(func(r Row) bool {
		if chosen(r) {
			sum := x.row(&r.Key, r.Seq)
			total += binary.BigEndian.Uint32(sum[:])
		}
		return true
	})
	return total
}
