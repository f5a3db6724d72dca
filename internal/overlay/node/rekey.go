// SPDX-License-Identifier: Apache-2.0

package node

import (
	"time"

	"staex/internal/clock"
)

const (
	// rekeyAge is for how much time with packets of a tunnel one Diffie-Hellman is good. Messages
	// about the session and keep-alives do not count: idle devices compute and send nothing.
	rekeyAge = 4 * time.Hour
	// rekeyFrames is for how many frames in one direction it is good, about 80 GB.
	rekeyFrames = 1 << 26
	// rekeyAgain is the least time between two attempts.
	rekeyAgain = 10 * time.Minute
)

// age is how much one session was used since its Diffie-Hellman.
type age struct {
	worked uint32 // seconds in which packets passed
	looked uint32 // when that was last counted, in seconds on the Up clock
	tried  uint32 // last attempt to replace the session, likewise
}

// due counts the use of a session and reports whether a new Diffie-Hellman should replace it. The
// end that began the session does that; the other one only if it did not for as long again.
func (s *liveSession) due(now time.Duration) bool {
	a, second := &s.age, uint32(now/time.Second)
	if s.fast.Data() > time.Duration(a.looked)*time.Second {
		a.worked += min(second-a.looked, uint32(2*sessionSilence/time.Second))
	}
	a.looked = second
	share := uint64(2)
	if s.proof.Began() {
		share = 1
	}
	frames := max(s.fast.Send.Used(), s.fast.Recv.Top())
	return uint64(a.worked) >= share*uint64(rekeyAge/time.Second) || frames >= share*rekeyFrames
}

// rekey replaces the keys of a session that has worked long enough, while it goes on working.
func (n *Node) rekey(now clock.Reading, s *liveSession) {
	c := s.conv
	if !s.due(now.Up) || c.busy() || c.next != nil {
		return
	}
	again := time.Duration(s.age.tried)*time.Second + rekeyAgain
	if s.age.tried == 0 || now.Up >= again {
		s.age.tried = uint32(now.Up / time.Second)
		n.shake(now, c)
	}
}
