// SPDX-License-Identifier: Apache-2.0

package state

import (
	"math"

	"staex/internal/ident"
)

// rowID is the number of a row. With rootBit set it is the number of a branch instead, which
// stands above the rows directly below this node.
type rowID uint32

const (
	noRow   rowID = math.MaxUint32
	rootBit rowID = 1 << 31

	// maxNetworks is how many networks may have rows: a row says which one in 16 bits.
	maxNetworks = 1 << 16

	// chunkRows rows are allocated at once: 18 KiB, which the allocator has a size for.
	chunkRows = 256
)

// row is one key as the table keeps it: 40 bytes beside the key, and no pointer that the garbage
// collector would have to follow. What was signed lies in the log.
type row struct {
	key     ident.NodeID
	offset  uint64 // of the entry in the log, noEntry if the bytes were not kept
	parent  rowID  // the row above, or the branch
	child   rowID  // first of the rows below
	prev    rowID  // siblings
	next    rowID  // next sibling; of a free row the next free one
	sum     uint32 // checksum of the signed bytes
	network uint16 // number of the network
	size    uint16 // of the entry in the log
	seq     [6]byte
	kind    Kind // 0: the row is free
	age     uint8
}

// rowStore allocates rows in chunks that never move.
type rowStore struct {
	chunks []*[chunkRows]row
	used   rowID // rows below this number were given out at least once
	free   rowID // head of the list of free rows
	count  int
}

func (s *rowStore) at(id rowID) *row { return &s.chunks[id/chunkRows][id%chunkRows] }

func (s *rowStore) alloc() rowID {
	s.count++
	id := s.free
	if id != noRow {
		s.free = s.at(id).next
		return id
	}
	id = s.used
	if int(id/chunkRows) == len(s.chunks) {
		s.chunks = append(s.chunks, new([chunkRows]row))
	}
	s.used++
	return id
}

func (s *rowStore) release(id rowID) {
	*s.at(id) = row{next: s.free}
	s.free = id
	s.count--
}

func (r *row) seqNumber() uint64 {
	b := r.seq
	return uint64(b[0])<<40 | uint64(b[1])<<32 | uint64(b[2])<<24 |
		uint64(b[3])<<16 | uint64(b[4])<<8 | uint64(b[5])
}

func (r *row) setSeq(n uint64) {
	r.seq = [6]byte{
		byte(n >> 40), byte(n >> 32), byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n),
	}
}

// networkBook gives the networks that have rows a number.
type networkBook struct {
	number map[ident.NetworkHash]uint16
	list   []networkRows
	free   []uint16
}

type networkRows struct {
	hash ident.NetworkHash
	rows int
}

func (b *networkBook) rows(h ident.NetworkHash) int {
	if i, ok := b.number[h]; ok {
		return b.list[i].rows
	}
	return 0
}

// hasRoom reports whether a row of this network can be numbered.
func (b *networkBook) hasRoom(h ident.NetworkHash) bool {
	_, known := b.number[h]
	return known || len(b.free) > 0 || len(b.list) < maxNetworks
}

// add counts one more row; the caller has asked hasRoom.
func (b *networkBook) add(h ident.NetworkHash) uint16 {
	i, ok := b.number[h]
	if !ok {
		if last := len(b.free) - 1; last >= 0 {
			i, b.free = b.free[last], b.free[:last]
		} else {
			i = uint16(len(b.list))
			b.list = append(b.list, networkRows{})
		}
		b.list[i].hash = h
		b.number[h] = i
	}
	b.list[i].rows++
	return i
}

func (b *networkBook) remove(i uint16) {
	n := &b.list[i]
	if n.rows--; n.rows == 0 {
		delete(b.number, n.hash)
		b.free = append(b.free, i)
	}
}
