// SPDX-License-Identifier: Apache-2.0

// Package session is the cryptography of links and sessions: it agrees on keys, seals and
// opens frames, and refuses replays. It never sends, waits, looks at a clock, or decides who
// may talk to whom.
//
// A [Handshake] (Noise XX on links, Noise XK end to end) yields [Keys]. Each direction then has
// a [Sender] on one side and a [Receiver] on the other:
//
//	Sender.Reserve -> Sender.Seal -> ... the wire ... -> Receiver.Open
//
// Counters are 64 bits wide and travel truncated. The upper bits of a counter are its epoch, and
// every epoch has a key of its own, made from the one before, so that a stolen key opens nothing
// that was sent under an older one. The derivations are written down in docs/key-schedule.md.
package session

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"
)

const (
	// KeySize is the length of every symmetric key of this room, in bytes.
	KeySize = 32
	// TagSize is what sealing adds to a plaintext, in bytes, with every suite.
	TagSize = 16
	// EpochBits is the width of a counter within one epoch: a key seals at most 2^22 frames,
	// far below the limits of both suites (RFC 9001, appendix B).
	EpochBits = 22
	// EpochsAhead is how many epochs a receiver derives beyond its own before it gives up: it
	// bounds what a forged frame can cost to 16 hashes.
	EpochsAhead = 16
	// WindowSession is the replay window of an end-to-end session, in frames: about 80 ms of
	// reordering at a gigabit of full-sized frames, in 1 KiB.
	WindowSession = 8192
	// WindowLink is the replay window of link control, in frames. Control is paced, and a relay
	// may hold a great many links, so 32 bytes must do.
	WindowLink = 256
)

var (
	// ErrReplay says that the counter was opened before or lies behind the replay window.
	ErrReplay = errors.New("session: replayed or too old")
	// ErrOpen says that the tag did not verify. Nothing was changed by the attempt.
	ErrOpen = errors.New("session: authentication failed")
	// ErrEpoch says that no key is at hand for the epoch the frame claims.
	ErrEpoch = errors.New("session: no key for this epoch")
)

// Suite names the AEAD that seals frames. The zero value is [ChaCha].
type Suite uint8

const (
	// ChaCha is ChaCha20-Poly1305 (RFC 8439). Links use nothing else: its object holds little
	// more than the key.
	ChaCha Suite = 0

	// AESGCM is AES-256-GCM, for sessions whose two ends both have the instructions for it.
	AESGCM Suite = 1
)

// String returns the suite's usual name.
func (s Suite) String() string {
	switch s {
	case ChaCha:
		return "ChaCha20-Poly1305"
	case AESGCM:
		return "AES-256-GCM"
	}
	return "unknown suite"
}

// redacted is what every secret looks like when printed.
const redacted = "[secret]"

// secret makes whatever embeds it unprintable and forbids comparing it with ==.
type secret struct{ _ [0]func() }

// String hides the secret.
func (secret) String() string { return redacted }

// GoString hides the secret.
func (secret) GoString() string { return redacted }

// Format hides the secret from every verb of package fmt.
func (secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText hides the secret from encoders of text and JSON.
func (secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// nonceSize is the nonce length of both suites, in bytes.
const nonceSize = 12

// putNonce writes four zero bytes and the counter, big endian. Noise writes the counter of
// ChaChaPoly the other way round, but only handshake messages are sealed by Noise.
func putNonce(nonce *[nonceSize]byte, ctr uint64) {
	binary.BigEndian.PutUint64(nonce[4:], ctr)
}

// newAEAD makes the cipher of one epoch. It panics on a suite that does not exist.
func newAEAD(suite Suite, key *[KeySize]byte) cipher.AEAD {
	var aead cipher.AEAD
	var err error
	switch suite {
	case ChaCha:
		aead, err = chacha20poly1305.New(key[:])
	case AESGCM:
		var block cipher.Block
		if block, err = aes.NewCipher(key[:]); err == nil {
			aead, err = cipher.NewGCM(block)
		}
	default:
		err = errors.New("unknown suite")
	}
	if err != nil {
		panic("session: new cipher: " + err.Error())
	}
	return aead
}

// labelRatchet separates the epoch ratchet from every other use of a key.
const labelRatchet = "staex ratchet v1"

// ratchet returns the key of the epoch after the one that key belongs to.
func ratchet(key *[KeySize]byte) [KeySize]byte {
	return keyed(key[:], []byte(labelRatchet))
}

// keyed is BLAKE2s-256 (RFC 7693) under a key of up to 32 bytes, over the parts in order.
func keyed(key []byte, parts ...[]byte) (sum [KeySize]byte) {
	h, err := blake2s.New256(key)
	if err != nil {
		panic("session: keyed hash: " + err.Error())
	}
	for _, p := range parts {
		_, _ = h.Write(p) // hash.Hash never returns an error
	}
	h.Sum(sum[:0])
	return sum
}
