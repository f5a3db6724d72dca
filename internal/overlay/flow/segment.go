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
