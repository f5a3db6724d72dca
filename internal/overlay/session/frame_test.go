// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"staex/internal/overlay/session"
)

var suites = []session.Suite{session.ChaCha, session.AESGCM}

// frame is what travels, with the counter as the sender truncated it.
type frame struct {
	epoch  uint8
	low    uint32
	long   bool
	aad    byte
	sealed []byte
}

func key(seed byte) (k [session.KeySize]byte) {
	for i := range k {
		k[i] = seed + byte(i)
	}
	return k
}

// seal makes the frame of a counter that was reserved before.
func seal(s *session.Sender, ctr uint64, aad byte, plaintext string) frame {
	f := frame{epoch: session.Epoch(ctr), long: s.Long(ctr), low: uint32(ctr), aad: aad}
	if !f.long {
		f.low &= 0xffff
	}
	f.sealed = s.Seal(nil, ctr, aad, []byte(plaintext))
	return f
}

func next(s *session.Sender, plaintext string) frame {
	return seal(s, s.Reserve(1), 0x10, plaintext)
}

func open(r *session.Receiver, f frame) (string, error) {
	plain, _, err := r.Open(nil, f.epoch, f.low, f.long, f.aad, f.sealed)
	return string(plain), err
}

// pair returns both ends of one direction; the sender knows it was heard.
func pair(suite session.Suite) (*session.Sender, *session.Receiver) {
	s := session.NewSender(key(1), suite)
	s.Heard()
	return s, session.NewReceiver(key(1), suite, session.WindowSession)
}

func mustOpen(t *testing.T, r *session.Receiver, f frame, want string) {
	t.Helper()
	got, err := open(r, f)
	if err != nil || got != want {
		t.Fatalf("Open = %q, %v, want %q", got, err, want)
	}
}

func mustRefuse(t *testing.T, r *session.Receiver, f frame, want error) {
	t.Helper()
	if got, err := open(r, f); !errors.Is(err, want) {
		t.Fatalf("Open = %q, %v, want %v", got, err, want)
	}
}

// skip reserves counters until the next one is ctr, as if those frames were lost.
func skip(s *session.Sender, ctr uint64) {
	if n := ctr - 1 - s.Used(); n > 0 {
		s.Reserve(int(n))
	}
}

func TestASealedFrameOpensOnce(t *testing.T) {
	for _, suite := range suites {
		s, r := pair(suite)
		for range 600 { // long and short counters
			f := next(s, "meter")
			mustOpen(t, r, f, "meter")
			mustRefuse(t, r, f, session.ErrReplay)
		}
		if r.Top() != s.Used() {
			t.Errorf("%v: receiver at %d, sender at %d", suite, r.Top(), s.Used())
		}
	}
}

func TestSealingAndOpeningWorkInPlace(t *testing.T) {
	for _, suite := range suites {
		s, r := pair(suite)
		buf := append(make([]byte, 0, 64), "HEADpayload"...)
		ctr := s.Reserve(1)
		buf = s.Seal(buf[:4], ctr, 7, buf[4:])
		if string(buf[:4]) != "HEAD" || len(buf) != 11+session.TagSize {
			t.Fatalf("%v: sealed in place to %q", suite, buf)
		}
		sealed := buf[4:]
		plain, got, err := r.Open(sealed[:0], 0, uint32(ctr), true, 7, sealed)
		if err != nil || got != ctr || string(plain) != "payload" || &plain[0] != &buf[4] {
			t.Fatalf("%v: opened in place to %q, %d, %v", suite, plain, got, err)
		}
	}
}

func TestEveryBitOfAFrameIsAuthenticated(t *testing.T) {
	for _, suite := range suites {
		s, r := pair(suite)
		f := next(s, "x")
		for i := range f.sealed {
			g := f
			g.sealed = bytes.Clone(f.sealed)
			g.sealed[i] ^= 1 << (i % 8)
			mustRefuse(t, r, g, session.ErrOpen)
			g.sealed = f.sealed[:i]
			mustRefuse(t, r, g, session.ErrOpen)
		}
		g := f
		g.aad ^= 0x80
		mustRefuse(t, r, g, session.ErrOpen)
		g = f
		g.low++
		mustRefuse(t, r, g, session.ErrOpen)
		mustOpen(t, r, f, "x") // and no attempt left a trace
	}
}

func TestAForgedFrameChangesNothing(t *testing.T) {
	for _, suite := range suites {
		s, r := pair(suite)
		early := next(s, "early")
		mustOpen(t, r, next(s, "now"), "now")
		top := r.Top()
		for _, ctr := range []uint64{
			top + 100, top + session.WindowSession, epochLen, 3 * epochLen, 16 * epochLen,
		} {
			forged := frame{
				epoch: session.Epoch(ctr), low: uint32(ctr), long: true,
				sealed: make([]byte, 40),
			}
			mustRefuse(t, r, forged, session.ErrOpen)
		}
		if r.Top() != top {
			t.Errorf("%v: a forged frame moved the window to %d", suite, r.Top())
		}
		mustOpen(t, r, early, "early")
		mustOpen(t, r, next(s, "later"), "later")
	}
}

func TestAReceiverFollowsAtMost16Epochs(t *testing.T) {
	for _, suite := range suites {
		s, r := pair(suite)
		mustOpen(t, r, next(s, "a"), "a")
		skip(s, 17*epochLen)
		far := next(s, "far")
		mustRefuse(t, r, far, session.ErrEpoch)

		s, r = pair(suite)
		mustOpen(t, r, next(s, "a"), "a")
		skip(s, 16*epochLen)
		mustOpen(t, r, next(s, "near"), "near")
		mustOpen(t, r, far, "far") // one epoch on from there
	}
}

func TestFramesAroundAnEpochBorderOpenInAnyOrder(t *testing.T) {
	for _, suite := range suites {
		s, r := pair(suite)
		mustOpen(t, r, next(s, "a"), "a")
		skip(s, epochLen-100)
		s.Resync() // after such a gap the short form would be ambiguous
		mustOpen(t, r, next(s, "b"), "b")
		var frames []frame
		for i := range 200 {
			frames = append(frames, next(s, fmt.Sprint(i)))
		}
		rng := rand.New(rand.NewPCG(5, 6))
		for _, i := range rng.Perm(len(frames)) {
			mustOpen(t, r, frames[i], fmt.Sprint(i))
		}
		for _, f := range frames {
			mustRefuse(t, r, f, session.ErrReplay)
		}
	}
}

func TestThePreviousKeyDiesWithItsUse(t *testing.T) {
	for _, suite := range suites {
		s, r := pair(suite)
		mustOpen(t, r, next(s, "a"), "a")
		skip(s, epochLen-2)
		first, second := next(s, "1"), next(s, "2")
		mustOpen(t, r, next(s, "3"), "3")
		mustOpen(t, r, first, "1")
		r.DropPrevious()
		mustRefuse(t, r, second, session.ErrEpoch)
		mustOpen(t, r, next(s, "4"), "4")

		skip(s, 2*epochLen-1)
		s.Resync()
		late := next(s, "late")
		mustOpen(t, r, next(s, "5"), "5")
		skip(s, 2*epochLen+session.WindowSession)
		mustOpen(t, r, next(s, "6"), "6")
		mustRefuse(t, r, late, session.ErrReplay)
	}
}

func TestASenderSealsLateFramesOfThePreviousEpoch(t *testing.T) {
	for _, suite := range suites {
		s, r := pair(suite)
		mustOpen(t, r, next(s, "a"), "a")
		skip(s, epochLen-1)
		old, older := s.Reserve(1), s.Used()-1
		mustOpen(t, r, next(s, "new"), "new")
		mustOpen(t, r, seal(s, old, 0x10, "old"), "old")
		s.DropPrevious()
		if s.Seal(nil, older, 0, nil) != nil {
			t.Errorf("%v: sealed under a key that was dropped", suite)
		}
		skip(s, 3*epochLen)
		mustOpen(t, r, next(s, "newer"), "newer")
		if s.Seal(nil, old, 0, nil) != nil {
			t.Errorf("%v: sealed under a key two epochs old", suite)
		}
	}
}

func TestSealPanicsOnAnEpochNeverReserved(t *testing.T) {
	s, _ := pair(session.ChaCha)
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	s.Seal(nil, epochLen, 0, nil)
}

func TestReserveOfNothingPanics(t *testing.T) {
	s, _ := pair(session.ChaCha)
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	s.Reserve(0)
}

func TestRatchetJumpsToTheNextEpochOncePerFrame(t *testing.T) {
	for _, suite := range suites {
		s, r := pair(suite)
		if s.Ratchet() {
			t.Error("ratchet before the first frame")
		}
		for epoch := range uint64(5) {
			f := next(s, "x")
			if s.Used()>>session.EpochBits != epoch {
				t.Fatalf("frame of epoch %d has counter %#x", epoch, s.Used())
			}
			mustOpen(t, r, f, "x")
			if !s.Ratchet() {
				t.Fatal("no ratchet after a frame")
			}
			if s.Ratchet() {
				t.Fatal("two ratchets without a frame between")
			}
		}
	}
}

func TestLongCountersGoOutWhereTheReceiverMayBeLost(t *testing.T) {
	s := session.NewSender(key(1), session.ChaCha)
	if ctr := s.Reserve(100); !s.Long(ctr + 77) {
		t.Error("short before anything was heard")
	}
	s.Heard()
	for _, tc := range []struct {
		ctr  uint64
		long bool
	}{
		{1, true},
		{31, true},
		{32, false},
		{255, false},
		{256, true},
		{257, false},
		{epochLen - 1, false},
		{epochLen, true},
		{epochLen + 31, true},
		{epochLen + 32, false},
	} {
		if s.Long(tc.ctr) != tc.long {
			t.Errorf("Long(%d) = %v", tc.ctr, !tc.long)
		}
	}
	if s.LongBatch(40, 100) || !s.LongBatch(200, 100) || !s.LongBatch(20, 100) {
		t.Error("a batch is long exactly if one of its frames is")
	}
	s.Resync()
	used := s.Used()
	if !s.Long(used+1) || !s.Long(used+64) || s.Long(used+65) {
		t.Error("the 64 frames after a resync are long, the next is not")
	}
}

func TestManyGoroutinesNeverShareACounter(t *testing.T) {
	const workers, batches, batch = 8, 40, 25
	for _, suite := range suites {
		s, r := pair(suite)
		mustOpen(t, r, next(s, "a"), "a")
		skip(s, epochLen-workers*batches*batch/2) // the border lies in the middle
		s.Resync()
		mustOpen(t, r, next(s, "b"), "b")
		var wg sync.WaitGroup
		var refused sync.Map
		for range workers {
			wg.Go(func() {
				for range batches {
					first := s.Reserve(batch)
					for i := range uint64(batch) {
						f := seal(s, first+i, 1, "x")
						if got, err := open(r, f); err != nil || got != "x" {
							refused.Store(first+i, err)
						}
					}
				}
			})
		}
		wg.Wait()
		refused.Range(func(ctr, err any) bool {
			t.Errorf("%v: counter %v: %v", suite, ctr, err)
			return true
		})
		if want := uint64(epochLen + workers*batches*batch/2); s.Used() != want {
			t.Errorf("used %d counters, want %d", s.Used(), want)
		}
	}
}

func TestFramesAreWhatTheKeyScheduleSays(t *testing.T) {
	// The twin: a cipher made from scratch for each frame, as docs/key-schedule.md tells it.
	for _, suite := range suites {
		s := session.NewSender(key(1), suite)
		k := key(1)
		for epoch := range uint64(3) {
			ctr := epoch*epochLen + 7
			skip(s, ctr)
			got := s.Seal(nil, s.Reserve(1), 0x2a, []byte("payload"))
			nonce := binary.BigEndian.AppendUint64(make([]byte, 4), ctr)
			want := naiveCipher(t, suite, k[:]).Seal(nil, nonce, []byte("payload"), []byte{0x2a})
			if !bytes.Equal(got, want) {
				t.Errorf("%v epoch %d: %x, want %x", suite, epoch, got, want)
			}
			k = blake2sKeyed(t, k[:], "staex ratchet v1")
		}
	}
}

func naiveCipher(t *testing.T, suite session.Suite, key []byte) cipher.AEAD {
	t.Helper()
	aead, err := chacha20poly1305.New(key)
	if suite == session.AESGCM {
		block, errBlock := aes.NewCipher(key)
		if errBlock != nil {
			t.Fatal(errBlock)
		}
		aead, err = cipher.NewGCM(block)
	}
	if err != nil {
		t.Fatal(err)
	}
	return aead
}

func TestSecretsAreNotPrinted(t *testing.T) {
	s, r := pair(session.ChaCha)
	keys := session.Keys{Send: key(1), Recv: key(2), Chain: key(3)}
	for _, v := range []any{
		s, r, keys, &keys, session.Cookie{}, session.NewCookieJar(nil), &session.Handshake{},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
			if got := fmt.Sprintf(verb, v); got != "[secret]" {
				t.Errorf("%T with %s prints %.40q", v, verb, got)
			}
		}
	}
	if text, err := json.Marshal(keys); err != nil || string(text) != `"[secret]"` {
		t.Errorf("json: %.40q, %v", text, err)
	}
	if !strings.Contains(keys.GoString()+keys.String(), "[secret]") {
		t.Error("String and GoString show something else")
	}
}

func TestSuitesHaveNames(t *testing.T) {
	for suite, want := range map[session.Suite]string{
		session.ChaCha: "ChaCha20-Poly1305",
		session.AESGCM: "AES-256-GCM",
		9:              "unknown suite",
	} {
		if got := suite.String(); got != want {
			t.Errorf("suite %d is called %q", uint8(suite), got)
		}
	}
}

func FuzzOpen(f *testing.F) {
	s, _ := pair(session.ChaCha)
	for _, fr := range []frame{
		next(s, ""), next(s, "x"),
		next(s, "a longer payload, beyond a block of the cipher ........."),
	} {
		f.Add(fr.epoch, fr.low, fr.long, fr.aad, fr.sealed, false)
	}
	f.Add(uint8(0), uint32(1), false, byte(0), []byte{}, true)              // too short
	f.Add(uint8(1), uint32(5), false, byte(0), make([]byte, 20), true)      // next epoch
	f.Add(uint8(3), uint32(5), false, byte(0), make([]byte, 20), false)     // 3 ahead
	f.Add(uint8(1), uint32(5), true, byte(0), make([]byte, 20), false)      // contradiction
	f.Add(uint8(0), uint32(17<<22), true, byte(0), make([]byte, 20), false) // contradiction
	f.Add(uint8(1), uint32(17<<22), true, byte(0), make([]byte, 20), false) // too far
	f.Add(uint8(9), uint32(1<<16), false, byte(0), make([]byte, 20), true)  // no such bits
	f.Fuzz(func(t *testing.T, epoch uint8, low uint32, long bool, aad byte, b []byte, aes bool) {
		suite := session.ChaCha
		if aes {
			suite = session.AESGCM
		}
		// A receiver with another key: nothing may open, and the genuine frame must after it.
		s := session.NewSender(key(9), suite)
		r := session.NewReceiver(key(9), suite, session.WindowLink)
		genuine := next(s, "genuine")
		sealed := bytes.Clone(b)
		if plain, ctr, err := r.Open(nil, epoch, low, long, aad, sealed); err == nil {
			t.Fatalf("opened %x as counter %d", plain, ctr)
		}
		mustOpen(t, r, genuine, "genuine")
	})
}
