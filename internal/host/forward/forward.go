// SPDX-License-Identifier: Apache-2.0

// Package forward is ports of this machine that lead to addresses elsewhere: it passes on TCP
// connections and UDP datagrams. It never looks into them and decides about no address.
package forward

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// MaxConns is how many TCP connections are passed on at once. Each has two descriptors, of
	// which a process usually has 1,024.
	MaxConns = 256
	// MaxClients is how many clients of one UDP port are remembered at once, for the same reason.
	MaxClients = 128
	// DialTime is how long the other end of a TCP connection may take to answer.
	DialTime = 20 * time.Second
	// IdleTime is how long a UDP client that is silent keeps its place; RFC 4787 asks for two
	// minutes.
	IdleTime = 2 * time.Minute
)

// A Rule is a local port and where it leads.
type Rule struct {
	UDP  bool
	At   netip.Addr // of this machine; the zero Addr is all of them
	Port uint16
	To   netip.AddrPort // may have a zone
}

// network is the name that package net has for the protocol.
func (r Rule) network() string {
	if r.UDP {
		return "udp"
	}
	return "tcp"
}

// A door is the socket of a rule.
type door interface {
	// serve passes on until the door is closed.
	serve()
	// close ends it, with what goes through it.
	close()
}

// Set is the rules in force. The zero value has none and is ready.
type Set struct {
	mu     sync.Mutex // guards doors
	doors  map[Rule]door
	active sync.WaitGroup
	conns  places
}

// Use makes the rules those in force. Ports that keep their rule keep their connections; all others
// of before are closed first. The errors say which rules could not be opened; they are not in
// force, the others are.
func (s *Set) Use(rules []Rule) []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r, d := range s.doors {
		if !slices.Contains(rules, r) {
			d.close()
			delete(s.doors, r)
		}
	}
	var errs []error
	for _, r := range rules {
		if s.doors[r] != nil {
			continue
		}
		d, err := s.open(r)
		if err != nil {
			errs = append(errs, fmt.Errorf("forward %s port %d: %w", r.network(), r.Port, err))
			continue
		}
		if s.doors == nil {
			s.doors = map[Rule]door{}
		}
		s.doors[r] = d
		s.active.Go(d.serve)
	}
	return errs
}

// Holds tells whether the rule is in force.
func (s *Set) Holds(r Rule) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.doors[r] != nil
}

// Close ends all rules and waits for the goroutines behind them.
func (s *Set) Close() {
	s.Use(nil)
	s.active.Wait()
}

func (s *Set) open(r Rule) (door, error) {
	at := fmt.Sprintf(":%d", r.Port)
	if r.At.IsValid() {
		at = netip.AddrPortFrom(r.At, r.Port).String()
	}
	if r.UDP {
		pc, err := net.ListenPacket("udp", at)
		if err != nil {
			return nil, err
		}
		return &udpDoor{to: r.To, socket: pc, clients: map[string]net.Conn{}}, nil
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		return nil, err
	}
	return &tcpDoor{to: r.To, listener: l, all: &s.conns, open: map[io.Closer]struct{}{}}, nil
}

// places counts what is open, up to a bound.
type places struct {
	mu    sync.Mutex // guards taken
	taken int
}

// take is true if there was a place; who got one gives it back.
func (p *places) take() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken >= MaxConns {
		return false
	}
	p.taken++
	return true
}

func (p *places) giveBack() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
}

// closed tells whether an error only says that somebody closed the socket.
func closed(err error) bool { return errors.Is(err, net.ErrClosed) }
