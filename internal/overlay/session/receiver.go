// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/cipher"
	"sync"
)

// Receiver opens the frames of one direction. Open may be called from several goroutines; it
// holds one lock throughout, because the frames of a session arrive on one socket anyway.
//
// Counters go on when the sender switches to other keys, so there is one window for both.
type Receiver struct {
	secret
	mu     sync.Mutex // guards everything below
	window Window
	keys   openKeys
	turn   *turn           // nil = the sender is not expected to switch, and has not lately
	aad    [1]byte         // scratch, see slot
	nonce  [nonceSize]byte // scratch
}

// turn is the keys beside those in force when a sender switches.
type turn struct {
	other openKeys // to come; after the switch those before, for frames that are still on the way
	since uint64   // the first counter opened after the switch, 0 before
	gone  bool     // other is forgotten
}

// openKeys opens the frames of one line of keys. It keeps the cipher of the present epoch and of
// one other: the previous one while its frames may still arrive, or one ahead that a frame claimed.
type openKeys struct {
	epoch      uint64 // of the highest counter opened
	cur        cipher.AEAD
	other      cipher.AEAD // nil = none
	otherEpoch uint64
	key        [KeySize]byte  // of epoch
	prev       *[KeySize]byte // of epoch-1; nil = gone
	suite      Suite
}

func newOpenKeys(key [KeySize]byte, suite Suite) openKeys {
	return openKeys{cur: newAEAD(suite, &key), key: key, suite: suite}
}

// NewReceiver returns a receiver whose key is that of epoch 0, with a replay window of that many
// counters, a multiple of 64. The window's memory is taken when the first frame was opened.
func NewReceiver(key [KeySize]byte, suite Suite, window int) *Receiver {
	return &Receiver{window: NewWindow(window), keys: newOpenKeys(key, suite)}
}

// Top returns the highest counter opened so far, 0 if there is none.
func (r *Receiver) Top() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.window.Top()
}

// DropPrevious forgets the key of the epoch before the present one and the keys from before a
// switch, which otherwise stay until the replay window has left them behind.
func (r *Receiver) DropPrevious() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys.dropPrevious()
	r.dropOld()
}

func (r *Receiver) dropOld() {
	if r.turn != nil && r.turn.since != 0 {
		r.turn = &turn{since: r.turn.since, gone: true}
	}
}

// Expect prepares for the sender's Switch to other keys, of whose epochs key is the first. The
// first frame that opens under them proves it; frames under the keys before are still opened.
func (r *Receiver) Expect(key [KeySize]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn = &turn{other: newOpenKeys(key, r.keys.suite)}
}

// Turned reports whether a frame under the keys of the last Expect was opened.
func (r *Receiver) Turned() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.turn != nil && r.turn.since != 0
}

// Open finds the full counter from what the frame carries (two epoch bits, and the low 16 or, if
// long, 32 bits), decrypts sealed, appends the plaintext to dst and returns it with the counter.
// dst may be sealed[:0] unless keys are expected; then sealed is overwritten, also when opening
// fails. It allocates nothing within an epoch, once the first frame was opened and if dst has room.
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
	r.aad[0] = aad
	putNonce(&r.nonce, ctr)
	other := false
	plain, err = r.open(&r.keys, dst, ctr, sealed)
	if err != nil && r.turn != nil && !r.turn.gone {
		other = true
		plain, err = r.open(&r.turn.other, dst, ctr, sealed)
	}
	if err != nil {
		return nil, ctr, err
	}
	r.commit(other, ctr)
	return plain, ctr, nil
}

// open tries one line of keys.
func (r *Receiver) open(keys *openKeys, dst []byte, ctr uint64, sealed []byte) ([]byte, error) {
	aead := keys.cipher(ctr >> EpochBits)
	if aead == nil {
		return nil, ErrEpoch
	}
	plain, err := aead.Open(dst, r.nonce[:], sealed, r.aad[:])
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}

// commit records a counter whose tag was verified, under the other keys or those in force.
func (r *Receiver) commit(other bool, ctr uint64) {
	keys := &r.keys
	switch {
	case other && r.turn.since == 0:
		r.keys, r.turn.other, r.turn.since = r.turn.other, r.keys, ctr
	case other:
		keys = &r.turn.other
	}
	r.window.Mark(ctr)
	if epoch := ctr >> EpochBits; epoch > keys.epoch {
		keys.enter(epoch)
	}
	// A window that lies wholly behind a border refuses everything older by itself.
	top := r.window.Top()
	if r.keys.prev != nil && top&withinMax >= r.window.size {
		r.keys.dropPrevious()
	}
	if t := r.turn; t != nil && t.since != 0 && !t.gone && top >= t.since+r.window.size {
		r.dropOld()
	}
}

// cipher returns the cipher of an epoch, nil if its key is gone or too far ahead.
func (k *openKeys) cipher(epoch uint64) cipher.AEAD {
	switch {
	case epoch == k.epoch:
		return k.cur
	case k.other != nil && epoch == k.otherEpoch:
		return k.other
	case epoch < k.epoch && (k.prev == nil || epoch+1 != k.epoch):
		return nil
	case epoch > k.epoch+EpochsAhead:
		return nil
	}
	var key [KeySize]byte
	if epoch > k.epoch {
		key = k.keyAhead(epoch)
	} else {
		key = *k.prev
	}
	k.other, k.otherEpoch = newAEAD(k.suite, &key), epoch
	return k.other
}

// keyAhead derives the key of an epoch that is not before the present one.
func (k *openKeys) keyAhead(epoch uint64) [KeySize]byte {
	key := k.key
	for e := k.epoch; e < epoch; e++ {
		key = ratchet(&key)
	}
	return key
}

// enter makes a later epoch the present one. Its cipher is in other: it has just opened a frame.
func (k *openKeys) enter(epoch uint64) {
	old, oldEpoch := k.cur, k.epoch
	k.cur, k.other = k.other, nil
	prev := k.keyAhead(epoch - 1)
	k.prev, k.key = &prev, ratchet(&prev)
	k.epoch = epoch
	if oldEpoch+1 == epoch {
		k.other, k.otherEpoch = old, oldEpoch
	}
}

func (k *openKeys) dropPrevious() {
	k.prev = nil
	if k.other != nil && k.otherEpoch < k.epoch {
		k.other = nil
	}
}
