// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/cipher"
	"sync"
)

// Receiver opens the frames of one direction. Open may be called from several goroutines; it
// holds one lock throughout, because the frames of a session arrive on one socket anyway.
//
// It keeps the cipher of the present epoch and of one other: the previous one while its frames
// may still arrive, or one ahead that a frame claimed.
type Receiver struct {
	secret
	mu         sync.Mutex // guards everything below
	window     Window
	epoch      uint64 // of the highest counter opened
	cur        cipher.AEAD
	other      cipher.AEAD // nil = none
	otherEpoch uint64
	key        [KeySize]byte // of epoch
	prev       [KeySize]byte // of epoch-1
	hasPrev    bool
	suite      Suite
	aad        [1]byte         // scratch, see slot
	nonce      [nonceSize]byte // scratch
}

// NewReceiver returns a receiver whose key is that of epoch 0, with a replay window of that many
// counters, a multiple of 64. The window's memory is taken when the first frame was opened.
func NewReceiver(key [KeySize]byte, suite Suite, window int) *Receiver {
	return &Receiver{
		window: NewWindow(window),
		cur:    newAEAD(suite, &key),
		key:    key,
		suite:  suite,
	}
}

// Top returns the highest counter opened so far, 0 if there is none.
func (r *Receiver) Top() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.window.Top()
}

// DropPrevious forgets the key of the epoch before the present one, which otherwise stays until
// the replay window has left that epoch.
func (r *Receiver) DropPrevious() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropPrevious()
}

// Open finds the full counter from what the frame carries (two epoch bits, and the low 16 or, if
// long, 32 bits), decrypts sealed, appends the plaintext to dst and returns it with the counter.
// dst may be sealed[:0]; then sealed is overwritten, also when opening fails. It allocates
// nothing within an epoch, once the first frame was opened and if dst has room.
//
// The errors are [ErrReplay], [ErrEpoch] and [ErrOpen], never wrapped. A frame that fails
// changes neither window nor epoch.
func (r *Receiver) Open(
	dst []byte, epoch uint8, low uint32, long bool, aad byte, sealed []byte,
) (plain []byte, ctr uint64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ctr, ok := nearest(r.window.Top(), epoch, low, long)
	if !ok {
		return nil, 0, ErrEpoch
	}
	if !r.window.Check(ctr) {
		return nil, ctr, ErrReplay
	}
	aead := r.cipher(ctr >> EpochBits)
	if aead == nil {
		return nil, ctr, ErrEpoch
	}
	r.aad[0] = aad
	putNonce(&r.nonce, ctr)
	plain, err = aead.Open(dst, r.nonce[:], sealed, r.aad[:])
	if err != nil {
		return nil, ctr, ErrOpen
	}
	r.commit(ctr)
	return plain, ctr, nil
}

// cipher returns the cipher of an epoch, nil if its key is gone or too far ahead.
func (r *Receiver) cipher(epoch uint64) cipher.AEAD {
	switch {
	case epoch == r.epoch:
		return r.cur
	case r.other != nil && epoch == r.otherEpoch:
		return r.other
	case epoch < r.epoch && (!r.hasPrev || epoch+1 != r.epoch):
		return nil
	case epoch > r.epoch+EpochsAhead:
		return nil
	}
	key := r.prev
	if epoch > r.epoch {
		key = r.keyAhead(epoch)
	}
	r.other, r.otherEpoch = newAEAD(r.suite, &key), epoch
	return r.other
}

// keyAhead derives the key of an epoch that is not before the present one.
func (r *Receiver) keyAhead(epoch uint64) [KeySize]byte {
	key := r.key
	for e := r.epoch; e < epoch; e++ {
		key = ratchet(&key)
	}
	return key
}

// commit records a counter whose tag was verified.
func (r *Receiver) commit(ctr uint64) {
	r.window.Mark(ctr)
	if epoch := ctr >> EpochBits; epoch > r.epoch {
		r.enter(epoch)
	}
	// A window that lies wholly inside this epoch refuses everything older by itself.
	if r.hasPrev && r.window.Top()&withinMax >= r.window.size {
		r.dropPrevious()
	}
}

// enter makes a later epoch the present one. Its cipher is in other: it has just opened a frame.
func (r *Receiver) enter(epoch uint64) {
	old, oldEpoch := r.cur, r.epoch
	r.cur, r.other = r.other, nil
	r.prev, r.hasPrev = r.keyAhead(epoch-1), true
	r.key = ratchet(&r.prev)
	r.epoch = epoch
	if oldEpoch+1 == epoch {
		r.other, r.otherEpoch = old, oldEpoch
	}
}

func (r *Receiver) dropPrevious() {
	r.prev, r.hasPrev = [KeySize]byte{}, false
	if r.other != nil && r.otherEpoch < r.epoch {
		r.other = nil
	}
}
