// SPDX-License-Identifier: Apache-2.0

package session

// Pair is both directions of a link in 168 bytes, where a Sender and a Receiver take 530: a relay
// has very many links, and each carries a frame now and then. It does what they do with the suite
// [ChaCha] and a window of [WindowLink], makes its ciphers anew for each frame, and is for one
// goroutine.
type Pair struct {
	secret
	send      [KeySize]byte // of epoch sendEpoch
	recv      [KeySize]byte // of epoch recvEpoch
	sendEpoch uint64
	recvEpoch uint64
	used      uint64 // the highest counter given out
	longUntil uint64
	top       uint64 // the highest counter opened
	bits      [WindowLink / wordBits]uint64
	prev      *[KeySize]byte // of the epoch before recvEpoch, while its frames may still arrive
	heard     bool
}

// NewPair returns a link's keys at epoch 0 whose first counter is 1.
func NewPair(k Keys) *Pair { return &Pair{send: k.Send, recv: k.Recv} }

// Reserve takes n counters, n at least 1, and returns the first.
func (p *Pair) Reserve(n int) (first uint64) {
	if n < 1 {
		panic("session: reserve of no counters")
	}
	p.used += uint64(n)
	return p.used - uint64(n) + 1
}

// Used returns the highest counter given out so far, 0 if there is none.
func (p *Pair) Used() uint64 { return p.used }

// Top returns the highest counter opened so far, 0 if there is none.
func (p *Pair) Top() uint64 { return p.top }

// Heard says that a frame of the other end was authenticated.
func (p *Pair) Heard() { p.heard = true }

// Resync makes the next 64 counters long.
func (p *Pair) Resync() { p.longUntil = p.used + longResync }

// Long reports whether a frame with this counter carries 32 bits of it, see [Sender.Long].
func (p *Pair) Long(ctr uint64) bool {
	return ctr&withinMax < longFirst || ctr%longEvery == 0 || ctr <= p.longUntil || !p.heard
}

// Ratchet makes the next counter the first of a new epoch, see [Sender.Ratchet].
func (p *Pair) Ratchet() bool {
	last := p.used | withinMax
	if p.used == last || p.used == 0 {
		return false
	}
	p.used = last
	return true
}

// Seal encrypts like [Sender.Seal]. The result is nil for a counter of an epoch that is over.
func (p *Pair) Seal(dst []byte, ctr uint64, aad byte, plaintext []byte) []byte {
	if ctr > p.used {
		panic("session: seal with a counter that was never reserved")
	}
	epoch := ctr >> EpochBits
	if epoch < p.sendEpoch {
		return nil
	}
	for ; p.sendEpoch < epoch; p.sendEpoch++ {
		p.send = ratchet(&p.send)
	}
	var nonce [nonceSize]byte
	putNonce(&nonce, ctr)
	return newAEAD(ChaCha, &p.send).Seal(dst, nonce[:], plaintext, []byte{aad})
}

// Open decrypts like [Receiver.Open].
func (p *Pair) Open(
	dst []byte, epoch uint8, low uint32, long bool, aad byte, sealed []byte,
) (plain []byte, ctr uint64, err error) {
	ctr, ok := nearest(p.top, epoch, low, long)
	if !ok {
		return nil, 0, ErrEpoch
	}
	if w := p.window(); !w.Check(ctr) {
		return nil, ctr, ErrReplay
	}
	key, before, ok := p.keyOf(ctr >> EpochBits)
	if !ok {
		return nil, ctr, ErrEpoch
	}
	var nonce [nonceSize]byte
	putNonce(&nonce, ctr)
	plain, err = newAEAD(ChaCha, &key).Open(dst, nonce[:], sealed, []byte{aad})
	if err != nil {
		return nil, ctr, ErrOpen
	}
	p.commit(ctr, key, before)
	return plain, ctr, nil
}

// window is the replay window over the bits that the pair holds.
func (p *Pair) window() Window {
	return Window{bits: p.bits[:], size: WindowLink, top: p.top}
}

// keyOf returns the key of an epoch, and of the one before if the epoch lies ahead.
func (p *Pair) keyOf(epoch uint64) (key, before [KeySize]byte, ok bool) {
	switch {
	case epoch == p.recvEpoch:
		return p.recv, before, true
	case epoch < p.recvEpoch && (p.prev == nil || epoch+1 != p.recvEpoch):
		return key, before, false
	case epoch < p.recvEpoch:
		return *p.prev, before, true
	case epoch > p.recvEpoch+EpochsAhead:
		return key, before, false
	}
	key = p.recv
	for e := p.recvEpoch; e < epoch; e++ {
		before, key = key, ratchet(&key)
	}
	return key, before, true
}

// commit records a counter whose tag was verified.
func (p *Pair) commit(ctr uint64, key, before [KeySize]byte) {
	w := p.window()
	w.Mark(ctr)
	p.top = w.top
	if epoch := ctr >> EpochBits; epoch > p.recvEpoch {
		p.recvEpoch, p.recv, p.prev = epoch, key, &before
	}
	if p.top&withinMax >= WindowLink { // a window wholly inside this epoch refuses all before it
		p.prev = nil
	}
}
