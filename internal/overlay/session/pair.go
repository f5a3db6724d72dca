// SPDX-License-Identifier: Apache-2.0

package session

// Pair is both directions of a link in 160 bytes, where a Sender and a Receiver take 530: a relay
// has very many links, and each carries a frame now and then. It does what they do with the suite
// [ChaCha] and a window of [WindowLink], makes its ciphers anew for each frame, and is for one
// goroutine.
type Pair struct {
	secret
	send      [KeySize]byte // of epoch sendEpoch
	recv      pairKeys
	sendEpoch uint64
	used      uint64 // the highest counter given out
	longUntil uint64
	top       uint64 // the highest counter opened
	bits      [WindowLink / wordBits]uint64
	turn      *pairTurn // while the other end switches to other keys
	heard     bool
}

// pairKeys opens the frames of one line of keys.
type pairKeys struct {
	key   [KeySize]byte // of epoch
	epoch uint64
	prev  *[KeySize]byte // of the epoch before, while its frames may still arrive
}

// pairTurn is the keys beside those that opened the latest frame, see [Receiver].
type pairTurn struct {
	next *pairKeys // nil once a frame opened under them
	old  pairKeys  // valid then
}

// NewPair returns a link's keys at epoch 0 whose first counter is 1.
func NewPair(k Keys) *Pair { return &Pair{send: k.Send, recv: pairKeys{key: k.Recv}} }

// Switch seals under other keys from now on, see [Sender.Switch].
func (p *Pair) Switch(key [KeySize]byte) {
	p.send = key
	for range p.sendEpoch {
		p.send = ratchet(&p.send)
	}
}

// Expect prepares for other keys of the other end, see [Receiver.Expect].
func (p *Pair) Expect(key [KeySize]byte) { p.turn = &pairTurn{next: &pairKeys{key: key}} }

// Turned reports whether a frame under the keys of the last Expect was opened, until Settle.
func (p *Pair) Turned() bool { return p.turn != nil && p.turn.next == nil }

// Settle forgets the keys from before the switch.
func (p *Pair) Settle() { p.turn = nil }

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
	if plain, err = p.recv.open(dst, ctr, aad, sealed); err == nil {
		p.commit(ctr)
		return plain, ctr, nil
	}
	if p.turn == nil {
		return nil, ctr, err
	}
	if plain, err = p.turn.other().open(dst, ctr, aad, sealed); err != nil {
		return nil, ctr, err
	}
	if p.turn.next != nil {
		p.turn.old, p.recv, p.turn.next = p.recv, *p.turn.next, nil
	}
	p.commit(ctr)
	return plain, ctr, nil
}

// other is the keys to try when those of the latest frame do not open one.
func (t *pairTurn) other() *pairKeys {
	if t.next != nil {
		return t.next
	}
	return &t.old
}

// open decrypts under the key of the counter's epoch, which it makes the present one if it lay
// ahead.
func (k *pairKeys) open(dst []byte, ctr uint64, aad byte, sealed []byte) ([]byte, error) {
	epoch := ctr >> EpochBits
	key, before, ok := k.of(epoch)
	if !ok {
		return nil, ErrEpoch
	}
	var nonce [nonceSize]byte
	putNonce(&nonce, ctr)
	plain, err := newAEAD(ChaCha, &key).Open(dst, nonce[:], sealed, []byte{aad})
	if err != nil {
		return nil, ErrOpen
	}
	if epoch > k.epoch {
		k.epoch, k.key, k.prev = epoch, key, &before
	}
	return plain, nil
}

// window is the replay window over the bits that the pair holds.
func (p *Pair) window() Window {
	return Window{bits: p.bits[:], size: WindowLink, top: p.top}
}

// of returns the key of an epoch, and of the one before if the epoch lies ahead.
func (k *pairKeys) of(epoch uint64) (key, before [KeySize]byte, ok bool) {
	switch {
	case epoch == k.epoch:
		return k.key, before, true
	case epoch < k.epoch && (k.prev == nil || epoch+1 != k.epoch):
		return key, before, false
	case epoch < k.epoch:
		return *k.prev, before, true
	case epoch > k.epoch+EpochsAhead:
		return key, before, false
	}
	key = k.key
	for e := k.epoch; e < epoch; e++ {
		before, key = key, ratchet(&key)
	}
	return key, before, true
}

// commit records a counter whose tag was verified.
func (p *Pair) commit(ctr uint64) {
	w := p.window()
	w.Mark(ctr)
	p.top = w.top
	if p.top&withinMax >= WindowLink { // a window wholly inside this epoch refuses all before it
		p.recv.prev = nil
	}
}
