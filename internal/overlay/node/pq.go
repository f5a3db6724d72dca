// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"time"

	"staex/internal/overlay/session"
	"staex/internal/wire"
)

// PostQuantum says whether a node agrees on keys with ML-KEM-768 on top of X25519, so that what is
// recorded today stays closed to a quantum computer of later.
type PostQuantum uint8

// The settings of post-quantum.
const (
	PQOff     PostQuantum = iota // no
	PQPrefer                     // with everybody who does it too, and says so inside the handshake
	PQRequire                    // always; who does not do it gets no link and no session
)

// kemLife is how long an exchange may take at the end that waits for the other one's key.
const kemLife = 20 * time.Second

// Why two ends with different settings do not talk.
var (
	ErrLacksPQ = errors.New("it does not do the post-quantum key exchange, and here " +
		"post-quantum = require")
	ErrNeedsPQ = errors.New("it requires the post-quantum key exchange, and here " +
		"post-quantum = off")
)

// errKEMUnfinished ends a link or a session whose two ends did not come to equal keys.
const errKEMUnfinished = "did not finish the post-quantum key exchange"

// flags is what a link handshake says of the setting.
func (p PostQuantum) flags() uint8 {
	switch p {
	case PQOff:
		return 0
	case PQPrefer:
		return wire.FlagPQ
	case PQRequire:
		return wire.FlagPQ | wire.FlagPQMust
	}
	return 0
}

// agree decides by what the other end says of its setting, inside the handshake and thus
// authenticated, whether the exchange follows, and whether nothing else may go before it.
func (p PostQuantum) agree(theirs uint8) (do, must bool, err error) {
	switch {
	case p == PQRequire && theirs&wire.FlagPQ == 0:
		return false, false, ErrLacksPQ
	case p == PQOff && theirs&wire.FlagPQMust != 0:
		return false, false, ErrNeedsPQ
	}
	do = p != PQOff && theirs&wire.FlagPQ != 0
	return do, do && (p == PQRequire || theirs&wire.FlagPQMust != 0), nil
}

// lacksPQ reports that keys which go back to some exchange are not good enough for us.
func (n *Node) lacksPQ(hybrid bool) bool { return n.cfg.PostQuantum == PQRequire && !hybrid }

// kemHalves is an encapsulation key that comes in two messages.
type kemHalves [wire.KEMKeyParts][]byte

// add takes one of them and returns the key when it is whole.
func (h *kemHalves) add(k wire.KEMKey) (public []byte) {
	h[k.Part] = append([]byte(nil), k.Half...)
	for _, half := range h {
		if half == nil {
			return nil
		}
		public = append(public, half...)
	}
	return public
}

// kemParts is the messages that an encapsulation key takes.
func kemParts(k *session.KEM) (parts [wire.KEMKeyParts][]byte) {
	public := k.Public()
	for i := range parts {
		half := public[i*wire.KEMPartSize : (i+1)*wire.KEMPartSize]
		parts[i] = wire.KEMKey{Part: uint8(i), Half: half}.Append(nil)
	}
	return parts
}

// Hybrid counts the links and sessions whose keys need more than X25519 to find.
func (n *Node) Hybrid() (links, sessions int) {
	for _, l := range n.links.byID {
		if l.tenure.hybrid {
			links++
		}
	}
	for _, s := range n.sessions.byKey {
		if s.hybrid {
			sessions++
		}
	}
	return links, sessions
}
