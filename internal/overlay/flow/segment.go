// SPDX-License-Identifier: Apache-2.0

package flow

// SegmentFlags returns the TCP flags of segment i, counted from 0, of the n segments a
// super-packet with these flags is cut into: CWR belongs to the first segment, FIN and PSH to
// the last.
func SegmentFlags(flags uint16, i, n int) uint16 {
	if i > 0 {
		flags &^= FlagCWR
	}
	if i < n-1 {
		flags &^= FlagFIN | FlagPSH
	}
	return flags
}

// Join adds the packet of next to the super-packet that c describes, which carries sofar payload
// bytes, and reports whether that was possible: whether cutting the result up again gives both
// back. For TCP that takes the following sequence number with everything else equal; FIN or PSH
// close a super-packet. The caller has seen that both belong to one flow, however each was named,
// and compares the sizes: only the last segment may be shorter, and an empty one never joins.
func (c *Compact) Join(next *Compact, sofar int) bool {
	if c.Kind != next.Kind || c.V6 != next.V6 || c.ECN != next.ECN || c.DSCP != next.DSCP {
		return false
	}
	if c.Kind == KindUDP {
		return true
	}
	const closing, mergeable = FlagFIN | FlagPSH, FlagACK | FlagECE | FlagNS | 0xe00
	if c.Kind != KindTCP || c.Flags&^(mergeable|FlagCWR) != 0 ||
		next.Flags&^(mergeable|closing) != 0 || (c.Flags^next.Flags)&mergeable != 0 {
		return false
	}
	if next.Seq != c.Seq+uint32(sofar) || next.Ack != c.Ack || next.Window != c.Window ||
		next.OptLen != c.OptLen || next.Options != c.Options {
		return false
	}
	c.Flags |= next.Flags & closing
	return true
}

// Portion is how a payload of Total bytes is to be divided: into pieces of Seg bytes, unless less
// than that is left of Room bytes when the compact header has taken its part.
type Portion struct{ Total, Seg, Room int }

// Pieces returns how many bytes each piece has, the last maybe fewer, and how many pieces there
// are, when each has a compact header of the given size. There is always one.
func (k Portion) Pieces(header int) (size, n int) {
	size = max(min(k.Seg, k.Room-header), 1)
	return size, max((k.Total+size-1)/size, 1)
}

// Pieces turns the compact header of a super-packet into those of its pieces, one after the other.
// All are equally long.
type Pieces struct {
	n, size int
	seq     uint32
	flags   uint16
	diff    int32
	mark    uint8
	push    bool // the PSH flag stands in Diff.Push
}

// Pieces prepares for n pieces of size bytes.
func (c *Compact) Pieces(n, size int) Pieces {
	return Pieces{
		n: n, size: size, seq: c.Seq, flags: c.Flags,
		diff: c.Diff.Seq, mark: c.Diff.Mark, push: c.Diff.Base != NoRef && !c.Diff.Flags,
	}
}

// Put makes c, the header of the super-packet, that of piece i, counted from 0. Only the last
// becomes a reference.
func (p *Pieces) Put(c *Compact, i int) {
	c.Seq = p.seq + uint32(i*p.size)
	c.Flags = SegmentFlags(p.flags, i, p.n)
	if c.Kind != KindDiff {
		return
	}
	c.Diff.Seq = p.diff + int32(i*p.size)
	c.Diff.Push = p.push && c.Flags&FlagPSH != 0
	c.Diff.Mark = NoRef
	if i == p.n-1 {
		c.Diff.Mark = p.mark
	}
}
