// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"staex/internal/clock"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

const (
	// askEveryAuto is askEvery for a learned period.
	askEveryAuto = 5
	// natShare is the part of a proven delay that becomes the period, in hundredths.
	natShare = 92
	// natFirst is the first delay that is tried, in seconds: the double of the default period.
	natFirst = 60
	// natLeast is the shortest delay that is tried, in seconds. A translator that keeps less is
	// held open with the default period as well as with any other.
	natLeast = 8
	// natWidth: the search ends when what works and what does not are this part apart.
	natWidth = 64
	// natFails is how many late answers in a row must be missing until a delay counts as too
	// long: one may be lost.
	natFails = 2
	// natMute is how many questions may stay without any answer until the search rests.
	natMute = 5
	// natNow is how long the answer at once is waited for, natLate how long a late one.
	natNow  = 3 * time.Second
	natLate = 5 * time.Second
	// natWarm is how long after a first question the delay is asked for. Linux keeps a mapping for
	// udp_timeout (30 s) until packets go both ways more than two seconds after its first one, and
	// for udp_timeout_stream (120 s) from then on; the mapping of a link is of the second kind.
	natWarm = 3 * time.Second
	// natStart is how long a new link is left alone, natJitter spreads the children of a parent.
	natStart  = 5 * time.Second
	natJitter = 10 * time.Second
	// natAgain is when a search that found nobody is tried again, natGrow when a longer delay is.
	natAgain = time.Hour
	natGrow  = 7 * 24 * time.Hour
	// maxPlaces bounds the networks of which the delay is remembered.
	maxPlaces = 8

	natName   = "nat-timeouts"
	placeSize = 10 // place 8, seconds 2
)

// known is the delay that was proven in one network.
type known struct {
	place   [8]byte
	seconds int
}

// natSearch finds the longest time for which a mapping on the way to the parent lives without use.
//
//	resting --timer--> asked --answer at once--> waiting --late answer--> asked (longer)
//	   ^                 | natMute times           | natFails times
//	   +-----------------+ nothing                 +--> asked (shorter)
//	   +--- when low and high are close ---
//
// Where the mapping may be a new one, asked and waiting have a round of natWarm in front of them.
type natSearch struct {
	link   *link // the parent whose link is asked about; nil while there is none
	place  [8]byte
	low    int // seconds that a mapping lives; 0 not known
	high   int // seconds that it does not; 0 not known
	hint   int // to be tried next, 0 nothing
	trial  int // under way, 0 resting
	number uint32
	acked  bool
	warm   bool // the mapping of the second socket is no new one
	fails  int  // of this trial
	mute   int
	said   time.Duration // the period that the parent knows
	since  time.Duration // when it began
	timer  *timer
	memory []known // newest first
}

func (s *natSearch) init(n *Node) {
	s.timer = newTimer(func(now clock.Reading, out *Effects) { n.natDue(now, out) })
	for b := n.cfg.Stored[natName]; len(b) >= placeSize && len(s.memory) < maxPlaces; {
		k := known{[8]byte(b), int(binary.BigEndian.Uint16(b[8:]))}
		if k.seconds > 0 && k.seconds <= wire.MaxNATDelay {
			s.memory = append(s.memory, k)
		}
		b = b[placeSize:]
	}
}

// natAttached begins to learn on a new link to the active parent. What is known of the place is
// asked again first: it may be another one.
func (n *Node) natAttached(now clock.Reading, l *link) {
	s := &n.nat
	if !n.cfg.KeepAliveAuto {
		if l.up.resumed { // the ticket may be older than the configuration
			p := wire.Period{Seconds: max(seconds(l.period), 1)}
			n.tell(l, wire.ControlPeriod, p.Append(nil))
		}
		return
	}
	hint := max(s.low, s.hint)
	s.link, s.said = l, 0
	s.low, s.high, s.hint, s.trial, s.fails, s.mute, s.warm = 0, 0, hint, 0, 0, 0, false
	n.setPeriod(now, n.cfg.KeepAlive)
	n.timers.arm(s.timer, now.Up+natStart+n.jitter(natJitter))
}

// natDetached stops learning when the link to the active parent is gone.
func (n *Node) natDetached(l *link) {
	if n.nat.link == l {
		n.nat.link = nil
		n.timers.stop(n.nat.timer)
	}
}

// setPeriod changes how often the parent hears of us, and tells it.
func (n *Node) setPeriod(now clock.Reading, d time.Duration) {
	s := &n.nat
	l := s.link
	d = max(d.Truncate(time.Second), time.Second)
	if s.said == d {
		return
	}
	if l.period != d {
		n.event(Event{Kind: EventKeepAlive, Took: d})
	}
	l.period, s.said, s.since = d, d, now.Up
	p := wire.Period{Flags: wire.PeriodMoves, Seconds: seconds(d)}
	n.tell(l, wire.ControlPeriod, p.Append(nil))
	n.sooner(l, beatTimer, now.Up+d)
}

// natDue acts when an answer did not come in time, or when the search has rested.
func (n *Node) natDue(now clock.Reading, out *Effects) {
	s := &n.nat
	if s.acked && !s.warm && s.trial > 0 {
		s.warm = true
		n.natAsk(now, out)
		return
	}
	s.warm = false
	switch {
	case s.trial == 0:
		if s.low > 0 {
			s.hint = s.high // it may have grown
		} else {
			s.high = 0
		}
	case !s.acked:
		if s.mute++; s.mute >= natMute {
			s.mute, s.trial = 0, 0
			n.timers.arm(s.timer, now.Up+natAgain)
			return
		}
	default:
		if s.fails++; s.fails >= natFails {
			n.natTooLong(now)
		}
	}
	n.natAsk(now, out)
}

// natTooLong notes that a mapping does not live as long as was tried.
func (n *Node) natTooLong(now clock.Reading) {
	s := &n.nat
	s.fails, s.high = 0, s.trial
	if s.hint == s.trial {
		s.hint = 0
	}
	if s.trial <= s.low {
		s.low = 0
		n.setPeriod(now, n.cfg.KeepAlive)
	}
}

// next is the delay to try, or 0 when enough is known.
func (s *natSearch) next() int {
	switch {
	case s.hint > 0:
		return s.hint
	case s.low == 0 && s.high == 0:
		return natFirst
	case s.low == 0:
		if half := s.high / 2; half >= natLeast {
			return half
		}
		return 0
	case s.high == 0:
		if s.low >= wire.MaxNATDelay {
			return 0
		}
		return min(2*s.low, wire.MaxNATDelay)
	case s.high-s.low <= max(1, s.low/natWidth):
		return 0
	default:
		return (s.low + s.high) / 2
	}
}

// natAsk sends the next question from the second socket, or rests.
func (n *Node) natAsk(now clock.Reading, out *Effects) {
	s := &n.nat
	if s.trial = s.next(); s.trial == 0 {
		n.natRemember()
		n.timers.arm(s.timer, now.Up+natGrow)
		return
	}
	s.number++
	s.acked = false
	q := wire.NATProbe{To: s.link.theirs, Number: s.number, Delay: uint16(s.trial)}
	out.Send = append(out.Send, Datagram{
		To: s.link.live.Addr(), B: sealProbe(s.link, q, false), Probe: true,
	})
	n.timers.arm(s.timer, now.Up+natNow)
}

// FromProbe takes a datagram that arrived on the second socket.
func (n *Node) FromProbe(now clock.Reading, from netip.AddrPort, b []byte, out *Effects) {
	defer n.finish(now, out)
	s := &n.nat
	a, err := wire.ParseNATProbe(b)
	if err != nil {
		n.count(drop.BadFrame)
		return
	}
	l := s.link
	if l == nil || s.trial == 0 || from != l.live.Addr() || a.To != l.mine {
		n.count(drop.Stranger)
		return
	}
	if !session.CheckProbe(l.digest, true, wire.TicketMACInput(b), a.Mac) {
		n.count(drop.BadMac)
		return
	}
	switch {
	case a.Number != s.number:
		n.count(drop.Replay)
	case a.Delay == 0 && !s.acked:
		n.natPlace(now, a.Place)
	case int(a.Delay) == s.trial && s.acked && s.warm:
		n.natProven(now, out)
	default:
		n.count(drop.Replay)
	}
}

// natPlace takes the answer at once: the question arrived, from this network.
func (n *Node) natPlace(now clock.Reading, at [8]byte) {
	s := &n.nat
	s.acked, s.mute = true, 0
	if at != s.place {
		s.place, s.low, s.high, s.hint, s.fails = at, 0, 0, 0, 0
		n.setPeriod(now, n.cfg.KeepAlive)
		i := slices.IndexFunc(s.memory, func(k known) bool { return k.place == at })
		if i >= 0 {
			s.hint = s.memory[i].seconds
		}
		if s.next() != s.trial {
			s.trial = 0 // rest until the parent takes another question
			n.timers.arm(s.timer, now.Up+probeEvery)
			return
		}
	}
	wait := natWarm
	if s.warm {
		wait = time.Duration(s.trial)*time.Second + natLate
	}
	n.timers.arm(s.timer, now.Up+wait)
}

// natProven takes the late answer: a mapping lived that long.
func (n *Node) natProven(now clock.Reading, out *Effects) {
	s := &n.nat
	s.fails, s.low = 0, s.trial
	if s.high > 0 && s.high <= s.low {
		s.high = 0
	}
	if s.hint == s.trial {
		s.hint = 0
	}
	n.setPeriod(now, time.Duration(s.low)*time.Second*natShare/100)
	n.natAsk(now, out)
}

// natRemember keeps what the search found, on the disk too if it is news.
func (n *Node) natRemember() {
	s := &n.nat
	old := slices.Clone(s.memory)
	s.memory = slices.DeleteFunc(s.memory, func(k known) bool { return k.place == s.place })
	if s.low > 0 {
		s.memory = slices.Insert(s.memory, 0, known{s.place, s.low})
		s.memory = s.memory[:min(len(s.memory), maxPlaces)]
	}
	if slices.Equal(old, s.memory) {
		return
	}
	var b []byte
	for _, k := range s.memory {
		b = binary.BigEndian.AppendUint16(append(b, k.place[:]...), uint16(k.seconds))
	}
	n.keep(natName, b)
}

// fromMoved takes the parent's word that our frames come from another address: the mapping died
// between two keep-alives, or the network is another one. While the period is the default one there
// is nothing to take back; and what happened before a period has passed was not its fault.
func (n *Node) fromMoved(now clock.Reading, l *link, b []byte) error {
	if _, err := wire.ParseMoved(b); err != nil {
		return err
	}
	s := &n.nat
	switch {
	case l != s.link, s.low > 0 && now.Up-s.since < l.period:
		return nil
	case s.low == 0:
		if s.trial == 0 { // nothing was found here, but this may be elsewhere
			n.timers.sooner(s.timer, now.Up+natAgain)
		}
		return nil
	}
	s.hint = s.low
	s.low, s.high, s.trial, s.fails, s.mute, s.warm = 0, 0, 0, 0, 0, false
	n.setPeriod(now, n.cfg.KeepAlive)
	n.timers.arm(s.timer, now.Up+n.jitter(natStart))
	return nil
}
