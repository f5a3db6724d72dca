// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"runtime"
	"testing"

	"staex/internal/overlay/session"
)

// linkFrame is a frame of a link and how its receiver is told about it.
type linkFrame struct {
	epoch  uint8
	low    uint32
	long   bool
	aad    byte
	sealed []byte
}

// pairTwin is a Pair and, beside it, the Sender and Receiver that it must agree with.
type pairTwin struct {
	*testing.T
	pair *session.Pair
	send *session.Sender
	recv *session.Receiver
}

func newPairTwin(t *testing.T, send, recv byte) pairTwin {
	return pairTwin{
		t, session.NewPair(session.Keys{Send: key(send), Recv: key(recv)}),
		session.NewSender(key(send), session.ChaCha),
		session.NewReceiver(key(recv), session.ChaCha, session.WindowLink),
	}
}

func (w pairTwin) next(aad byte, plain []byte) linkFrame {
	w.Helper()
	ctr := w.pair.Reserve(1)
	if other := w.send.Reserve(1); ctr != other || w.pair.Used() != w.send.Used() {
		w.Fatalf("counter %d, want %d", ctr, other)
	}
	f := linkFrame{session.Epoch(ctr), uint32(ctr), w.pair.Long(ctr), aad, nil}
	if f.long != w.send.Long(ctr) {
		w.Fatalf("counter %d: long %v", ctr, f.long)
	}
	if !f.long {
		f.low &= 0xffff
	}
	f.sealed = w.pair.Seal(nil, ctr, aad, plain)
	if !bytes.Equal(f.sealed, w.send.Seal(nil, ctr, aad, plain)) {
		w.Fatalf("counter %d is sealed differently", ctr)
	}
	return f
}

func (w pairTwin) open(f linkFrame) error {
	w.Helper()
	got, ctr, err := w.pair.Open(nil, f.epoch, f.low, f.long, f.aad, f.sealed)
	want, ctr2, err2 := w.recv.Open(nil, f.epoch, f.low, f.long, f.aad, f.sealed)
	if !bytes.Equal(got, want) || ctr != ctr2 || !errors.Is(err, err2) ||
		w.pair.Top() != w.recv.Top() {
		w.Fatalf("opened %q, %d, %v, want %q, %d, %v", got, ctr, err, want, ctr2, err2)
	}
	if err == nil {
		w.pair.Heard()
		w.send.Heard()
	}
	return err
}

func TestAPairAgreesWithASenderAndAReceiver(t *testing.T) {
	seen := map[error]int{}
	for seed := range uint64(4) {
		dice := rand.New(rand.NewPCG(seed, 5))
		a, b := newPairTwin(t, 1, 2), newPairTwin(t, 2, 1)
		var wire []linkFrame
		for range 3000 {
			f := a.next(byte(dice.IntN(4)), make([]byte, dice.IntN(40)))
			wire = append(wire, f)
			switch dice.IntN(40) {
			case 0:
				if a.pair.Ratchet() != a.send.Ratchet() {
					t.Fatal("one ratchet moved, the other did not")
				}
			case 1:
				a.pair.Resync()
				a.send.Resync()
			case 2:
				skip := 1 + dice.IntN(70_000)
				a.pair.Reserve(skip)
				a.send.Reserve(skip)
			case 3:
				_ = a.open(b.next(0, nil))
			}
			for range dice.IntN(3) { // out of order, twice, or never
				f := wire[max(0, len(wire)-1-dice.IntN(600)/(1+dice.IntN(200)))]
				switch dice.IntN(12) {
				case 0:
					f.sealed = bytes.Clone(f.sealed)
					f.sealed[dice.IntN(len(f.sealed))] ^= 1
				case 1:
					f.epoch ^= uint8(1 + dice.IntN(3))
				case 2:
					f.aad ^= 1
				}
				seen[b.open(f)]++
			}
		}
	}
	for _, err := range []error{nil, session.ErrReplay, session.ErrOpen, session.ErrEpoch} {
		if seen[err] == 0 {
			t.Errorf("the dice never led to %v", err)
		}
	}
}

func TestAPairSealsNothingUnderAnOldOrUnreservedCounter(t *testing.T) {
	p := session.NewPair(session.Keys{Send: key(1)})
	old := p.Reserve(1)
	p.Ratchet()
	p.Seal(nil, p.Reserve(1), 0, nil)
	if p.Seal(nil, old, 0, nil) != nil {
		t.Error("a counter of an epoch that is over was sealed")
	}
	for name, f := range map[string]func(){
		"seal":    func() { p.Seal(nil, p.Used()+1, 0, nil) },
		"reserve": func() { p.Reserve(0) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s did not panic", name)
				}
			}()
			f()
		}()
	}
}

func TestAPairIsSmall(t *testing.T) {
	const count = 1000
	held := make([]*session.Pair, count)
	before := heap()
	for i := range held {
		held[i] = session.NewPair(session.Keys{Send: key(byte(i)), Recv: key(byte(i))})
		ctr := held[i].Reserve(1)
		sealed := held[i].Seal(nil, ctr, 0, nil)
		if _, _, err := held[i].Open(nil, 0, uint32(ctr), true, 0, sealed); err != nil {
			t.Fatal(err)
		}
	}
	each := (heap() - before) / count
	runtime.KeepAlive(held)
	t.Logf("%d B", each)
	if each > 200 {
		t.Errorf("%d B", each)
	}
}
