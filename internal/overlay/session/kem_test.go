// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"bytes"
	"errors"
	"testing"

	"staex/internal/overlay/session"
)

// agreedKeys are the keys of a handshake, seen from both sides.
func agreedKeys() (initiator, responder session.Keys) {
	initiator = session.Keys{Send: key(1), Recv: key(2), Chain: key(3), Hash: key(4)}
	responder = session.Keys{Send: key(2), Recv: key(1), Chain: key(3), Hash: key(4)}
	return initiator, responder
}

func newKEM(t *testing.T, seed byte) *session.KEM {
	t.Helper()
	kem, err := session.NewKEM(dice(seed))
	if err != nil {
		t.Fatal(err)
	}
	return kem
}

func sameKeys(a, b session.Keys) bool {
	return a.Send == b.Send && a.Recv == b.Recv && a.Chain == b.Chain && a.Hash == b.Hash
}

func turnedAround(k session.Keys) session.Keys {
	k.Send, k.Recv = k.Recv, k.Send
	return k
}

func TestBothSidesOfAnExchangeHaveTheSameNewKeys(t *testing.T) {
	ours, theirs := agreedKeys()
	kem := newKEM(t, 1)
	if len(kem.Public()) != session.KEMKeySize {
		t.Fatalf("a key of %d bytes", len(kem.Public()))
	}
	answer, mixed, err := session.AnswerKEM(theirs, kem.Public(), dice(2))
	if err != nil || len(answer) != session.KEMAnswerSize {
		t.Fatalf("%d bytes, %v", len(answer), err)
	}
	got, err := kem.Mix(ours, answer)
	if err != nil || !sameKeys(got, turnedAround(mixed)) {
		t.Errorf("the keys differ, %v", err)
	}
	for name, k := range map[string][32]byte{
		"send": got.Send, "recv": got.Recv, "chain": got.Chain,
		"hash": got.Hash,
	} {
		if k == ours.Send || k == ours.Recv || k == ours.Chain || k == ours.Hash {
			t.Errorf("%s is a key of the handshake", name)
		}
	}
	again, same, err := session.AnswerKEM(theirs, kem.Public(), dice(2))
	if err != nil || !bytes.Equal(again, answer) || !sameKeys(same, mixed) {
		t.Error("equal dice make another answer")
	}
}

func TestNewKeysNeedTheHandshakeTheSecretAndTheTranscript(t *testing.T) {
	ours, theirs := agreedKeys()
	kem := newKEM(t, 1)
	answer, mixed, err := session.AnswerKEM(theirs, kem.Public(), dice(2))
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 500, session.KEMAnswerSize - 1} {
		flipped := bytes.Clone(answer)
		flipped[i] ^= 1
		got, err := kem.Mix(ours, flipped)
		if err != nil || got.Send == mixed.Recv || got.Chain == mixed.Chain {
			t.Errorf("a flipped bit at %d changes nothing, %v", i, err)
		}
	}
	other := ours
	other.Chain[0] ^= 1
	if got, _ := kem.Mix(other, answer); got.Send == mixed.Recv {
		t.Error("another chain leads to the same keys")
	}
	other = ours
	other.Hash[0] ^= 1
	if got, _ := kem.Mix(other, answer); got.Send == mixed.Recv {
		t.Error("another transcript leads to the same keys")
	}
}

func TestWhatIsNotOfMLKEMIsRefused(t *testing.T) {
	ours, theirs := agreedKeys()
	kem := newKEM(t, 1)
	public := kem.Public()
	outside := bytes.Clone(public)
	outside[0], outside[1] = 0xff, 0xff // a coefficient above the modulus
	for _, b := range [][]byte{nil, public[1:], append(bytes.Clone(public), 0), outside} {
		if _, _, err := session.AnswerKEM(theirs, b, dice(2)); !errors.Is(err, session.ErrKEM) {
			t.Errorf("a key of %d bytes: %v", len(b), err)
		}
	}
	for _, n := range []int{0, session.KEMAnswerSize - 1, session.KEMAnswerSize + 1} {
		if _, err := kem.Mix(ours, make([]byte, n)); !errors.Is(err, session.ErrKEM) {
			t.Errorf("an answer of %d bytes: %v", n, err)
		}
	}
	if _, err := session.NewKEM(bytes.NewReader(make([]byte, 63))); err == nil {
		t.Error("63 bytes were enough")
	}
	few := bytes.NewReader(make([]byte, 31))
	if _, _, err := session.AnswerKEM(theirs, public, few); err == nil {
		t.Error("31 bytes were enough")
	}
}

// switching is what a Sender and a Pair have in common, expecting what a Receiver and a Pair do.
type switching interface {
	Reserve(n int) uint64
	Seal(dst []byte, ctr uint64, aad byte, plaintext []byte) []byte
	Switch(key [32]byte)
	Ratchet() bool
}

type expecting interface {
	Open(dst []byte, epoch uint8, low uint32, long bool, aad byte,
		sealed []byte) ([]byte, uint64, error)
	Expect(key [32]byte)
	Turned() bool
}

func TestFramesUnderBothKeysOpenInAnyOrderAroundASwitch(t *testing.T) {
	type ends struct {
		s switching
		r expecting
	}
	for name, e := range map[string]ends{
		"ChaCha": {
			session.NewSender(key(1), session.ChaCha),
			session.NewReceiver(key(1), session.ChaCha, session.WindowLink),
		},
		"AES": {
			session.NewSender(key(1), session.AESGCM),
			session.NewReceiver(key(1), session.AESGCM, session.WindowLink),
		},
		"pair": {
			session.NewPair(session.Keys{Send: key(1)}),
			session.NewPair(session.Keys{Recv: key(1)}),
		},
	} {
		t.Run(name, func(t *testing.T) {
			type frame struct {
				ctr    uint64
				sealed []byte
			}
			seal := func() frame {
				ctr := e.s.Reserve(1)
				return frame{ctr, e.s.Seal(nil, ctr, 1, []byte("x"))}
			}
			open := func(f frame) error {
				epoch := session.Epoch(f.ctr)
				_, _, err := e.r.Open(nil, epoch, uint32(f.ctr), true, 1, f.sealed)
				return err
			}
			opens := func(frames ...frame) {
				t.Helper()
				for _, f := range frames {
					if err := open(f); err != nil {
						t.Errorf("counter %#x: %v", f.ctr, err)
					}
					if err := open(f); !errors.Is(err, session.ErrReplay) {
						t.Errorf("counter %#x again: %v", f.ctr, err)
					}
				}
			}
			opens(seal())
			late, reserved := seal(), e.s.Reserve(1)
			e.s.Switch(key(9))
			first, second := seal(), seal()
			between := frame{reserved, e.s.Seal(nil, reserved, 1, []byte("x"))}
			if err := open(first); !errors.Is(err, session.ErrOpen) {
				t.Errorf("nobody expects these keys: %v", err)
			}
			e.r.Expect(key(9))
			opens(late)
			if e.r.Turned() {
				t.Error("turned by a frame under the keys before")
			}
			e.s.Ratchet()
			ahead := seal()
			e.r.Expect(key(9))
			opens(second)
			if !e.r.Turned() {
				t.Error("not turned")
			}
			opens(between, first, ahead)
			e.s.Switch(key(10))
			inEpoch := seal()
			e.r.Expect(key(10))
			opens(inEpoch)
		})
	}
}

func TestOldKeysAreForgottenBehindTheWindowOrWhenTold(t *testing.T) {
	for _, told := range []bool{false, true} {
		s := session.NewSender(key(1), session.ChaCha)
		r := session.NewReceiver(key(1), session.ChaCha, session.WindowLink)
		mustOpen(t, r, next(s, "x"), "x")
		late := next(s, "late")
		s.Switch(key(9))
		r.Expect(key(9))
		mustOpen(t, r, next(s, "new"), "new")
		if told {
			r.DropPrevious()
		} else {
			skip(s, s.Used()+session.WindowLink+1)
			mustOpen(t, r, next(s, "far"), "far")
		}
		if _, err := open(r, late); err == nil {
			t.Errorf("told %v: opened", told)
		}
	}
}
