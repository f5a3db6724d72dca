// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"errors"
	"testing"

	"staex/internal/overlay/session"
)

// end is one side of a session that may be resumed.
type end struct {
	send *session.Sender
	recv *session.Receiver
	*session.Prover
}

func ends(suite session.Suite) (a, b *end) {
	k := session.Keys{Send: key(1), Recv: key(2), Chain: key(3)}
	o := session.Keys{Send: key(2), Recv: key(1), Chain: key(3)}
	side := func(k session.Keys, initiator bool) *end {
		prover := session.NewProver(k, initiator)
		return &end{
			session.NewSender(k.Send, suite),
			session.NewReceiver(k.Recv, suite, session.WindowSession),
			&prover,
		}
	}
	return side(k, true), side(o, false)
}

func ask(t *testing.T, e *end, id byte) session.Proof {
	t.Helper()
	p, ok := e.Ask(e.send, [8]byte{id})
	if !ok {
		t.Fatal("no proof")
	}
	return p
}

func answer(t *testing.T, e *end, id byte) session.Proof {
	t.Helper()
	p, ok := e.Answer(e.send, [8]byte{id})
	if !ok {
		t.Fatal("no proof")
	}
	return p
}

func expects(e *end, p session.Proof) bool {
	tags := e.Expect()
	return p.Tag == tags[0] || p.Tag == tags[1]
}

// resume lets one end ask and the other answer; the ask or the answer may get lost.
func resume(t *testing.T, from, to *end, id byte, loseAsk, loseAnswer bool) {
	t.Helper()
	p := ask(t, from, id)
	if loseAsk {
		return
	}
	if !expects(to, p) {
		t.Fatalf("the ask %d cannot be found by its tag", id)
	}
	if err := to.CheckAsk(to.recv, [8]byte{id}, p); err != nil {
		t.Fatalf("ask %d: %v", id, err)
	}
	q := answer(t, to, id)
	if loseAnswer {
		return
	}
	if err := from.CheckAnswer(from.recv, [8]byte{id}, q); err != nil {
		t.Fatalf("answer %d: %v", id, err)
	}
}

func TestASessionIsResumedByEitherEndAnyNumberOfTimes(t *testing.T) {
	for _, suite := range suites {
		a, b := ends(suite)
		for i := range byte(20) {
			resume(t, a, b, i, false, false)
			resume(t, b, a, i, false, false)
		}
	}
}

func TestNoLossOfAsksOrAnswersPutsTheEndsOutOfStep(t *testing.T) {
	for pattern := range 1 << 10 {
		a, b := ends(session.ChaCha)
		for i := range byte(5) {
			bits := pattern >> (2 * i)
			resume(t, a, b, i, bits&1 != 0, bits&2 != 0)
		}
		resume(t, a, b, 99, false, false)
		resume(t, b, a, 99, false, false)
	}
}

func TestTheTagOfEachResumptionIsNew(t *testing.T) {
	a, b := ends(session.ChaCha)
	seen := map[[8]byte]bool{}
	for i := range byte(50) {
		tag := ask(t, a, i).Tag
		if seen[tag] {
			t.Fatalf("tag %x came twice", tag)
		}
		seen[tag] = true
		resume(t, a, b, i, false, false)
	}
}

func TestAProofIsGoodOnceForOneSetUpAndOneRole(t *testing.T) {
	id := [8]byte{7}
	tests := []struct {
		name string
		try  func(a, b *end, p session.Proof) error
		want error
	}{
		{"as it is", func(_, b *end, p session.Proof) error {
			return b.CheckAsk(b.recv, id, p)
		}, nil},
		{"twice", func(_, b *end, p session.Proof) error {
			_ = b.CheckAsk(b.recv, id, p)
			return b.CheckAsk(b.recv, id, p)
		}, session.ErrReplay},
		{"for another set-up", func(_, b *end, p session.Proof) error {
			return b.CheckAsk(b.recv, [8]byte{8}, p)
		}, session.ErrOpen},
		{"with another counter", func(_, b *end, p session.Proof) error {
			p.Counter++
			return b.CheckAsk(b.recv, id, p)
		}, session.ErrOpen},
		{"with a counter far ahead", func(_, b *end, p session.Proof) error {
			p.Counter += (session.EpochsAhead + 1) << session.EpochBits
			return b.CheckAsk(b.recv, id, p)
		}, session.ErrEpoch},
		{"with another tag", func(_, b *end, p session.Proof) error {
			p.Tag[0]++
			return b.CheckAsk(b.recv, id, p)
		}, session.ErrOpen},
		{"with the tag of the last one", func(_, b *end, p session.Proof) error {
			p.Tag = b.Expect()[0]
			return b.CheckAsk(b.recv, id, p)
		}, session.ErrOpen},
		{"with another MAC", func(_, b *end, p session.Proof) error {
			p.MAC[15] ^= 1
			return b.CheckAsk(b.recv, id, p)
		}, session.ErrOpen},
		{"back to its sender", func(a, _ *end, p session.Proof) error {
			return a.CheckAsk(a.recv, id, p)
		}, session.ErrOpen},
		{"as an answer to its sender", func(a, _ *end, p session.Proof) error {
			return a.CheckAnswer(a.recv, id, p)
		}, session.ErrOpen},
		{"after data with the same counter", func(_, b *end, p session.Proof) error {
			return b.CheckAsk(b.recv, id, session.Proof{Tag: p.Tag, MAC: p.MAC})
		}, session.ErrReplay},
	}
	for _, suite := range suites {
		for _, x := range tests {
			t.Run(suite.String()+" "+x.name, func(t *testing.T) {
				a, b := ends(suite)
				p := ask(t, a, 7)
				if err := x.try(a, b, p); !errors.Is(err, x.want) {
					t.Fatalf("got %v, want %v", err, x.want)
				}
				if x.want != nil && x.name != "twice" {
					if err := b.CheckAsk(b.recv, id, p); err != nil {
						t.Errorf("the genuine one failed afterwards: %v", err)
					}
				}
			})
		}
	}
}

func TestAProofIsNoFrameAndAFrameNoProof(t *testing.T) {
	a, b := ends(session.ChaCha)
	p := ask(t, a, 1)
	for aad := range 256 {
		_, _, err := b.recv.Open(nil, 0, uint32(p.Counter), true, byte(aad), p.MAC[:])
		if !errors.Is(err, session.ErrOpen) {
			t.Fatalf("opened as a frame with byte 0 %#x", aad)
		}
	}
	ctr := a.send.Reserve(1)
	sealed := a.send.Seal(nil, ctr, 0x10, nil)
	p = session.Proof{Tag: b.Expect()[1], Counter: ctr, MAC: [16]byte(sealed)}
	if err := b.CheckAsk(b.recv, [8]byte{1}, p); !errors.Is(err, session.ErrOpen) {
		t.Fatalf("an empty frame passed for a proof: %v", err)
	}
}

func TestOfTwoAsksTheLaterCounts(t *testing.T) {
	a, b := ends(session.ChaCha)
	early, late := ask(t, a, 1), ask(t, a, 2)
	if err := b.CheckAsk(b.recv, [8]byte{2}, late); err != nil {
		t.Fatal(err)
	}
	if err := b.CheckAsk(b.recv, [8]byte{1}, early); !errors.Is(err, session.ErrReplay) {
		t.Errorf("the earlier ask came late and got %v", err)
	}
}

func TestAnAnswerFitsItsAskOnly(t *testing.T) {
	a, b := ends(session.ChaCha)
	p := ask(t, a, 1)
	if err := b.CheckAsk(b.recv, [8]byte{1}, p); err != nil {
		t.Fatal(err)
	}
	q := answer(t, b, 1)
	forged := q
	forged.Tag[7] ^= 1
	for name, err := range map[string]error{
		"another id":  a.CheckAnswer(a.recv, [8]byte{2}, q),
		"another tag": a.CheckAnswer(a.recv, [8]byte{1}, forged),
	} {
		if !errors.Is(err, session.ErrOpen) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := a.CheckAnswer(a.recv, [8]byte{1}, q); err != nil {
		t.Error(err)
	}
	if err := a.CheckAnswer(a.recv, [8]byte{1}, q); err == nil {
		t.Error("an answer passed twice")
	}
}

func TestASessionIsResumedAcrossEpochs(t *testing.T) {
	a, b := ends(session.AESGCM)
	for i := range byte(10) {
		a.send.Ratchet()
		resume(t, a, b, i, i%2 == 0, i%3 == 0)
	}
	resume(t, a, b, 11, false, false)
	mustOpen(t, b.recv, next(a.send, "data"), "data")
}

func TestANudgeIsBoundToItsLinkAndItsBytes(t *testing.T) {
	sum := session.NudgeMAC(key(1), []byte("nudge"))
	if !session.CheckNudgeMAC(key(1), []byte("nudge"), sum) {
		t.Error("the genuine one fails")
	}
	bad := sum
	bad[7] ^= 1
	if session.CheckNudgeMAC(key(2), []byte("nudge"), sum) ||
		session.CheckNudgeMAC(key(1), []byte("nudgf"), sum) ||
		session.CheckNudgeMAC(key(1), []byte("nudge"), bad) {
		t.Error("a forged one passes")
	}
}
