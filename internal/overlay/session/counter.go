// SPDX-License-Identifier: Apache-2.0

package session

// A counter, and what of it travels:
//
//	63                24 23 22 21            16 15              0
//	+-------------------+-----+----------------+-----------------+
//	|       epoch .. .. | .. e|   within the epoch (22 bits)     |
//	+-------------------+-----+----------------+-----------------+
//	                    |<-e->|                |<---- short ---->|
//	          |<------------------ long (32 bits) -------------->|
//
// The low two bits of the epoch (e) are in byte 0 of every frame.
const (
	shortBits = 16
	longBits  = 32
	epochMask = 3 // the epoch bits that travel
	withinMax = 1<<EpochBits - 1
)

// Epoch returns the two bits of the counter's epoch that a frame carries.
func Epoch(ctr uint64) uint8 { return uint8(ctr>>EpochBits) & epochMask }

// nearest returns the counter closest to top whose low 16 or 32 bits are low and whose epoch
// bits are epoch; of two at the same distance, the higher. It is false if there is none.
func nearest(top uint64, epoch uint8, low uint32, long bool) (uint64, bool) {
	if long {
		c := closest(top, uint64(low), longBits)
		return c, Epoch(c) == epoch
	}
	if low>>shortBits != 0 || epoch > epochMask {
		return 0, false
	}
	c := closest(top, uint64(low), shortBits)
	if Epoch(c) == epoch {
		return c, true
	}
	if Epoch(top) == epoch { // the closest lies just across the border of top's own epoch
		if c > top {
			return c - 1<<shortBits, true
		}
		return c + 1<<shortBits, true
	}
	now := top >> EpochBits
	next := now + (uint64(epoch)-now)&epochMask // the first epoch above with these bits
	above := next<<EpochBits | uint64(low)
	if next <= epochMask { // there is none below
		return above, true
	}
	const last = withinMax &^ (1<<shortBits - 1)
	below := (next-epochMask-1)<<EpochBits | last | uint64(low)
	if top-below < above-top {
		return below, true
	}
	return above, true
}

// closest returns the value nearest to top that ends in the given low bits.
func closest(top, low uint64, bits uint) uint64 {
	span := uint64(1) << bits
	c := top&^(span-1) | low
	switch {
	case c > top && c-top > span/2 && c >= span:
		return c - span
	case c < top && top-c >= span/2:
		return c + span
	}
	return c
}
