// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package peer sets up the networks that the bench compares, each on a chain of hosts of its own.
// It never measures them.
package peer

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"staex/bench/link"
	"staex/bench/load"
	"staex/test/world"
)

// Peer is one of the networks.
type Peer struct {
	Name string
	// About says what it is and how it is set up.
	About string
	// BulkOnly: it differs from another one only in what matters to streams.
	BulkOnly bool
	// relaysMax is how many nodes may stand between the two ends.
	relaysMax int
	// board: it is compared on small boards, too.
	board bool
	start func(c *chain)
	// program is what runs, below the repository's bin or in the path; "" where nothing does.
	program string
}

// manyRelays is for who sets no limit that the bench would reach.
const manyRelays = 99

// Reference is the peer that the others are compared with.
const Reference = "wireguard-go"

// All returns every peer, in the order of the tables. Those that are compared most stand side
// by side, because they run one after the other.
func All() []Peer {
	return []Peer{
		veth(), bound(), staex("staex", "", "defaults"), bulkOnly(
			staex("staex-1420", "tun-device-mtu = 1420", "TUN MTU 1420, else defaults")),
		wireguard(), nebula(), nebulaOffload(), yggdrasil(), tinc(), openvpn(),
	}
}

func bulkOnly(p Peer) Peer {
	p.BulkOnly, p.board = true, false
	return p
}

// Proc is a program of a peer.
type Proc struct {
	Relay bool // it runs between the two ends
	First bool // it runs at the first host
	*world.Process
}

// Site is a peer that runs on a chain of hosts.
type Site struct {
	Peer  Peer
	Line  Line
	Path  load.Path
	Hosts []*world.Host
	Procs []Proc
	// Again prepares to start the first host's program, which was ended before, and release does
	// it; nil where there is none.
	Again func() (p Proc, release func())

	t       *troubles
	batches func() Batches
}

// Batches is what the node in the middle has received since its start.
type Batches struct{ Datagrams, Calls float64 }

// Batches asks the node in the middle; it is all zero where nobody tells.
func (s *Site) Batches() (b Batches, err error) {
	if s.batches != nil {
		err = s.t.try(func() { b = s.batches() })
	}
	return b, err
}

// Line is a chain of hosts and how its cables are.
type Line struct {
	Name   string
	About  string
	Relays int
	// Plain takes segmentation offload away from the cables.
	Plain bool
	// Lossy lays a link with delay and loss, as Way says, between the hosts.
	Lossy bool
	Way   link.Way
	// Board takes all processors but one from each host, and all memory but that of a small board.
	Board bool
}

// ErrNotMade means that a peer cannot do what a line asks.
var ErrNotMade = errors.New("is not made for this")

// answerTime is how long a network may take until it carries the first answer.
const answerTime = 2 * time.Minute

// Up lays the cables of a line and starts a peer on it.
func Up(p Peer, line Line) (s *Site, err error) {
	if line.Relays > p.relaysMax || line.Board && !p.board {
		return nil, ErrNotMade
	}
	t := &troubles{}
	defer func() {
		if err == nil {
			return
		}
		t.cleanUp()
	}()
	err = t.try(func() { s = up(t, p, line) })
	return s, err
}

// Ready returns when the network carries answers from the first host to the last.
func (s *Site) Ready(ctx context.Context) error {
	if !s.answers(ctx) {
		return fmt.Errorf("no answer within %v\n%s", answerTime, s.logs())
	}
	return nil
}

// Program is the file that the peer runs, "" where it runs none.
func (p Peer) Program() string {
	if p.program == "" {
		return ""
	}
	if name, err := exec.LookPath(p.program); err == nil {
		return name
	}
	return world.Program(p.program)
}

func up(t *troubles, p Peer, line Line) *Site {
	c := &chain{line: line}
	t.Cleanup(func() { // after the programs in them have ended
		for _, dir := range c.groups {
			_ = os.Remove(dir) // one that stays is empty
		}
	})
	c.w = world.New(t)
	for i := range line.Relays + 2 {
		c.hosts = append(c.hosts, c.w.Host(fmt.Sprintf("n%d", i)))
	}
	for i := range c.hosts[1:] {
		c.cable(i)
	}
	for _, end := range c.ending {
		t.Cleanup(end)
	}
	p.start(c)
	return &Site{
		Peer: p, Line: line, Hosts: c.hosts, Procs: c.procs, Again: c.again, t: t,
		batches: c.batches,
		Path:    load.Path{From: c.hosts[0], To: c.last(), Target: c.target},
	}
}

func (s *Site) answers(ctx context.Context) bool {
	for end := time.Now().Add(answerTime); time.Now().Before(end); {
		if load.Answers(ctx, s.Path, time.Second) {
			return true
		}
		for _, p := range s.Procs {
			if !p.Running() {
				return false
			}
		}
	}
	return false
}

func (s *Site) logs() string {
	var b strings.Builder
	for _, p := range s.Procs {
		fmt.Fprintf(&b, "%s:\n%s", p.Name, p.Tail())
	}
	return b.String()
}

// Down ends the peer and takes its hosts away.
func (s *Site) Down() { s.t.cleanUp() }

// Underlay is the interface of the first host and its address.
func (s *Site) Underlay() (iface string, address netip.Addr) { return right, leftOf(0) }

// troubles is the world's T: what goes wrong in a world ends its set-up, not the bench.
type troubles struct{ cleanups []func() }

// failure is the text of a Fatalf on its way up.
type failure string

func (t *troubles) Helper()                   {}
func (t *troubles) Logf(string, ...any)       {}
func (t *troubles) Cleanup(f func())          { t.cleanups = append(t.cleanups, f) }
func (t *troubles) Fatalf(f string, a ...any) { panic(failure(fmt.Sprintf(f, a...))) }

// try turns the panic of Fatalf back into an error.
func (t *troubles) try(f func()) (err error) {
	defer func() {
		if r := recover(); r != nil {
			text, ok := r.(failure)
			if !ok {
				panic(r)
			}
			err = errors.New(string(text))
		}
	}()
	f()
	return nil
}

func (t *troubles) cleanUp() {
	for _, f := range slices.Backward(t.cleanups) {
		_ = t.try(f) // what cannot be taken away goes with the sandbox
	}
	t.cleanups = nil
}

// Try calls f, which uses the site's hosts, and returns what went wrong in there.
func (s *Site) Try(f func()) error { return s.t.try(f) }
