// SPDX-License-Identifier: Apache-2.0

package node

import (
	"time"

	"staex/internal/clock"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

const (
	// kemFirst is the first wait until a message of a session's exchange is repeated; it doubles
	// up to kemCap. With kemTries the exchange has about 15 seconds.
	kemFirst = 250 * time.Millisecond
	kemCap   = time.Second
	kemTries = 16
	// kemRest is how long frames under the keys from before an exchange are still opened.
	kemRest = 10 * time.Second
)

// sessionKEM is the post-quantum exchange of a session under way. Unless one end requires it, data
// flow before, and no frame is lost at the switch: both ends open frames under either keys.
//
//	caller: key sent, again and again --answer--> seals under the new keys, confirms again and
//	        again --a frame under the new keys opens--> done
//	called: waits --both halves--> answer sent --a frame under the new keys opens--> seals under
//	        them, confirms, done
type sessionKEM struct {
	keys   session.Keys // of the handshake; at the called end, once mixed, those to come
	kem    *session.KEM // of the caller
	parts  [wire.KEMKeyParts][]byte
	halves kemHalves // that came to the called end
	answer []byte    // of the called end, for a key that comes again
	caller bool
	must   bool // nothing else goes before
	mixed  bool // this end knows the new keys
	timer  *timer
}

// agreeSession decides by the flags of a handshake whether an exchange follows; nil if none does.
// It reports false when the two ends cannot talk.
func (n *Node) agreeSession(c *conversation, flags uint8, keys session.Keys) (*sessionKEM, bool) {
	do, must, err := n.cfg.PostQuantum.agree(flags >> wire.XKFlagsPQ)
	if err != nil {
		n.count(drop.NotAdmitted)
		n.event(Event{Kind: EventSessionRefused, Key: c.key.remote, Text: err.Error()})
		return nil, false
	}
	if !do {
		return nil, true
	}
	return &sessionKEM{keys: keys, must: must}, true
}

// held reports that the session must not carry anything yet.
func (s *liveSession) held() bool { return s.kem != nil && s.kem.must }

// offerSessionKEM begins the exchange as the caller.
func (n *Node) offerSessionKEM(now clock.Reading, s *liveSession) {
	x := s.kem
	if x == nil {
		return
	}
	kem, err := session.NewKEM(n.rand)
	if err != nil {
		n.kemFailed(now, s)
		return
	}
	x.caller, x.kem, x.parts = true, kem, kemParts(kem)
	n.tryKEM(now, s, 0)
}

// awaitSessionKEM gives the caller time for the exchange.
func (n *Node) awaitSessionKEM(now clock.Reading, s *liveSession) {
	if x := s.kem; x != nil {
		x.timer = newTimer(func(now clock.Reading, _ *Effects) { n.kemFailed(now, s) })
		n.timers.arm(x.timer, now.Up+kemLife)
	}
}

// tryKEM sends what the caller has to say and arms its repetition.
func (n *Node) tryKEM(now clock.Reading, s *liveSession, try int) {
	x := s.kem
	switch {
	case try >= kemTries:
		n.kemFailed(now, s)
		return
	case x.mixed:
		n.confirm(now, s)
	default:
		for _, part := range x.parts {
			n.exchange(now, s, wire.SessionKEMKey, part)
		}
	}
	x.timer = newTimer(func(now clock.Reading, _ *Effects) { n.tryKEM(now, s, try+1) })
	n.timers.arm(x.timer, now.Up+min(kemFirst<<min(try, kemTries), kemCap))
}

// exchange sends a message of the exchange, which does not wait for the session to be open.
func (n *Node) exchange(now clock.Reading, s *liveSession, typ uint8, body []byte) {
	if n.fast.Message(now.Up, s.fast, append(wire.AppendSession(nil, typ), body...)) {
		n.watchSoon(now, s)
	}
}

// confirm sends a sign of life and nothing else.
func (n *Node) confirm(now clock.Reading, s *liveSession) {
	n.fast.Message(now.Up, s.fast, wire.AppendSession(nil, wire.SessionConfirm))
}

// kemFailed gives up a session whose ends did not come to equal keys, and makes another one while
// somebody waits for it. There is no going on without: silence must not take the protection away.
func (n *Node) kemFailed(now clock.Reading, s *liveSession) {
	c := s.conv
	n.forgetSession(now, s)
	n.event(Event{Kind: EventSessionDown, Key: c.key.remote, Text: errKEMUnfinished})
	if c.live == nil && c.next == nil && !c.busy() {
		n.dialLater(now, c)
	}
}

// fromSessionKEM acts on a message of the exchange.
func (n *Node) fromSessionKEM(now clock.Reading, s *liveSession, m wire.SessionMessage) error {
	x := s.kem
	if m.Type == wire.SessionKEMKey {
		k, err := wire.ParseKEMKey(m.Body)
		switch {
		case err != nil:
			return err
		case x != nil && !x.caller:
			n.answerSessionKEM(now, s, k)
			return nil
		}
	} else {
		a, err := wire.ParseKEMAnswer(m.Body)
		switch {
		case err != nil:
			return err
		case x != nil && x.caller && !x.mixed:
			n.mixSession(now, s, a)
			return nil
		}
	}
	if !s.hybrid && (x == nil || !x.mixed) { // else it is a repetition that was on the way
		n.count(drop.BadType)
	}
	return nil
}

// answerSessionKEM encapsulates a secret to the caller's key as soon as it is whole.
func (n *Node) answerSessionKEM(now clock.Reading, s *liveSession, k wire.KEMKey) {
	x := s.kem
	if !x.mixed {
		public := x.halves.add(k)
		if public == nil {
			return
		}
		answer, mixed, err := session.AnswerKEM(x.keys, public, n.rand)
		if err != nil {
			n.kemFailed(now, s)
			return
		}
		x.keys, x.mixed, x.halves = mixed, true, kemHalves{}
		x.answer = wire.KEMAnswer{Ciphertext: answer}.Append(nil)
		s.fast.Recv.Expect(mixed.Recv)
	} else if k.Part != wire.KEMKeyParts-1 {
		return
	}
	n.exchange(now, s, wire.SessionKEMAnswer, x.answer)
}

// mixSession switches the caller to the new keys. The other end follows when it sees the first
// frame under them.
func (n *Node) mixSession(now clock.Reading, s *liveSession, a wire.KEMAnswer) {
	x := s.kem
	mixed, err := x.kem.Mix(x.keys, a.Ciphertext)
	if err != nil {
		n.kemFailed(now, s)
		return
	}
	x.keys, x.kem, x.mixed = mixed, nil, true
	x.parts = [wire.KEMKeyParts][]byte{}
	s.fast.Recv.Expect(mixed.Recv)
	s.fast.Send.Switch(mixed.Send)
	n.timers.stop(x.timer)
	n.tryKEM(now, s, 0)
}

// sessionTurned ends the exchange when a frame under the new keys has opened. Messages come to the
// slow path, so the other end repeats Confirm until this has happened at both.
func (n *Node) sessionTurned(now clock.Reading, s *liveSession, out *Effects) {
	x := s.kem
	if x == nil || !x.mixed || !s.fast.Recv.Turned() {
		return
	}
	n.timers.stop(x.timer)
	s.kem, s.hybrid = nil, true
	rest := newTimer(func(clock.Reading, *Effects) { s.fast.Recv.DropPrevious() })
	n.timers.arm(rest, now.Up+kemRest)
	if !x.caller {
		s.fast.Send.Switch(x.keys.Send)
		n.confirm(now, s)
	}
	known := n.sessions.byTag[s.proof.Expect()[0]] == s
	n.forgetTags(s)
	s.proof = session.NewProver(x.keys, x.caller)
	if known {
		n.learnTags(s)
	}
	if x.must {
		n.promote(now, s.conv, s, out)
	}
}

// endSessionKEM gives up an exchange under way.
func (n *Node) endSessionKEM(s *liveSession) {
	if s.kem != nil {
		n.timers.stop(s.kem.timer)
		s.kem = nil
	}
}
