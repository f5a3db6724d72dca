// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"
)

const (
	// MACSize is the length of mac1, mac2 and of a cookie, in bytes.
	MACSize = 16
	// CookieLife is how long a cookie secret is in use. Its cookies are good for as long again,
	// so that none dies on the way.
	CookieLife = 2 * time.Minute

	labelMac1   = "staex mac1 v1"
	labelCookie = "staex cookie v1"
)

// ErrCookie says that a cookie reply does not belong to the message it claims to answer.
var ErrCookie = errors.New("session: cookie reply failed to authenticate")

// mac is BLAKE2s-128 under a key (RFC 7693), over the parts in order.
func mac(key []byte, parts ...[]byte) (sum [MACSize]byte) {
	h, err := blake2s.New128(key)
	if err != nil {
		panic("session: keyed hash: " + err.Error())
	}
	for _, p := range parts {
		_, _ = h.Write(p) // hash.Hash never returns an error
	}
	h.Sum(sum[:0])
	return sum
}

// labelled hashes a label and a public key into a key of its own.
func labelled(label string, key *[32]byte) [KeySize]byte {
	return keyed(nil, []byte(label), key[:])
}

// Mac1 authenticates the first message of a stranger under a public key that only those who have
// business with the receiver know: its own, its network's, or an authority's. It keeps scanners
// out and proves nothing. msg ends where mac1 begins.
func Mac1(key [32]byte, msg []byte) [MACSize]byte {
	k := labelled(labelMac1, &key)
	return mac(k[:], msg)
}

// CheckMac1 reports, in constant time, whether sum is the Mac1 of msg under the key.
func CheckMac1(key [32]byte, msg []byte, sum [MACSize]byte) bool {
	want := Mac1(key, msg)
	return subtle.ConstantTimeCompare(want[:], sum[:]) == 1
}

// Cookie is what a loaded responder asks an initiator to show before it computes anything: it
// proves that the initiator receives at the address it sends from.
type Cookie struct {
	secret
	value [MACSize]byte
}

// Mac2 authenticates a first message under the cookie. msg ends where mac2 begins.
func (c Cookie) Mac2(msg []byte) [MACSize]byte { return mac(c.value[:], msg) }

// SealedCookie is a cookie on its way: sealed with XChaCha20-Poly1305 under the key that mac1
// was made with, bound to that mac1, so that only who saw the first message can answer it.
type SealedCookie struct {
	Nonce  [chacha20poly1305.NonceSizeX]byte
	Sealed [MACSize + TagSize]byte
}

// OpenCookie returns the cookie inside a reply. key and mac1 are those of the first message it
// answers. It fails with [ErrCookie].
func OpenCookie(key [32]byte, mac1 [MACSize]byte, s SealedCookie) (Cookie, error) {
	var c Cookie
	_, err := cookieCipher(&key).Open(c.value[:0], s.Nonce[:], s.Sealed[:], mac1[:])
	if err != nil {
		return Cookie{}, ErrCookie
	}
	return c, nil
}

func cookieCipher(key *[32]byte) cipher.AEAD {
	k := labelled(labelCookie, key)
	aead, err := chacha20poly1305.NewX(k[:])
	if err != nil {
		panic("session: new cipher: " + err.Error())
	}
	return aead
}

// CookieJar makes and checks cookies without remembering whom they went to: a cookie is a MAC
// over the address and port it was sent to, under a secret that changes every [CookieLife].
// It is not safe for concurrent use.
type CookieJar struct {
	secret
	rand io.Reader
	now  cookieSecret // makes cookies
	old  cookieSecret // only checks them
}

// cookieSecret makes cookies while it is younger than CookieLife and checks them for twice that.
// The zero value checks nothing.
type cookieSecret struct {
	key  [KeySize]byte
	born time.Duration
	made bool
}

// NewCookieJar returns a jar that draws its secrets, 32 bytes each, and its nonces from rand.
func NewCookieJar(rand io.Reader) *CookieJar { return &CookieJar{rand: rand} }

// Make returns the cookie for the address, sealed for the sender of the first message that
// carried mac1 under key. It fails only if the randomness does.
func (j *CookieJar) Make(
	up time.Duration, from netip.AddrPort, key [32]byte, mac1 [MACSize]byte,
) (s SealedCookie, err error) {
	if err := j.turn(up); err != nil {
		return SealedCookie{}, err
	}
	if _, err := io.ReadFull(j.rand, s.Nonce[:]); err != nil {
		return SealedCookie{}, fmt.Errorf("session: cookie nonce: %w", err)
	}
	c := j.now.cookie(from)
	cookieCipher(&key).Seal(s.Sealed[:0], s.Nonce[:], c.value[:], mac1[:])
	return s, nil
}

// Check reports, in constant time, whether mac2 authenticates msg under a cookie that was made
// for this address and port within the last two to four minutes.
func (j *CookieJar) Check(
	up time.Duration, from netip.AddrPort, msg []byte, mac2 [MACSize]byte,
) bool {
	return j.now.check(up, from, msg, mac2) || j.old.check(up, from, msg, mac2)
}

// turn draws a new secret when the present one is too old to make cookies with.
func (j *CookieJar) turn(up time.Duration) error {
	if j.now.made && up-j.now.born < CookieLife {
		return nil
	}
	fresh := cookieSecret{born: up, made: true}
	if _, err := io.ReadFull(j.rand, fresh.key[:]); err != nil {
		return fmt.Errorf("session: cookie secret: %w", err)
	}
	j.old, j.now = j.now, fresh
	return nil
}

// cookie is that of an address. An IPv4 address has the same cookie whether or not the socket
// shows it mapped into IPv6.
func (s *cookieSecret) cookie(from netip.AddrPort) Cookie {
	addr := from.Addr().As16()
	port := binary.BigEndian.AppendUint16(nil, from.Port())
	return Cookie{value: mac(s.key[:], []byte(labelCookie), addr[:], port)}
}

func (s *cookieSecret) check(
	up time.Duration, from netip.AddrPort, msg []byte, mac2 [MACSize]byte,
) bool {
	if !s.made || up-s.born >= 2*CookieLife {
		return false
	}
	want := s.cookie(from).Mac2(msg)
	return subtle.ConstantTimeCompare(want[:], mac2[:]) == 1
}
