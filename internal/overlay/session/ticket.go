// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

const (
	// NonceSize is the length of the nonce that each end of a resumption draws, in bytes.
	NonceSize = 32
	// TokenSize is the length of a reset token, in bytes.
	TokenSize = 16
	// TicketKeyLife is how long a ticket key seals. It opens for as long again.
	TicketKeyLife = 24 * time.Hour
	// TicketOverhead is what sealing adds to the contents of a ticket, in bytes: the id of the
	// key, the nonce and the tag.
	TicketOverhead = ticketIDSize + chacha20poly1305.NonceSizeX + TagSize

	ticketIDSize = 4

	labelResume  = "staex resume v1"
	labelTicket  = "staex ticket v1"
	labelAnswer  = "staex ticket answer v1"
	labelResumed = "staex resumed keys v1"
	labelReset   = "staex reset v1"
	labelKeyID   = "staex ticket key v1"
)

var (
	// ErrTicket says that a ticket was not made by this jar, or too long ago.
	ErrTicket = errors.New("session: ticket of another key")
	// ErrTicketKeys says that what was read from the disk is not a jar.
	ErrTicketKeys = errors.New("session: damaged ticket keys")
)

// Resume is the secret from which both ends of a link make new keys when they meet again. It
// follows from the chain key of the link and opens nothing that went over the link before.
type Resume struct {
	secret
	key [KeySize]byte
}

// ResumeFrom derives the secret from the chain key of a link.
func ResumeFrom(chain [KeySize]byte) Resume {
	return Resume{key: keyed(chain[:], []byte(labelResume))}
}

// ResumeFromBytes takes back what Bytes gave.
func ResumeFromBytes(b [KeySize]byte) Resume { return Resume{key: b} }

// Bytes returns the secret, to be sealed into a ticket or kept on the disk.
func (r Resume) Bytes() [KeySize]byte { return r.key }

// TicketMac authenticates a ticket frame. msg ends where the mac begins.
func (r Resume) TicketMac(msg []byte) [MACSize]byte {
	k := keyed(r.key[:], []byte(labelTicket))
	return mac(k[:], msg)
}

// CheckTicket reports, in constant time, whether sum is the TicketMac of msg.
func (r Resume) CheckTicket(msg []byte, sum [MACSize]byte) bool {
	want := r.TicketMac(msg)
	return subtle.ConstantTimeCompare(want[:], sum[:]) == 1
}

// AnswerMac authenticates the answer to the ticket frame that carried the nonce.
func (r Resume) AnswerMac(nonce [NonceSize]byte, msg []byte) [MACSize]byte {
	k := keyed(r.key[:], []byte(labelAnswer))
	return mac(k[:], nonce[:], msg)
}

// CheckAnswer reports, in constant time, whether sum is the AnswerMac of msg.
func (r Resume) CheckAnswer(nonce [NonceSize]byte, msg []byte, sum [MACSize]byte) bool {
	want := r.AnswerMac(nonce, msg)
	return subtle.ConstantTimeCompare(want[:], sum[:]) == 1
}

// Keys returns the keys of the resumed link, seen from the child or from the parent. They are
// fresh whenever one of the two nonces is.
func (r Resume) Keys(child bool, ofChild, ofParent [NonceSize]byte) (k Keys) {
	base := keyed(r.key[:], []byte(labelResumed), ofChild[:], ofParent[:])
	k.Send, k.Recv = keyed(base[:], []byte("child")), keyed(base[:], []byte("parent"))
	if !child {
		k.Send, k.Recv = k.Recv, k.Send
	}
	k.Chain = keyed(base[:], []byte(labelChain))
	k.Hash = keyed(nil, []byte(labelResumed), ofChild[:], ofParent[:])
	return k
}

// TicketJar seals tickets that only it can open, under a key that changes daily and is kept for
// another day. It also makes reset tokens. What it holds survives a restart through Append and
// OpenTicketJar. It is not safe for concurrent use.
type TicketJar struct {
	secret
	rand  io.Reader
	reset [KeySize]byte
	now   ticketKey
	old   ticketKey
}

// ticketKey is one sealing key; the zero value opens nothing.
type ticketKey struct {
	key  [KeySize]byte
	id   [ticketIDSize]byte
	up   time.Duration // when it was made or read from the disk, on the Up clock
	born uint32        // calendar time in Unix seconds, 0 unknown
	made bool
}

func newTicketKey(key [KeySize]byte, up time.Duration, born uint32) ticketKey {
	id := keyed(nil, []byte(labelKeyID), key[:])
	return ticketKey{key: key, id: [ticketIDSize]byte(id[:]), up: up, born: born, made: true}
}

// NewTicketJar returns a jar with fresh keys, 64 bytes of rand. Tickets get nonces of 24 bytes
// from it. born is the calendar time in Unix seconds, 0 if it is not known.
func NewTicketJar(up time.Duration, born uint32, rand io.Reader) (*TicketJar, error) {
	j := &TicketJar{rand: rand}
	var key [KeySize]byte
	for _, b := range []*[KeySize]byte{&j.reset, &key} {
		if _, err := io.ReadFull(rand, b[:]); err != nil {
			return nil, fmt.Errorf("session: make ticket keys: %w", err)
		}
	}
	j.now = newTicketKey(key, up, born)
	return j, nil
}

// The jar on the disk:
//
//	offset  size     what
//	0       1        version 1
//	1       32       secret of the reset tokens
//	33      4        calendar time at which the present key was made, 0 unknown
//	37      32       present key
//	69      0 or 32  the key before
const (
	jarVersion = 1
	jarSize    = 69
)

// Append appends the jar's secrets to dst, for the disk.
func (j *TicketJar) Append(dst []byte) []byte {
	dst = append(dst, jarVersion)
	dst = append(dst, j.reset[:]...)
	dst = binary.BigEndian.AppendUint32(dst, j.now.born)
	dst = append(dst, j.now.key[:]...)
	if j.old.made {
		dst = append(dst, j.old.key[:]...)
	}
	return dst
}

// OpenTicketJar takes back what Append gave. The error is [ErrTicketKeys].
func OpenTicketJar(b []byte, up time.Duration, rand io.Reader) (*TicketJar, error) {
	if len(b) != jarSize && len(b) != jarSize+KeySize || b[0] != jarVersion {
		return nil, ErrTicketKeys
	}
	j := &TicketJar{rand: rand, reset: [KeySize]byte(b[1:33])}
	born := binary.BigEndian.Uint32(b[33:])
	j.now = newTicketKey([KeySize]byte(b[37:69]), up, born)
	if len(b) > jarSize {
		j.old = newTicketKey([KeySize]byte(b[jarSize:]), up, 0)
	}
	return j, nil
}

// Turn replaces the key when it is a day old, and reports that the jar has to be written to the
// disk. The age is counted on the Up clock since the key was made or read, and by the calendar
// (seconds, 0 if it may not be trusted) if that says more: a node that restarts every hour
// changes its keys too.
func (j *TicketJar) Turn(up time.Duration, seconds uint32) (changed bool, err error) {
	age := j.now.age(up, seconds)
	if age < TicketKeyLife {
		if j.now.born != 0 || seconds == 0 {
			return false, nil
		}
		j.now.born = seconds // the calendar became known
		return true, nil
	}
	var key [KeySize]byte
	if _, err := io.ReadFull(j.rand, key[:]); err != nil {
		return false, fmt.Errorf("session: turn ticket key: %w", err)
	}
	j.old, j.now = j.now, newTicketKey(key, up, seconds)
	if age >= 2*TicketKeyLife {
		j.old = ticketKey{}
	}
	return true, nil
}

// age is how long ago the key was made, as far as that is known.
func (k *ticketKey) age(up time.Duration, seconds uint32) time.Duration {
	age := up - k.up
	if k.born != 0 && seconds > k.born {
		age = max(age, time.Duration(seconds-k.born)*time.Second)
	}
	return age
}

// Due is when Turn has something to do at the latest, on the Up clock.
func (j *TicketJar) Due() time.Duration { return j.now.up + TicketKeyLife }

// Seal makes a ticket of its contents.
//
//	key id (4) | nonce (24) | sealed contents | tag (16)
func (j *TicketJar) Seal(contents []byte) ([]byte, error) {
	b := make([]byte, ticketIDSize+chacha20poly1305.NonceSizeX, len(contents)+TicketOverhead)
	copy(b, j.now.id[:])
	nonce := b[ticketIDSize:]
	if _, err := io.ReadFull(j.rand, nonce); err != nil {
		return nil, fmt.Errorf("session: ticket nonce: %w", err)
	}
	return j.now.cipher().Seal(b, nonce, contents, b[:ticketIDSize]), nil
}

// Open returns the contents of a ticket. The error is [ErrTicket], never wrapped.
func (j *TicketJar) Open(ticket []byte) ([]byte, error) {
	if len(ticket) < TicketOverhead {
		return nil, ErrTicket
	}
	id, rest := ticket[:ticketIDSize], ticket[ticketIDSize:]
	nonce, sealed := rest[:chacha20poly1305.NonceSizeX], rest[chacha20poly1305.NonceSizeX:]
	for _, k := range []*ticketKey{&j.now, &j.old} {
		if !k.made || [ticketIDSize]byte(id) != k.id {
			continue
		}
		if contents, err := k.cipher().Open(nil, nonce, sealed, id); err == nil {
			return contents, nil
		}
	}
	return nil, ErrTicket
}

func (k *ticketKey) cipher() cipher.AEAD {
	aead, err := chacha20poly1305.NewX(k.key[:])
	if err != nil {
		panic("session: new cipher: " + err.Error())
	}
	return aead
}

// Token is the reset token of a control label: 16 bytes that only this jar can name, also after
// a restart.
func (j *TicketJar) Token(label uint32) [TokenSize]byte {
	return mac(j.reset[:], []byte(labelReset), binary.BigEndian.AppendUint32(nil, label))
}
