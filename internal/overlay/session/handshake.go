// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/ecdh"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"

	"github.com/flynn/noise"

	"staex/internal/ident"
)

// ErrHandshake says that a handshake message was malformed, was not meant for this side or this
// step, or did not authenticate.
var ErrHandshake = errors.New("session: handshake failed")

// The prologues keep a handshake of one layer from being taken for one of the other.
const (
	prologueLink    = "staex link v1"
	prologueSession = "staex session v1"
)

// keySize is the length of a public key inside a message, sealedKey of an encrypted one.
const (
	keySize   = 32
	sealedKey = keySize + TagSize
)

// The shortest message of each step: what Noise adds to an empty payload.
//
//	XX  -> e              <- e, ee, s, es        -> s, se
//	XK  -> e, es          <- e, ee               -> s, se
var (
	overheadXX = [3]int{keySize, keySize + sealedKey + TagSize, sealedKey + TagSize}
	overheadXK = [3]int{keySize + TagSize, keySize + TagSize, sealedKey + TagSize}
)

// Handshake is one Noise handshake of three messages with 25519_ChaChaPoly_BLAKE2s (Noise
// revision 34, sections 5 and 7.5). The initiator writes messages 1 and 3. It is not safe for
// concurrent use.
type Handshake struct {
	secret
	state    *noise.HandshakeState
	overhead *[3]int
	name     string
	first    bool // this side is the initiator
	done     bool
	keys     Keys
}

// NewXX starts a link handshake: each side learns the other's key in the course of it. Message 1
// and its payload are readable by everyone. It draws 32 bytes from rand when this side first
// writes.
func NewXX(initiator bool, static *ident.Secret, rand io.Reader) (*Handshake, error) {
	h := &Handshake{name: "XX", first: initiator, overhead: &overheadXX}
	return h.start(static, noise.Config{
		Pattern:   noise.HandshakeXX,
		Prologue:  []byte(prologueLink),
		Initiator: initiator,
		Random:    rand,
	})
}

// NewXK starts an end-to-end handshake: the initiator knows the responder's key, which is its
// address, and stays hidden from everyone else. A responder passes the zero NodeID as remote.
func NewXK(
	initiator bool, static *ident.Secret, remote ident.NodeID, rand io.Reader,
) (*Handshake, error) {
	h := &Handshake{name: "XK", first: initiator, overhead: &overheadXK}
	c := noise.Config{
		Pattern:   noise.HandshakeXK,
		Prologue:  []byte(prologueSession),
		Initiator: initiator,
		Random:    rand,
	}
	if initiator {
		if remote.IsZero() {
			return nil, errors.New("session: start XK handshake: no remote key")
		}
		key := remote.X25519()
		c.PeerStatic = key[:]
	}
	return h.start(static, c)
}

func (h *Handshake) start(static *ident.Secret, c noise.Config) (*Handshake, error) {
	if c.Random == nil { // Noise would quietly take the system's
		return nil, fmt.Errorf("session: start %s handshake: no randomness", h.name)
	}
	own := static.Exchange()
	c.StaticKeypair = noise.DHKey{Private: own.Bytes(), Public: own.PublicKey().Bytes()}
	dh := &agreement{DHFunc: noise.DH25519, keys: [2]*ecdh.PrivateKey{own}}
	c.CipherSuite = noise.NewCipherSuite(dh, noise.CipherChaChaPoly, noise.HashBLAKE2s)
	state, err := noise.NewHandshakeState(c)
	if err != nil {
		return nil, fmt.Errorf("session: start %s handshake: %w", h.name, err)
	}
	h.state = state
	return h, nil
}

// Write appends the next handshake message, carrying the payload, to dst. It fails out of turn,
// if the payload is longer than 65,535 bytes, or if the randomness does; the handshake stays as
// it was.
func (h *Handshake) Write(dst, payload []byte) ([]byte, error) {
	msg, one, two, err := h.state.WriteMessage(dst, payload)
	if err != nil {
		return nil, fmt.Errorf("session: write %s message: %w", h.name, err)
	}
	h.finish(one, two)
	return msg, nil
}

// Read verifies the next handshake message and appends its payload to dst. The error wraps
// [ErrHandshake], and the handshake stays as it was: whoever can inject a message must not be
// able to end the attempt, so the caller goes on waiting for the genuine one.
func (h *Handshake) Read(dst, msg []byte) (payload []byte, err error) {
	if i := h.state.MessageIndex(); i < len(h.overhead) && len(msg) < h.overhead[i] {
		return nil, fmt.Errorf("%w: read %s message %d: %d bytes are too short",
			ErrHandshake, h.name, i+1, len(msg))
	}
	// Noise rolls back the hashes when a tag fails, but neither the key it was using nor the
	// nonce nor a remote key half learnt. Those are plain fields, which the copy restores.
	before := *h.state
	payload, one, two, err := h.state.ReadMessage(dst, msg)
	if err != nil {
		*h.state = before
		return nil, fmt.Errorf("%w: read %s message: %w", ErrHandshake, h.name, err)
	}
	h.finish(one, two)
	return payload, nil
}

// finish keeps the keys once the last message was written or read.
func (h *Handshake) finish(one, two *noise.CipherState) {
	if one == nil {
		return
	}
	h.done = true
	copy(h.keys.Hash[:], h.state.ChannelBinding())
	forth, back := one.UnsafeKey(), two.UnsafeKey()
	h.keys.Chain = keyed(forth[:], []byte(labelChain), back[:], h.keys.Hash[:])
	h.keys.Send, h.keys.Recv = forth, back
	if !h.first {
		h.keys.Send, h.keys.Recv = back, forth
	}
}

// Done reports whether the third message was written or read.
func (h *Handshake) Done() bool { return h.done }

// RemoteStatic returns the X25519 key of the other side; compare it with that of the NodeID the
// other side claims. It is zero until known: on XX after reading message 2 or 3, on XK at once
// for the initiator and after message 3 for the responder.
func (h *Handshake) RemoteStatic() (key [32]byte) {
	copy(key[:], h.state.PeerStatic())
	return key
}

// Keys returns what the handshake agreed on. It panics before Done.
func (h *Handshake) Keys() Keys {
	if !h.done {
		panic("session: keys of an unfinished handshake")
	}
	return h.keys
}

// labelChain separates the chain key from the traffic keys.
const labelChain = "staex chain v1"

// Keys is the outcome of a handshake. Send and Recv are the keys of epoch 0, seen from this
// side. Chain is equal on both sides and independent of the traffic that follows: resumption is
// derived from it. Hash names the transcript and is no secret.
type Keys struct {
	secret
	Send  [KeySize]byte
	Recv  [KeySize]byte
	Chain [KeySize]byte
	Hash  [32]byte
}

// agreement is X25519 as Noise uses it, except that it never fails. It keeps the keys of its
// handshake, static and ephemeral: to make one out of its scalar costs as much as an exchange.
type agreement struct {
	noise.DHFunc
	keys [2]*ecdh.PrivateKey
}

// GenerateKeypair makes the ephemeral key of 32 bytes of rand.
func (a *agreement) GenerateKeypair(rand io.Reader) (noise.DHKey, error) {
	var scalar [KeySize]byte
	if _, err := io.ReadFull(rand, scalar[:]); err != nil {
		return noise.DHKey{}, err
	}
	key, err := ecdh.X25519().NewPrivateKey(scalar[:])
	if err != nil {
		return noise.DHKey{}, err
	}
	a.keys[1] = key
	return noise.DHKey{Private: scalar[:], Public: key.PublicKey().Bytes()}, nil
}

// DH returns the shared secret, see agree.
func (a *agreement) DH(private, public []byte) ([]byte, error) {
	for _, k := range a.keys {
		if k != nil && subtle.ConstantTimeCompare(k.Bytes(), private) == 1 {
			key := agree(k, public)
			return key[:], nil
		}
	}
	k, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		return nil, err
	}
	key := agree(k, public)
	return key[:], nil
}

// labelWeak separates the stand-in of a refused agreement.
const labelWeak = "staex weak point v1"

// agree is X25519 (RFC 7748). A public point of low order, which no honest peer has, would make
// the result known to everyone; it gives a value that only this side can compute instead. So
// whatever depends on it fails to authenticate, by the same path as any other forgery.
func agree(private *ecdh.PrivateKey, public []byte) (key [KeySize]byte) {
	point, err := ecdh.X25519().NewPublicKey(public)
	if err == nil {
		var shared []byte
		if shared, err = private.ECDH(point); err == nil {
			return [KeySize]byte(shared)
		}
	}
	return keyed(private.Bytes(), []byte(labelWeak), public)
}
