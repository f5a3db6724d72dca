// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/flynn/noise"
	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/curve25519"

	"staex/internal/ident"
	"staex/internal/overlay/session"
)

func dice(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }

func secret(seed byte) *ident.Secret { return ident.SecretFromSeed([32]byte{seed}) }

func blake2sKeyed(t *testing.T, key []byte, parts ...string) (sum [32]byte) {
	t.Helper()
	h, err := blake2s.New256(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		h.Write([]byte(p))
	}
	h.Sum(sum[:0])
	return sum
}

var patterns = []string{"XX", "XK"}

var (
	device = secret(1) // initiator
	parent = secret(2) // responder
)

// start returns both sides of a handshake between device and parent.
func start(t testing.TB, pattern string) (i, r *session.Handshake) {
	t.Helper()
	var errI, errR error
	if pattern == "XX" {
		i, errI = session.NewXX(true, device, dice(1))
		r, errR = session.NewXX(false, parent, dice(2))
	} else {
		i, errI = session.NewXK(true, device, parent.ID(), dice(1))
		r, errR = session.NewXK(false, parent, ident.NodeID{}, dice(2))
	}
	if err := errors.Join(errI, errR); err != nil {
		t.Fatal(err)
	}
	return i, r
}

var payloads = []string{"first", "second, from the responder", "third"}

// pass sends message n (from 0) and checks that it arrives.
func pass(t testing.TB, n int, i, r *session.Handshake) {
	t.Helper()
	msg := write(t, n, i, r)
	read(t, n, i, r, msg)
}

func write(t testing.TB, n int, i, r *session.Handshake) []byte {
	t.Helper()
	if n == 1 {
		i = r
	}
	msg, err := i.Write(nil, []byte(payloads[n]))
	if err != nil {
		t.Fatalf("write message %d: %v", n+1, err)
	}
	return msg
}

func read(t testing.TB, n int, i, r *session.Handshake, msg []byte) {
	t.Helper()
	if n == 1 {
		r = i
	}
	payload, err := r.Read(nil, msg)
	if err != nil || string(payload) != payloads[n] {
		t.Fatalf("read message %d: %q, %v", n+1, payload, err)
	}
}

func TestAHandshakeGivesBothSidesTheSameKeys(t *testing.T) {
	for _, pattern := range patterns {
		i, r := start(t, pattern)
		for n := range payloads {
			if i.Done() && r.Done() {
				t.Fatalf("%s: done before message %d", pattern, n+1)
			}
			pass(t, n, i, r)
		}
		if !i.Done() || !r.Done() {
			t.Fatalf("%s: not done after message 3", pattern)
		}
		a, b := i.Keys(), r.Keys()
		if a.Send != b.Recv || a.Recv != b.Send || a.Chain != b.Chain || a.Hash != b.Hash {
			t.Errorf("%s: the two sides hold different keys", pattern)
		}
		all := map[[32]byte]bool{a.Send: true, a.Recv: true, a.Chain: true, a.Hash: true, {}: true}
		if len(all) != 5 {
			t.Errorf("%s: the keys are not distinct", pattern)
		}
		want := blake2sKeyed(t, a.Send[:], "staex chain v1", string(a.Recv[:]), string(a.Hash[:]))
		if a.Chain != want {
			t.Errorf("%s: the chain key is not what the key schedule says", pattern)
		}
		if i.RemoteStatic() != parent.ID().X25519() || r.RemoteStatic() != device.ID().X25519() {
			t.Errorf("%s: a side does not know who it spoke with", pattern)
		}
	}
}

func TestKeysOfAHandshakeSealAndOpen(t *testing.T) {
	for _, pattern := range patterns {
		i, r := start(t, pattern)
		for n := range payloads {
			pass(t, n, i, r)
		}
		out := session.NewSender(i.Keys().Send, session.ChaCha)
		in := session.NewReceiver(r.Keys().Recv, session.ChaCha, session.WindowLink)
		mustOpen(t, in, next(out, "hello"), "hello")
		out = session.NewSender(r.Keys().Send, session.ChaCha)
		in = session.NewReceiver(r.Keys().Recv, session.ChaCha, session.WindowLink)
		mustRefuse(t, in, next(out, "hello"), session.ErrOpen)
	}
}

func TestANodeIDMapsToItsX25519PublicKey(t *testing.T) {
	for seed := range byte(16) {
		s := secret(seed)
		scalar := s.X25519()
		public, err := curve25519.X25519(scalar[:], curve25519.Basepoint)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.ID().X25519(); !bytes.Equal(got[:], public) {
			t.Errorf("seed %d: the id maps to %x, the scalar gives %x", seed, got, public)
		}
	}
}

func TestTheSameDiceGiveTheSameMessages(t *testing.T) {
	for _, pattern := range patterns {
		i, r := start(t, pattern)
		i2, r2 := start(t, pattern)
		for n := range payloads {
			msg := write(t, n, i, r)
			if again := write(t, n, i2, r2); !bytes.Equal(msg, again) {
				t.Errorf("%s: message %d differs", pattern, n+1)
			}
			read(t, n, i, r, msg)
			read(t, n, i2, r2, msg)
		}
	}
}

// lowOrder are encodings of X25519 points of small order (RFC 7748, section 6.1).
var lowOrder = [][]byte{
	make([]byte, 32),
	append([]byte{1}, make([]byte, 31)...),
	{
		0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae,
		0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
		0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd,
		0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
	},
}

func TestAForgedMessageDoesNotEndTheHandshake(t *testing.T) {
	for _, pattern := range patterns {
		i, r := start(t, pattern)
		for n := range payloads {
			msg := write(t, n, i, r)
			reader := r
			if n == 1 {
				reader = i
			}
			if pattern == "XX" && n == 0 { // plaintext: any 32 bytes are a message
				if _, err := reader.Read(nil, msg[:31]); !errors.Is(err, session.ErrHandshake) {
					t.Fatalf("a truncated message: %v", err)
				}
				read(t, n, i, r, msg)
				continue
			}
			refuse := func(what string, forged []byte) {
				t.Helper()
				if _, err := reader.Read(nil, forged); !errors.Is(err, session.ErrHandshake) {
					t.Fatalf("%s message %d, %s: %v", pattern, n+1, what, err)
				}
			}
			for k := range msg {
				refuse("truncated", msg[:k])
				if k%7 == 0 || k > len(msg)-3 { // each costs a Diffie-Hellman
					forged := bytes.Clone(msg)
					forged[k] ^= 0x10
					refuse("changed", forged)
				}
			}
			for _, point := range lowOrder {
				refuse("weak point", append(bytes.Clone(point), msg[32:]...))
			}
			read(t, n, i, r, msg)
		}
		if i.Keys().Send != r.Keys().Recv {
			t.Errorf("%s: different keys after forgeries", pattern)
		}
	}
}

func TestAWeakStaticKeyIsRefusedAndTheHandshakeGoesOn(t *testing.T) {
	for _, point := range lowOrder {
		i, r := start(t, "XX")
		first := write(t, 0, i, r)

		// Someone who saw message 1 answers with a key that makes the second agreement known.
		mallory, err := noise.NewHandshakeState(noise.Config{
			CipherSuite: noise.NewCipherSuite(
				knownAgreement{noise.DH25519, point}, noise.CipherChaChaPoly, noise.HashBLAKE2s),
			Random:        dice(3),
			Pattern:       noise.HandshakeXX,
			Prologue:      []byte("staex link v1"),
			StaticKeypair: noise.DHKey{Private: make([]byte, 32), Public: point},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := mallory.ReadMessage(nil, first); err != nil {
			t.Fatal(err)
		}
		forged, _, _, err := mallory.WriteMessage(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := i.Read(nil, forged); !errors.Is(err, session.ErrHandshake) {
			t.Fatalf("a weak static key: %v", err)
		}
		if i.RemoteStatic() != [32]byte{} {
			t.Error("the weak key is remembered")
		}
		read(t, 0, i, r, first)
		pass(t, 1, i, r)
		pass(t, 2, i, r)
	}
}

// knownAgreement gives zero for its own weak static key, which is what the victim would compute.
type knownAgreement struct {
	noise.DHFunc
	point []byte
}

func (k knownAgreement) DH(private, public []byte) ([]byte, error) {
	if bytes.Equal(private, make([]byte, 32)) {
		return make([]byte, 32), nil
	}
	return k.DHFunc.DH(private, public)
}

func TestHandshakesOfDifferentLayersDoNotMix(t *testing.T) {
	i, err := session.NewXK(true, device, secret(3).ID(), dice(1))
	if err != nil {
		t.Fatal(err)
	}
	_, r := start(t, "XK")
	msg, err := i.Write(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(nil, msg); !errors.Is(err, session.ErrHandshake) {
		t.Errorf("the responder read a message to another key: %v", err)
	}
	// Same pattern, other prologue.
	other, err := noise.NewHandshakeState(noise.Config{
		CipherSuite: noise.NewCipherSuite(
			noise.DH25519, noise.CipherChaChaPoly, noise.HashBLAKE2s),
		Random:     dice(1),
		Pattern:    noise.HandshakeXK,
		Prologue:   []byte("staex link v1"),
		Initiator:  true,
		PeerStatic: idKey(parent),
	})
	if err != nil {
		t.Fatal(err)
	}
	msg, _, _, err = other.WriteMessage(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(nil, msg); !errors.Is(err, session.ErrHandshake) {
		t.Errorf("the responder read a message with another prologue: %v", err)
	}
}

func idKey(s *ident.Secret) []byte {
	k := s.ID().X25519()
	return k[:]
}

func TestMessagesOutOfTurnAreRefusedAndHarmless(t *testing.T) {
	for _, pattern := range patterns {
		i, r := start(t, pattern)
		if _, err := r.Write(nil, nil); err == nil {
			t.Errorf("%s: the responder wrote first", pattern)
		}
		if _, err := i.Read(nil, make([]byte, 200)); !errors.Is(err, session.ErrHandshake) {
			t.Errorf("%s: the initiator read first: %v", pattern, err)
		}
		for n := range payloads {
			pass(t, n, i, r)
		}
		if _, err := r.Write(nil, nil); err == nil {
			t.Errorf("%s: a fourth message was written", pattern)
		}
		if _, err := i.Read(nil, make([]byte, 200)); !errors.Is(err, session.ErrHandshake) {
			t.Errorf("%s: a fourth message was read: %v", pattern, err)
		}
	}
}

func TestAHandshakeNeedsDiceAndARemoteKey(t *testing.T) {
	if _, err := session.NewXX(true, device, nil); err == nil {
		t.Error("no randomness is accepted")
	}
	if _, err := session.NewXK(true, device, ident.NodeID{}, dice(1)); err == nil {
		t.Error("no remote key is accepted")
	}
	h, err := session.NewXX(true, device, bytes.NewReader(make([]byte, 31)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Write(nil, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("dice that run out: %v", err)
	}
}

func TestKeysOfAnUnfinishedHandshakePanic(t *testing.T) {
	i, _ := start(t, "XX")
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	i.Keys()
}

func TestHandshakesInteroperateWithPlainNoise(t *testing.T) {
	for pattern, prologue := range map[string]string{
		"XX": "staex link v1", "XK": "staex session v1",
	} {
		c := noise.Config{
			CipherSuite: noise.NewCipherSuite(
				noise.DH25519, noise.CipherChaChaPoly, noise.HashBLAKE2s),
			Random:   dice(2),
			Pattern:  noise.HandshakeXX,
			Prologue: []byte(prologue),
		}
		if pattern == "XK" {
			c.Pattern = noise.HandshakeXK
		}
		scalar := parent.X25519()
		c.StaticKeypair = noise.DHKey{Private: scalar[:], Public: idKey(parent)}
		plain, err := noise.NewHandshakeState(c)
		if err != nil {
			t.Fatal(err)
		}
		i, _ := start(t, pattern)
		msg := write(t, 0, i, nil)
		_, _, _, err = plain.ReadMessage(nil, msg)
		if err != nil {
			t.Fatal(err)
		}
		msg, _, _, err = plain.WriteMessage(nil, []byte(payloads[1]))
		if err != nil {
			t.Fatal(err)
		}
		read(t, 1, i, nil, msg)
		msg = write(t, 2, i, nil)
		_, forth, back, err := plain.ReadMessage(nil, msg)
		if err != nil {
			t.Fatal(err)
		}
		k := i.Keys()
		if k.Send != forth.UnsafeKey() || k.Recv != back.UnsafeKey() {
			t.Errorf("%s: other keys than Noise's", pattern)
		}
		if !bytes.Equal(k.Hash[:], plain.ChannelBinding()) {
			t.Errorf("%s: another transcript hash than Noise's", pattern)
		}
	}
}
