// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/bound"
	"staex/internal/overlay/drop"
	"staex/internal/wire"
)

const (
	// timePrefix begins the name under which a network's lower bound of the time is kept on disk.
	timePrefix = "time-"
	// timeWait is how long a bound that moved waits for others before it is written to disk, and
	// timeEvery how long until the next write: flash memory wears out.
	timeWait  = time.Minute
	timeEvery = 24 * time.Hour
	// stateEvery is how often a node with the role time says what time it is.
	stateEvery = 24 * time.Hour
	// timeStep is by how much a statement must be newer than the last one to be passed on, and
	// timeBehind how far behind a neighbour must be to be told: several nodes with the role do not
	// multiply what travels.
	timeStep   = 12 * 60 * 60
	timeBehind = 20 * 60 * 60
	// judgeEvery is how often what is up is looked at for what has expired meanwhile.
	judgeEvery = time.Hour
)

// ErrExpired says that a certificate's time is over.
var ErrExpired = errors.New("its certificate has expired")

// moments is what this node believes of the time.
type moments struct {
	of      map[ident.NetworkHash]*moment // one of each admitted network
	up      time.Duration                 // of the call that is under way
	save    *timer
	savedAt time.Duration
	saved   bool
	judge   *timer
	state   *timer
}

// moment is the lower bound of one network, and the newest statement to hand on.
type moment struct {
	bound     bound.Bound
	statement *bound.Statement
	told      uint32 // of the last statement that was passed on to everybody
}

// load takes the bound of a network from before the restart.
func (m *moments) load(n *Node, hash ident.NetworkHash) error {
	m.of[hash] = &moment{}
	name := timePrefix + hash.String()
	b, stored := n.cfg.Stored[name]
	if !stored {
		return nil
	}
	if len(b) < 4 {
		return fmt.Errorf("load %s: damaged", name)
	}
	m.of[hash].bound = bound.From(binary.BigEndian.Uint32(b))
	if len(b) == 4 {
		return nil
	}
	s, err := bound.Decode(b[4:])
	if err != nil {
		return fmt.Errorf("load %s: %w", name, err)
	}
	m.of[hash].statement = s
	return nil
}

func (m *moments) init(n *Node) {
	m.of = map[ident.NetworkHash]*moment{}
	m.save = newTimer(func(now clock.Reading, _ *Effects) { n.saveMoments(now) })
	m.judge = newTimer(func(now clock.Reading, _ *Effects) { n.judge(now) })
	m.state = newTimer(func(now clock.Reading, _ *Effects) { n.stateTime(now) })
	if n.who.Cert.Roles.Has(ident.RoleTime) {
		n.timers.arm(m.state, 0)
	}
}

// followAll begins to follow every network that the configuration and the chains name, and takes
// the time that their certificates prove.
func (n *Node) followAll() error {
	n.known = networks{}
	keys := maps.Clone(n.admitted)
	maps.Copy(keys, n.chains.believed)
	for hash, c := range n.chains.certs {
		keys[hash] = c.Key
	}
	for _, key := range slices.SortedFunc(maps.Values(keys), compareKeys) {
		if err := n.follow(key); err != nil {
			return err
		}
	}
	n.revs.gone = n.isRevoked(n.who.Cert.Network, n.self)
	own := n.who.Cert.Network
	n.passed(own, n.who.Cert.NotBefore, n.lastOf(own))
	if c := n.who.Network; c.SelfSigned() {
		n.passed(own, c.NotBefore, c.NotAfter)
	} else {
		n.passed(c.Authority.Hash(), c.NotBefore, 0)
	}
	for _, hash := range n.revs.order {
		if c := n.chains.certs[hash]; c != nil {
			n.passed(c.Authority.Hash(), c.NotBefore, 0)
			n.timers.sooner(n.moments.judge, judgeEvery)
		}
	}
	return nil
}

func compareKeys(a, b ident.NetworkKey) int { return bytes.Compare(a[:], b[:]) }

// follow begins to keep the revoked keys and the time of a network.
func (n *Node) follow(key ident.NetworkKey) error {
	n.known.add(key)
	if err := n.revs.load(n, key); err != nil {
		return err
	}
	return n.moments.load(n, key.Hash())
}

// look notes the moment of a call, and what a synchronised clock shows then; 0 without one.
func (n *Node) look(now clock.Reading) {
	n.moments.up = now.Up
	n.wall, _ = now.Seconds()
}

func (n *Node) boundOf(hash ident.NetworkHash) *bound.Bound {
	if m := n.moments.of[hash]; m != nil {
		return &m.bound
	}
	return &bound.Bound{}
}

// moment is what has certainly passed in a network, in Unix seconds: by a synchronised clock or by
// what the network's signers said. 0 is not known, and then nothing has expired.
func (n *Node) moment(hash ident.NetworkHash) uint32 {
	return max(n.wall, n.boundOf(hash).At())
}

// lastOf is the end of a network's own certificate, past which its key is not believed; 0: none.
func (n *Node) lastOf(hash ident.NetworkHash) uint32 {
	if hash == n.who.Cert.Network {
		return n.who.Network.NotAfter
	}
	if c := n.chains.certs[hash]; c != nil {
		return c.NotAfter
	}
	return 0 // of other networks only the key is configured
}

// passed moves a network's bound to what a trusted signer stated.
func (n *Node) passed(hash ident.NetworkHash, moment, signerNotAfter uint32) {
	m := n.moments.of[hash]
	if m == nil || !m.bound.Raise(moment, signerNotAfter) {
		return
	}
	at := n.moments.up + timeWait
	if n.moments.saved {
		at = max(at, n.moments.savedAt+timeEvery)
	}
	if n.moments.save.index < 0 {
		n.timers.arm(n.moments.save, at)
	}
}

// saveMoments writes the bounds that moved by a day or more.
func (n *Node) saveMoments(now clock.Reading) {
	for _, hash := range n.revs.order {
		m := n.moments.of[hash]
		if !m.bound.Due() {
			continue
		}
		b := binary.BigEndian.AppendUint32(nil, m.bound.At())
		if m.statement != nil {
			b = m.statement.Append(b)
		}
		n.keep(timePrefix+hash.String(), b)
		n.moments.saved, n.moments.savedAt = true, now.Up
	}
}

// unexpired says that a certificate's time is over, with the day. Nothing is ever called not yet
// valid: no clock here can prove that.
func (n *Node) unexpired(c *ident.NodeCert) error {
	if !c.Expired(n.moment(c.Network)) {
		return nil
	}
	day := time.Unix(int64(c.NotAfter), 0).UTC().Format(time.DateOnly)
	return fmt.Errorf("node %v: %w on %s; it needs a new one", c.Key, ErrExpired, day)
}

// watchExpiry makes sure that something which ends at a moment is looked at then.
func (n *Node) watchExpiry(now clock.Reading, notAfter uint32) {
	if notAfter == 0 {
		return
	}
	n.timers.sooner(n.moments.judge, now.Up+n.untilExpired(notAfter))
}

// untilExpired is when to look again at something that ends at a moment. Only a running clock says
// when that will be; a bound moves when somebody speaks.
func (n *Node) untilExpired(notAfter uint32) time.Duration {
	if n.wall == 0 || n.wall > notAfter {
		return judgeEvery
	}
	return min(judgeEvery, time.Duration(notAfter-n.wall+1)*time.Second)
}

// watchLinkExpiry makes sure that a link ends with its neighbour's certificate.
func (n *Node) watchLinkExpiry(now clock.Reading, l *link, c *ident.NodeCert) {
	l.notAfter = c.NotAfter
	n.watchExpiry(now, l.notAfter)
}

// watchParent is watchLinkExpiry for a parent. A pinned one is taken for its key, whatever its
// certificate says.
func (n *Node) watchParent(now clock.Reading, l *link, c *ident.NodeCert) {
	if n.parents.list[l.entry].Pin.IsZero() {
		n.watchLinkExpiry(now, l, c)
	}
}

// judge ends links whose certificate has expired meanwhile.
func (n *Node) judge(now clock.Reading) {
	n.judgeChains(now)
	for _, l := range n.links.all() {
		if l.notAfter == 0 {
			continue
		}
		if at := n.moment(l.network); at > l.notAfter {
			n.tell(l, wire.ControlBye, nil)
			n.endLinkSoon(now, l, ErrExpired.Error())
			continue
		}
		n.watchExpiry(now, l.notAfter)
	}
}

// stateTime says what time it is, once a day, as a node with the role time.
func (n *Node) stateTime(now clock.Reading) {
	if n.wall == 0 || n.revs.gone {
		n.timers.arm(n.moments.state, now.Up+time.Minute)
		return
	}
	n.timers.arm(n.moments.state, now.Up+stateEvery)
	s := bound.State(n.who.Network.Key, n.wall, n.who.Cert, n.who.Secret)
	n.takeTime(s, nil)
}

// fromTime takes a statement of the time. One that says nothing new costs no signature.
func (n *Node) fromTime(l *link, b []byte) error {
	m, err := wire.ParseTime(b)
	if err != nil {
		return err
	}
	s, err := bound.Decode(m.Statement)
	if err != nil {
		return err
	}
	if n.known[s.Network.Hash()] != s.Network {
		n.count(drop.NotAdmitted)
		return nil
	}
	if s.Moment <= n.boundOf(s.Network.Hash()).At() {
		return nil
	}
	if reason := n.refusedTime(s); reason != drop.None {
		n.count(reason)
		return nil
	}
	n.takeTime(s, l)
	return nil
}

// refusedTime says why the signer of a statement is not believed.
func (n *Node) refusedTime(s *bound.Statement) drop.Reason {
	switch {
	case s.Verify() != nil:
		return drop.BadSignature
	case n.isRevoked(s.Network.Hash(), s.Cert.Key):
		return drop.Revoked
	case n.unexpired(s.Cert) != nil:
		return drop.NotAdmitted
	}
	return drop.None
}

// takeTime believes a verified statement and passes it on if it is much newer than the last.
func (n *Node) takeTime(s *bound.Statement, from *link) {
	hash := s.Network.Hash()
	m := n.moments.of[hash]
	n.passed(hash, s.Moment, s.Cert.NotAfter)
	if old := m.statement; old == nil || s.Moment > old.Moment {
		m.statement = s
	}
	if m.told != 0 && s.Moment < m.told+timeStep {
		return
	}
	m.told = s.Moment
	body := wire.Time{Statement: s.Append(nil)}.Append(nil)
	for _, l := range n.links.all() {
		if l != from && slices.Contains(l.news.wants, hash) {
			n.tell(l, wire.ControlTime, body)
		}
	}
}

// tellTime hands the newest statement to a neighbour that is behind.
func (n *Node) tellTime(l *link, x wire.HeadState) {
	m := n.moments.of[x.Network]
	if m.statement == nil || m.statement.Moment < x.Moment+min(timeBehind, ^x.Moment) {
		return
	}
	n.tell(l, wire.ControlTime, wire.Time{Statement: m.statement.Append(nil)}.Append(nil))
}

// Moment is what has certainly passed in this node's network; ok is false when nothing is known.
func (n *Node) Moment() (at time.Time, ok bool) {
	seconds := n.moment(n.who.Cert.Network)
	return time.Unix(int64(seconds), 0), seconds != 0
}
