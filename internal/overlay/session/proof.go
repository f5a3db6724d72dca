// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/subtle"
	"encoding/binary"
)

const (
	labelPath  = "staex path v1"
	labelNudge = "staex nudge v1"
	labelSize  = "staex size v1"

	// ProofTagSize is the length of the tag by which a session is found, in bytes.
	ProofTagSize = 8
	// NudgeMACSize is the length of the MAC on a nudge, in bytes.
	NudgeMACSize = 8
)

// Proof shows the other end of a session that the sender has the session, too: a tag to find it
// by, and an authenticated counter of the sender's direction, which no other frame uses.
type Proof struct {
	Tag     [ProofTagSize]byte
	Counter uint64
	MAC     [TagSize]byte
}

// Prover makes and checks the proofs with which the two ends of a session lay a new path
// under the keys they have. Either end may ask and the other answers:
//
//	Ask -> ... the wire ... -> CheckAsk -> Answer -> ... the wire ... -> CheckAnswer
//
// The asks of each end are numbered. The number moves on once an answer was verified, and the
// other end expects the last number it saw and the next, so losing an ask or an answer leaves
// both ends in agreement. The tag follows from the number, so paths that were laid at different
// times cannot be told to belong to one session by their tags. It is not safe for concurrent use.
type Prover struct {
	secret
	chain [KeySize]byte
	top   uint64 // highest counter in a verified proof: older ones came late
	ours  uint32 // number of the next ask of this side
	next  uint32 // number of the next ask that the other side has not made yet
	first bool   // this side began the handshake
}

// NewProver returns the prover of a session with these keys. initiator tells the two
// sides apart: it is true at the side that began the handshake.
func NewProver(k Keys, initiator bool) Prover {
	return Prover{chain: k.Chain, first: initiator, ours: 1, next: 1}
}

// Roles of a proof: whose it is, and whether it asks or answers.
const (
	roleAsk    = 1
	roleAnswer = 2
	roleFirst  = 2 // added for the side that began the handshake
)

func role(initiator bool, r byte) byte {
	if initiator {
		return r + roleFirst
	}
	return r
}

// tag is the name under which one proof is looked for.
func (r *Prover) tag(role byte, number uint32) (tag [ProofTagSize]byte) {
	n := binary.BigEndian.AppendUint32([]byte{role}, number)
	sum := keyed(r.chain[:], []byte(labelPath), n)
	copy(tag[:], sum[:])
	return tag
}

// bound is what a proof authenticates beside its counter. It is longer than the one byte of a
// frame, so neither can be taken for the other.
func bound(role byte, id [8]byte, tag [ProofTagSize]byte) []byte {
	b := append([]byte(labelPath), role)
	return append(append(b, id[:]...), tag[:]...)
}

// prove makes a proof with a fresh counter; ok is false if its key is gone.
func (r *Prover) prove(s *Sender, role byte, number uint32, id [8]byte) (p Proof, ok bool) {
	p.Tag, p.Counter = r.tag(role, number), s.Reserve(1)
	p.MAC, ok = s.prove(p.Counter, bound(role, id, p.Tag))
	return p, ok
}

// Ask proves this side for the path set-up with the id. It takes one counter of the sender.
// It is false if the counter's key is gone, which takes two epochs in between.
func (r *Prover) Ask(s *Sender, id [8]byte) (Proof, bool) {
	return r.prove(s, role(r.first, roleAsk), r.ours, id)
}

// Answer proves this side for the set-up whose ask was checked last.
func (r *Prover) Answer(s *Sender, id [8]byte) (Proof, bool) {
	return r.prove(s, role(r.first, roleAnswer), r.next-1, id)
}

// Expect returns the tags of the asks that CheckAsk would look at: the last one again, because
// its answer may have been lost, and the next. They change when CheckAsk succeeds.
func (r *Prover) Expect() [2][ProofTagSize]byte {
	who := role(!r.first, roleAsk)
	return [2][ProofTagSize]byte{r.tag(who, r.next-1), r.tag(who, r.next)}
}

// Began reports whether this side began the handshake.
func (r *Prover) Began() bool { return r.first }

// CheckAsk verifies the other side's ask for the set-up with the id. The errors are those of
// Open; after one nothing has changed. A proof older than the newest verified one is [ErrReplay]:
// of two paths that the other side asked for, the later is the one it means.
func (r *Prover) CheckAsk(recv *Receiver, id [8]byte, p Proof) error {
	tags := r.Expect()
	if p.Tag != tags[0] && p.Tag != tags[1] {
		return ErrOpen
	}
	if err := r.check(recv, role(!r.first, roleAsk), id, p); err != nil {
		return err
	}
	if p.Tag == tags[1] {
		r.next++
	}
	return nil
}

// CheckAnswer verifies the other side's answer to the last Ask, which used the same id. The
// errors are those of CheckAsk.
func (r *Prover) CheckAnswer(recv *Receiver, id [8]byte, p Proof) error {
	who := role(!r.first, roleAnswer)
	if p.Tag != r.tag(who, r.ours) {
		return ErrOpen
	}
	if err := r.check(recv, who, id, p); err != nil {
		return err
	}
	r.ours++
	return nil
}

func (r *Prover) check(recv *Receiver, role byte, id [8]byte, p Proof) error {
	if p.Counter <= r.top {
		return ErrReplay
	}
	if err := recv.verify(p.Counter, bound(role, id, p.Tag), p.MAC); err != nil {
		return err
	}
	r.top = p.Counter
	return nil
}

// prove authenticates aad under the key and nonce of a counter that was reserved and seals
// nothing else. It is false if that key is gone.
func (s *Sender) prove(ctr uint64, aad []byte) (tag [TagSize]byte, ok bool) {
	k := s.keys.Load()
	aead := k.aead
	if ctr>>EpochBits != k.epoch {
		if aead = s.otherEpoch(ctr); aead == nil {
			return tag, false
		}
	}
	var nonce [nonceSize]byte
	putNonce(&nonce, ctr)
	aead.Seal(tag[:0], nonce[:], nil, aad)
	return tag, true
}

// verify checks a tag made by prove and marks its counter as seen. The errors are those of Open.
func (r *Receiver) verify(ctr uint64, aad []byte, tag [TagSize]byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.window.Check(ctr) {
		return ErrReplay
	}
	putNonce(&r.nonce, ctr)
	err := r.tagged(&r.keys, ctr, aad, tag)
	other := err != nil && r.turn != nil && !r.turn.gone
	if other {
		err = r.tagged(&r.turn.other, ctr, aad, tag)
	}
	if err == nil {
		r.commit(other, ctr)
	}
	return err
}

// tagged checks a tag under one line of keys.
func (r *Receiver) tagged(keys *openKeys, ctr uint64, aad []byte, tag [TagSize]byte) error {
	aead := keys.cipher(ctr >> EpochBits)
	if aead == nil {
		return ErrEpoch
	}
	if _, err := aead.Open(nil, r.nonce[:], tag[:], aad); err != nil {
		return ErrOpen
	}
	return nil
}

// NudgeMAC authenticates a nudge, the parts in order, under the chain key of its link.
func NudgeMAC(chain [KeySize]byte, msg []byte) (sum [NudgeMACSize]byte) {
	full := keyed(chain[:], []byte(labelNudge), msg)
	copy(sum[:], full[:])
	return sum
}

// CheckNudgeMAC reports, in constant time, whether sum is the NudgeMAC of the message.
func CheckNudgeMAC(chain [KeySize]byte, msg []byte, sum [NudgeMACSize]byte) bool {
	want := NudgeMAC(chain, msg)
	return subtle.ConstantTimeCompare(want[:], sum[:]) == 1
}

// SizeMAC authenticates a probe of the size of a link under its chain key.
func SizeMAC(chain [KeySize]byte, msg []byte) (sum [NudgeMACSize]byte) {
	full := keyed(chain[:], []byte(labelSize), msg)
	copy(sum[:], full[:])
	return sum
}

// CheckSizeMAC reports, in constant time, whether sum is the SizeMAC of the message.
func CheckSizeMAC(chain [KeySize]byte, msg []byte, sum [NudgeMACSize]byte) bool {
	want := SizeMAC(chain, msg)
	return subtle.ConstantTimeCompare(want[:], sum[:]) == 1
}
