// SPDX-License-Identifier: Apache-2.0

package wire

// Reasons of PathNo. A receiver treats a number that it does not know as PathRefused.
const (
	PathNoRoute   = 1 // nobody on the way knows the key
	PathLoop      = 2 // the set-up id has been here before
	PathRefused   = 3 // the key does not talk to this caller
	PathQuota     = 4 // too many paths on the link
	PathNoSession = 5 // nothing to resume: begin anew
	PathHops      = 6 // no hops are left
)

// PathNo is control message 4: the path could not be laid. It goes back the way Path
// came, until a relay has another way to try.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|  set-up id (8)                                                |
//	+---------------+-----------------------------------------------+
//	|    reason     |
//	+---------------+
//
//	offset  size  field
//	0       8     set-up id, from Path
//	8       1     reason: 1 no route, 2 loop, 3 refused, 4 quota, 5 no session, 6 hops
type PathNo struct {
	ID     [8]byte // the id of the Path that is answered
	Reason uint8   // PathNoRoute to PathHops, or a later one; never 0
}

// Append appends the encoded body to dst.
func (p PathNo) Append(dst []byte) []byte {
	return append(append(dst, p.ID[:]...), p.Reason)
}

// ParsePathNo reads the body of a message. Reasons that are not known parse, because
// they refuse all the same.
func ParsePathNo(b []byte) (PathNo, error) {
	c := cursor{frame: "path-no", b: b}
	p := PathNo{ID: c.id(), Reason: c.u8("reason")}
	if c.err == nil && p.Reason == 0 {
		c.fail("reason", ErrBadValue)
	}
	if err := c.end(); err != nil {
		return PathNo{}, err
	}
	return p, nil
}
