// SPDX-License-Identifier: Apache-2.0

package wire

// MaxStatement bounds a signed statement in bytes.
const MaxStatement = 320

// Resign is control message 23: the signed statement of a member that its own key is no
// longer to be trusted.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|  signed resignation (r) ...                                   |
//	+---------------------------------------------------------------+
//
//	offset  size  field
//	0       r     resignation, 1 to 320 bytes
type Resign struct {
	Statement []byte // encoded signed resignation, 1 to MaxStatement bytes
}

// Append appends the encoded body to dst. It panics when the statement breaks its bound.
func (r Resign) Append(dst []byte) []byte { return appendStatement(dst, r.Statement) }

// ParseResign reads the body of a message. It does not look into the statement.
func ParseResign(b []byte) (Resign, error) {
	c := cursor{frame: "resign", b: b}
	r := Resign{Statement: c.rest("statement", 1, MaxStatement)}
	if err := c.end(); err != nil {
		return Resign{}, err
	}
	return r, nil
}

// Time is control message 24: the signed statement of a member with the role time that a
// moment has passed.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|  signed statement of the time (t) ...                         |
//	+---------------------------------------------------------------+
//
//	offset  size  field
//	0       t     statement, 1 to 320 bytes
type Time struct {
	Statement []byte // encoded signed statement, 1 to MaxStatement bytes
}

// Append appends the encoded body to dst. It panics when the statement breaks its bound.
func (t Time) Append(dst []byte) []byte { return appendStatement(dst, t.Statement) }

// ParseTime reads the body of a message. It does not look into the statement.
func ParseTime(b []byte) (Time, error) {
	c := cursor{frame: "time", b: b}
	t := Time{Statement: c.rest("statement", 1, MaxStatement)}
	if err := c.end(); err != nil {
		return Time{}, err
	}
	return t, nil
}

func appendStatement(dst, statement []byte) []byte {
	mustFit("statement", len(statement), 1, MaxStatement)
	return append(dst, statement...)
}
