// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/cipher"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// longFirst is how many frames at the start of an epoch carry the long counter, so that a
	// receiver that missed the border still finds the new epoch.
	longFirst = 32
	// longEvery is the distance of long counters in a steady stream.
	longEvery = 256
	// longResync is how many frames carry the long counter after a pause or a move.
	longResync = 64
	// fastFrames in fastSpan make all counters long: so many frames may be lost or overtaken in one
	// go that 16 bits no longer say which one this is.
	fastFrames = 8192
	fastSpan   = 10 * time.Second
	// sealSlots is how many goroutines seal for one session at once without allocating. A
	// fifth one allocates its nonce and is right all the same.
	sealSlots = 4
)

// Sender seals the frames of one direction. All methods are safe for concurrent use. It costs
// one cipher object, and that of an old epoch only while a late frame needs it.
type Sender struct {
	secret
	used      atomic.Uint64 // the highest counter given out
	longUntil atomic.Uint64 // counters up to this one go out long
	pace      atomic.Uint64 // see Fast
	heard     atomic.Bool
	suite     Suite
	keys      atomic.Pointer[sealKeys]
	mu        sync.Mutex // serialises the writers of keys
	slots     [sealSlots]slot
}

// sealKeys is what Seal reads. It never changes once published.
type sealKeys struct {
	epoch   uint64
	aead    cipher.AEAD
	key     [KeySize]byte
	prev    [KeySize]byte // key of epoch-1: for workers that reserved before the border
	hasPrev bool
}

// slot is scratch space for one call. The arguments of a cipher.AEAD escape to the heap, so they
// must live in memory that is already there.
type slot struct {
	busy  atomic.Bool
	aad   [1]byte
	nonce [nonceSize]byte
}

// NewSender returns a sender whose key is that of epoch 0 and whose first counter is 1.
func NewSender(key [KeySize]byte, suite Suite) *Sender {
	s := &Sender{suite: suite}
	s.keys.Store(&sealKeys{key: key, aead: newAEAD(suite, &key)})
	return s
}

// Reserve takes n counters, n at least 1, and returns the first. The caller owns
// first .. first+n-1 and seals with each at most once; gaps are harmless.
func (s *Sender) Reserve(n int) (first uint64) {
	if n < 1 {
		panic("session: reserve of no counters")
	}
	return s.used.Add(uint64(n)) - uint64(n) + 1
}

// Used returns the highest counter given out so far, 0 if there is none.
func (s *Sender) Used() uint64 { return s.used.Load() }

// Heard says that a frame of the other end was authenticated: it has the keys and follows.
func (s *Sender) Heard() {
	if !s.heard.Load() {
		s.heard.Store(true)
	}
}

// Resync makes the next 64 counters long: call it after a pause or when a path moved.
func (s *Sender) Resync() { s.longUntil.Store(s.used.Load() + longResync) }

// Long reports whether a frame with this counter carries 32 bits of it rather than 16: the first
// 32 of an epoch, every 256th, 64 after Resync, and all until Heard. A caller may always choose
// long, and does so for a whole batch while the sender is [Sender.Fast].
func (s *Sender) Long(ctr uint64) bool {
	return ctr&withinMax < longFirst || ctr%longEvery == 0 ||
		ctr <= s.longUntil.Load() || !s.heard.Load()
}

// LongBatch reports whether any of the n counters from first on is to be long. The frames of a
// segmented send are equally long, so one decides for all.
func (s *Sender) LongBatch(first uint64, n int) bool {
	for i := range uint64(max(n, 0)) {
		if s.Long(first + i) {
			return true
		}
	}
	return false
}

// A pace is what was sent in a span of time: when the span began in tenths of a second, how much
// was sent in the one before it, and the highest counter when it began.
//
//	63             42 41          28 27              0
//	+----------------+--------------+----------------+
//	|     began      |    before    |    counter     |
//	+----------------+--------------+----------------+
const (
	paceUnit   = 100 * time.Millisecond
	paceSpan   = uint64(fastSpan / paceUnit)
	paceBegan  = 42
	paceBefore = 28
	maskBegan  = 1<<(64-paceBegan) - 1
	maskBefore = 1<<(paceBegan-paceBefore) - 1
	maskPaced  = 1<<paceBefore - 1
)

// Fast reports whether more than 8,192 counters were given out in the last 10 s, on the Up clock.
// The counters of such a sender go out long. Of the part of those seconds that lies in an earlier
// span it knows the average only.
func (s *Sender) Fast(now time.Duration) bool {
	p := s.pace.Load()
	used, at := s.used.Load(), uint64(now/paceUnit)
	sent := (used - p) & maskPaced
	before := p >> paceBefore & maskBefore
	age := (at - p>>paceBegan) & maskBegan
	if age >= paceSpan {
		before = min(sent, maskBefore)
		if age >= 2*paceSpan {
			before = 0 // nobody knows when in all that time
		}
		next := at&maskBegan<<paceBegan | before<<paceBefore | used&maskPaced
		s.pace.CompareAndSwap(p, next)
		sent, age = 0, 0
	}
	return sent+before*(paceSpan-age)/paceSpan > fastFrames
}

// Ratchet makes the next counter the first of a new epoch, so that the present key can be
// forgotten. It does nothing, and returns false, while no frame was reserved since the last
// border: the receiver derives only [EpochsAhead] epochs.
func (s *Sender) Ratchet() bool {
	for {
		used := s.used.Load()
		last := used | withinMax // the last counter of this epoch
		if used == last || used == 0 {
			return false
		}
		if s.used.CompareAndSwap(used, last) {
			return true
		}
	}
}

// DropPrevious forgets the key of the epoch before the present one. Frames reserved in that
// epoch and not sealed yet can no longer be sealed.
func (s *Sender) DropPrevious() {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := *s.keys.Load()
	k.prev, k.hasPrev = [KeySize]byte{}, false
	s.keys.Store(&k)
}

// Seal encrypts the plaintext under the counter, authenticates aad with it, and appends the
// result, [TagSize] bytes longer, to dst. The counter must come from Reserve. The output may lie
// exactly over the plaintext (dst = plaintext[:0], or a header right before it) and otherwise
// must not overlap it. It allocates nothing if dst has room.
//
// The result is nil if the key of the counter's epoch is gone already, which takes a caller that
// sat on a counter for two epochs: drop the frame. Seal panics on a counter of an epoch that was
// never reserved.
func (s *Sender) Seal(dst []byte, ctr uint64, aad byte, plaintext []byte) []byte {
	k := s.keys.Load()
	aead := k.aead
	if ctr>>EpochBits != k.epoch {
		if aead = s.otherEpoch(ctr); aead == nil {
			return nil
		}
	}
	sl := s.claim(ctr)
	sl.aad[0] = aad
	putNonce(&sl.nonce, ctr)
	dst = aead.Seal(dst, sl.nonce[:], plaintext, sl.aad[:])
	sl.busy.Store(false)
	return dst
}

// claim finds free scratch space. It starts at a place that depends on the counter, because two
// workers seldom hold the same one.
func (s *Sender) claim(ctr uint64) *slot {
	for i := range uint64(sealSlots) {
		sl := &s.slots[(ctr+i)%sealSlots]
		if sl.busy.CompareAndSwap(false, true) {
			return sl
		}
	}
	return new(slot)
}

// otherEpoch returns the cipher for a counter outside the published epoch: it moves on to a later
// one, or rebuilds the cipher of the one before. It returns nil if that key is gone.
func (s *Sender) otherEpoch(ctr uint64) cipher.AEAD {
	if ctr > s.used.Load() {
		panic("session: seal with a counter that was never reserved")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys.Load()
	epoch := ctr >> EpochBits
	switch {
	case epoch == k.epoch: // another worker was faster
		return k.aead
	case epoch+1 == k.epoch && k.hasPrev:
		return newAEAD(s.suite, &k.prev)
	case epoch < k.epoch:
		return nil
	}
	return s.publish(&sealKeys{epoch: k.epoch, key: k.key}, epoch)
}

// publish moves keys on to an epoch and makes them those that Seal reads. The caller holds mu.
func (s *Sender) publish(next *sealKeys, epoch uint64) cipher.AEAD {
	for next.epoch < epoch {
		next.prev, next.hasPrev = next.key, true
		next.key = ratchet(&next.key)
		next.epoch++
	}
	next.aead = newAEAD(s.suite, &next.key)
	s.keys.Store(next)
	return next.aead
}

// Switch seals from now on under other keys, of whose epochs key is the first. Counters and epochs
// go on, so that no counter is used twice; one that was reserved before is sealed under either.
func (s *Sender) Switch(key [KeySize]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.publish(&sealKeys{key: key}, s.keys.Load().epoch)
}
