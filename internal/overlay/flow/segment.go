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
// bytes, and reports whether that was possible. It was if cutting the result up again gives both
// back: same flow and, for TCP, the following sequence number with everything else equal. FIN or
// PSH close a super-packet. Sizes are the caller's to compare: only the last segment may be
// shorter, and an empty one cannot be joined.
func (c *Compact) Join(next *Compact, sofar int) bool {
	if c.Kind != next.Kind || c.V6 != next.V6 || c.ECN != next.ECN || c.DSCP != next.DSCP ||
		c.Announce != next.Announce || c.Slot != next.Slot || c.Target != next.Target ||
		c.Port != next.Port {
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
