// SPDX-License-Identifier: Apache-2.0

// Package node is the slow path: the state machine of one network node, which owns links, records,
// paths, sessions and tunnels. It is told the bytes, the time and the dice, and answers with what
// to do; it never touches a socket, a file, a clock or a goroutine.
package node

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/label"
	"staex/internal/overlay/plane"
	"staex/internal/overlay/pool"
	"staex/internal/overlay/state"
	"staex/internal/overlay/tunnel"
)

// Node is one node of the network. It is used by one goroutine at a time.
type Node struct {
	cfg  Config
	who  *ident.Identity
	self ident.NodeID
	rand io.Reader

	tables  *plane.Tables
	fast    *plane.Worker // for frames that the slow path seals itself
	timers  timers
	events  []Event
	keeps   []Record
	endKeys uint64
	endOf   map[uint64]*tunnelEnd // by the number the fast path knows it by

	revs     revocations
	moments  moments
	chains   chainBook
	clones   cloneBook
	parts    partBudget
	wall     uint32   // what a synchronised clock shows now, in Unix seconds; 0 without one
	admitted networks // whose children may attach
	trusted  networks // whose members may agree on tunnels
	known    networks // whose revoked keys and time we follow, authorities among them
	labels   *label.Alloc
	rows     rowBook
	links    linkBook
	parents  parentSearch
	halves   halfBook
	tickets  ticketBook
	resets   resetBook
	nat      natSearch
	lates    map[plane.LinkID]*late // answers that children wait for
	records  *state.Table
	own      ownRecords
	paths    pathBook
	sessions sessionBook
	tunnels  *tunnel.Book
	ends     map[ident.NodeID]*tunnelEnd // by tunnel id; iterate over tunnels.List
	offers   map[ident.NodeID]*offer     // by tunnel id; iterate over tunnels.List
	opens    openBook
	probes   probeBook
	junk     junkBook
	sizes    sizeBook
	churn    churn
	names    nameBook
	lookups  tagBook
	heard    time.Duration // when a call of another network's member was last let in
	leases   *pool.Pool
	fetching map[ident.NodeID]time.Duration // records asked for below, and when
	confined map[plane.LinkID]*confined     // at most maxConfined
	passing  map[ident.NodeID][]byte        // records that came and are not kept, to tell them on
}

// Config is what a node is told once. Durations are on the Up clock.
type Config struct {
	Parents       []ParentAddr       // in order of preference; empty at a root
	KeepAlive     time.Duration      // how often a parent is told that we live (seed 001: 30s)
	KeepAliveAuto bool               // learn a longer period from the NAT; needs the second socket
	Rejoin        time.Duration      // how often an earlier parent is tried again (seed 001: 1m)
	RelayNetworks []ident.NetworkKey // whose children are carried, without trust
	Authorities   []ident.NetworkKey // whose networks' children are carried, without trust
	TrustNetworks []ident.NetworkKey // whose members may agree on tunnels
	TrustNodes    []ident.NodeID     // single nodes that may agree on tunnels
	AcceptByHand  bool               // accept-tunnels = manual
	NodeTraffic   bool               // node-traffic = allow
	DNSNames      []string           // names that this node claims, lower case, without a domain
	Names         *ident.NamesCert   // what the network's key gave to this node, or nil
	Static        netip.Addr         // static address that this node claims, or none
	LookupHops    uint8              // how far a lookup climbs (seed 001: 64)
	LookupTimeout time.Duration      // how long it may take (seed 001: 20s)
	Ranges        pool.Ranges        // where leases come from
	LabelBits     uint8              // row numbers of the label table: 8 to 20 bits
	AES           bool               // this processor has AES instructions
	PostQuantum   PostQuantum        // key exchange that also stands against quantum computers
	LinkRows      int                // paths one child may have set up
	HostRows      int                // endpoints one node below us may announce
	Stored        map[string][]byte  // what Effects.Store kept before the restart
	LeaseSecret   [32]byte           // from the disk; leases follow from it
	Reserved      []netip.Addr       // inner addresses that are taken on this machine
	Log           state.Log          // empty, for signed records; nil: state.WholeRecords in memory
	Remembered    iter.Seq[[]byte]   // what Remember gave before a planned restart, or nil
}

// ParentAddr is one configured parent: where it may be found and, if pinned, who it must be.
type ParentAddr struct {
	Entry string // as configured, for messages
	Pin   ident.NodeID
	Addrs []netip.AddrPort
}

// Datagram is bytes for one underlay address.
type Datagram struct {
	To    netip.AddrPort
	B     []byte
	Probe bool // from the second socket; what comes back there goes to FromProbe
}

// Record is a value that must survive a restart; nil Data deletes it.
type Record struct {
	Name string
	Data []byte
}

// Effects is what a call wants done, in this order: store, send, deliver, report. The caller owns
// it and calls Reset between uses; slices inside are valid until then.
type Effects struct {
	Store   []Record
	Send    []Datagram
	Deliver [][]byte // packets for the host, each behind its offload header
	Events  []Event
}

// Reset empties e for the next call.
func (e *Effects) Reset() {
	e.Store, e.Send, e.Deliver, e.Events = e.Store[:0], e.Send[:0], e.Deliver[:0], e.Events[:0]
}

// New returns a node that has not sent anything yet; its first Deadline is due at once.
func New(cfg Config, who *ident.Identity, rand io.Reader) (*Node, error) {
	cfg.fill()
	n := &Node{
		cfg: cfg, who: who, self: who.Secret.ID(), rand: rand,
		tables:  plane.NewTables(cfg.LabelBits),
		labels:  label.NewAlloc(cfg.LabelBits, rand),
		leases:  pool.New(cfg.Ranges, cfg.LeaseSecret),
		tunnels: tunnel.NewBook(),
		ends:    map[ident.NodeID]*tunnelEnd{},
		endOf:   map[uint64]*tunnelEnd{},
		offers:  map[ident.NodeID]*offer{},

		confined: map[plane.LinkID]*confined{},
		fetching: map[ident.NodeID]time.Duration{},
		passing:  map[ident.NodeID][]byte{},
	}
	n.fast = plane.NewWorker(n.tables)
	n.fast.Quiet = true
	n.records = state.New(n.self, state.Limits{})
	if cfg.Log != nil {
		n.records.KeepIn(cfg.Log)
	}
	n.admitted, n.trusted = networksOf(who, &cfg)
	n.chains.load(n)
	n.revs.init()
	n.moments.init(n)
	if err := n.followAll(); err != nil {
		return nil, err
	}
	n.rows.init()
	n.links.init()
	n.halves.init(n.labels.Cap())
	n.tickets.init(n)
	n.resets.init(n)
	n.nat.init(n)
	n.lates = map[plane.LinkID]*late{}
	n.paths.init()
	n.sessions.init()
	n.probes.init()
	n.junk.init()
	n.sizes.init()
	n.churn.init(n)
	n.names.init(n)
	n.clones.init()
	n.lookups.init()
	for _, a := range cfg.Reserved {
		n.leases.Reserve(a)
	}
	lease, ok := n.leases.Lease(0, n.self)
	if !ok {
		return nil, fmt.Errorf("lease own address in %v: the range is full", cfg.Ranges.V4)
	}
	n.leases.Pin(n.self)
	n.tables.SetSelf(lease.V4, lease.V6)
	n.opens.init(n)
	if err := n.own.load(n); err != nil {
		return nil, err
	}
	if err := n.loadTunnels(); err != nil {
		return nil, err
	}
	n.remembered()
	n.parents.init(n)
	return n, nil
}

// fill replaces zero values by defaults.
func (c *Config) fill() {
	if c.KeepAlive <= 0 {
		c.KeepAlive = 30 * time.Second
	}
	if c.Rejoin <= 0 {
		c.Rejoin = time.Minute
	}
	if c.LookupHops == 0 {
		c.LookupHops = maxHops
	}
	if c.LookupTimeout <= 0 {
		c.LookupTimeout = 20 * time.Second
	}
	if c.LabelBits == 0 {
		c.LabelBits = 12
	}
	if c.LinkRows <= 0 {
		c.LinkRows = linkRows
	}
	if c.HostRows <= 0 {
		c.HostRows = tunnel.MaxTunnels
	}
}

// Tables are what the workers of the fast path read.
func (n *Node) Tables() *plane.Tables { return n.tables }

// Self is this node's id.
func (n *Node) Self() ident.NodeID { return n.self }

// Deadline is when Expire wants to be called, on the Up clock; a past moment means at once.
// It is Never when nothing waits.
func (n *Node) Deadline() time.Duration { return n.timers.next() }

// Expire acts on every deadline that has passed.
func (n *Node) Expire(now clock.Reading, out *Effects) {
	n.look(now)
	for range maxTimersPerCall {
		t := n.timers.pop(now.Up)
		if t == nil {
			break
		}
		if t.link != nil {
			n.linkDue(now, t.link, out)
		} else {
			t.f(now, out)
		}
	}
	n.finish(now, out)
}

// finish sends what queued up during a call and hands out its events.
func (n *Node) finish(now clock.Reading, out *Effects) {
	for list := n.links.pending(); len(list) > 0; list = n.links.pending() {
		for _, l := range list {
			n.flushControl(now, l, out)
		}
	}
	n.takeFast(out)
	out.Events = append(out.Events, n.events...)
	n.events = n.events[:0]
	out.Store = append(out.Store, n.keeps...)
	n.keeps = n.keeps[:0]
}

// takeFast moves what the slow path's own worker sealed and opened into the effects.
func (n *Node) takeFast(out *Effects) {
	for _, r := range n.fast.Runs {
		for o := r.Off; o < r.Off+r.Len; o += r.Seg {
			e := min(o+r.Seg, r.Off+r.Len)
			out.send(r.To, n.fast.Buf[o:e])
		}
	}
	for _, p := range n.fast.Packets {
		out.Deliver = append(out.Deliver, bytes.Clone(p))
	}
	n.fast.Reset()
}

// send appends a copy of b.
func (e *Effects) send(to netip.AddrPort, b []byte) {
	e.Send = append(e.Send, Datagram{To: to, B: append([]byte(nil), b...)})
}

// random fills b from the node's dice.
func (n *Node) random(b []byte) {
	if _, err := io.ReadFull(n.rand, b); err != nil {
		panic(fmt.Sprintf("read randomness: %v", err))
	}
}
