// SPDX-License-Identifier: Apache-2.0

package wire

import "encoding/binary"

// Resume is the body of a Path of kind PathResume, and of the PathOK that answers it: proof
// that its sender has a session with the receiver, who may go on with the keys of old.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|  session tag (8)                                              |
//	+---------------------------------------------------------------+
//	|  counter (8)                                                  |
//	+---------------------------------------------------------------+
//	|  authentication tag (16)                                      |
//	+---------------------------------------------------------------+
//
//	offset  size  field
//	0       8     session tag
//	8       8     counter of the sender's direction, whole
//	16      16    authentication tag over nothing, see docs/key-schedule.md
type Resume struct {
	Tag     [8]byte       // by which the receiver finds the session
	Counter uint64        // counter of the sender's direction, used for nothing else
	MAC     [TagSize]byte // authenticates set-up id and tag under the session's keys
}

// Append appends the encoded body to dst.
func (r Resume) Append(dst []byte) []byte {
	dst = append(dst, r.Tag[:]...)
	dst = binary.BigEndian.AppendUint64(dst, r.Counter)
	return append(dst, r.MAC[:]...)
}

// ParseResume reads the whole body of a Path or PathOK.
func ParseResume(b []byte) (Resume, error) {
	c := cursor{frame: "resume", b: b}
	var r Resume
	copy(r.Tag[:], c.take("tag", len(r.Tag)))
	r.Counter = c.u64("counter")
	r.MAC = c.mac("mac")
	if err := c.end(); err != nil {
		return Resume{}, err
	}
	return r, nil
}
