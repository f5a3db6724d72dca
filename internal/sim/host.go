// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"

	"staex/internal/ident"
	"staex/internal/overlay/node"
	"staex/internal/overlay/plane"
	"staex/internal/overlay/state"
)

// Host is a machine with a node on it, a disk, and a stack of its own behind the node.
type Host struct {
	Name   string
	Addr   netip.AddrPort // on the underlay; behind a NAT, the private one
	NAT    *NAT
	Node   *node.Node // nil while it is down
	Who    *ident.Identity
	Disk   map[string][]byte
	Got    []Packet // what the host's stack received
	Events []node.Event
	Writes int                   // how often something was put on the disk
	Dark   bool                  // while the node is down the machine is: no ICMP
	Serve  func(p Packet) []byte // answers a packet to a local service, or nil
	Unset  bool                  // its clock began in 1970 and nobody has set it

	w       *World
	cfg     node.Config
	rand    io.Reader
	out     node.Effects
	in, up  *plane.Worker
	tunnels []node.ServerTunnel
	planned uint64
	tokens  uint64
	whole   int
}

// Config says how a host is set up.
type Config struct {
	Name    string
	Addr    string // "192.0.2.1:9376"
	NAT     *NAT
	Network *Network // default: the world's own
	Parents []string // "192.0.2.1:9376" or "NAME@192.0.2.1:9376" to pin a host's key
	Node    node.Config
	Whole   int // records it keeps whole, as a node without a disk does; 0: all
}

// Add makes a host and starts its node.
func (w *World) Add(c Config) *Host {
	if c.Network == nil {
		c.Network = w.network
	}
	h := &Host{
		Name: c.Name, Addr: netip.MustParseAddrPort(c.Addr), NAT: c.NAT, w: w, cfg: c.Node,
		whole: c.Whole,
	}
	h.rand = w.stream("host " + c.Name)
	h.Who = w.identity(h.rand, c.Network)
	// It has run before: who finds nothing on its disk looks for what it may have lost.
	h.Disk = map[string][]byte{"seq-" + h.ID().String(): {7: 1}}
	for _, p := range c.Parents {
		h.cfg.Parents = append(h.cfg.Parents, w.parent(p))
	}
	h.cfg.Ranges, h.cfg.AES = ranges(), true
	_, err := io.ReadFull(h.rand, h.cfg.LeaseSecret[:])
	must(err)
	w.hosts = append(w.hosts, h)
	w.byAddr[h.Addr] = h
	h.Start()
	return h
}

func (w *World) parent(s string) node.ParentAddr {
	p := node.ParentAddr{Entry: s}
	if name, addr, pinned := cutAt(s); pinned {
		p.Pin, s = w.Host(name).ID(), addr
	}
	p.Addrs = []netip.AddrPort{netip.MustParseAddrPort(s)}
	return p
}

func cutAt(s string) (before, after string, ok bool) {
	i := bytes.IndexByte([]byte(s), '@')
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+1:], true
}

func (w *World) identity(r io.Reader, n *Network) *ident.Identity {
	secret, err := ident.NewSecret(r)
	must(err)
	cert := &ident.NodeCert{Key: secret.ID()}
	must(ident.SignNodeCert(cert, n.Secret))
	return &ident.Identity{
		Secret: secret, Cert: cert, Network: n.Cert, Names: n.Secret.NamesKey(), HasNames: true,
	}
}

// Host finds a host by its name.
func (w *World) Host(name string) *Host {
	for _, h := range w.hosts {
		if h.Name == name {
			return h
		}
	}
	panic(fmt.Sprintf("no host %q", name))
}

// Hosts lists all hosts in the order they were added.
func (w *World) Hosts() []*Host { return w.hosts }

// ID is the host's node id.
func (h *Host) ID() ident.NodeID { return h.Who.Secret.ID() }

// Start boots the node with what is on its disk.
func (h *Host) Start() {
	h.cfg.Stored = maps.Clone(h.Disk)
	h.cfg.Log = state.NewMemory(cmp.Or(h.whole, state.DefaultRows))
	n, err := node.New(h.cfg, h.Who, h.rand)
	must(err)
	h.Node = n
	h.in, h.up = plane.NewWorker(n.Tables()), plane.NewWorker(n.Tables())
	h.w.logf("%s starts as %s", h.Name, h.ID())
	if len(h.tunnels) > 0 {
		must(h.Apply(node.SetTunnels{Tunnels: h.tunnels}))
	}
	h.plan()
}

// Kill stops the node without a goodbye; the disk stays.
func (h *Host) Kill() {
	h.w.logf("%s is killed", h.Name)
	h.Node = nil
}

// LoseDisk forgets everything but the identity.
func (h *Host) LoseDisk() { h.Disk = map[string][]byte{} }

// Apply gives the node a command.
func (h *Host) Apply(c node.Command) error {
	err := h.Node.Apply(h.reading(), c, &h.out)
	h.done()
	return err
}

// plan makes sure that the node wakes up at its deadline.
func (h *Host) plan() {
	if h.Node == nil {
		return
	}
	at := h.Node.Deadline()
	if at == node.Never {
		return
	}
	h.planned++
	mine, n := h.planned, h.Node
	h.w.At(at, func() {
		if h.Node == n && h.planned == mine {
			n.Expire(h.reading(), &h.out)
			h.done()
		}
	})
}

// done acts on the effects of a call: store, send, deliver, report.
func (h *Host) done() {
	h.Writes += len(h.out.Store)
	for _, r := range h.out.Store {
		if r.Data == nil {
			delete(h.Disk, r.Name)
		} else {
			h.Disk[r.Name] = bytes.Clone(r.Data)
		}
	}
	for _, d := range h.out.Send {
		if d.Probe {
			h.w.sendFrom(h, second(h.Addr), d.To, d.B)
			continue
		}
		h.w.send(h, d.To, d.B)
	}
	packets := slices.Clone(h.out.Deliver)
	for _, e := range h.out.Events {
		h.Events = append(h.Events, e)
		h.w.logf("%s: %s", h.Name, describe(e))
	}
	h.out.Reset()
	for _, p := range packets {
		h.deliver(p)
	}
	h.plan()
}

// receive takes a datagram from the underlay through the fast path.
func (h *Host) receive(from netip.AddrPort, b []byte) {
	now := h.reading()
	w := h.in
	w.Reset()
	w.Inbound(now.Up, from, b, len(b))
	h.flush(w, b)
	for _, c := range w.Control {
		if c.Link != 0 {
			h.Node.FromLink(now, c.Link, c.From, c.B, &h.out)
		} else {
			h.Node.FromStranger(now, c.From, c.B, &h.out)
		}
	}
	h.Node.Notice(now, w.Notices, &h.out)
	packets := clones(w.Packets)
	h.done()
	for _, p := range packets {
		h.deliver(p)
	}
}

func clones(list [][]byte) [][]byte {
	all := make([][]byte, 0, len(list))
	for _, p := range list {
		all = append(all, bytes.Clone(p))
	}
	return all
}

// flush sends what a worker produced.
func (h *Host) flush(w *plane.Worker, b []byte) {
	for _, r := range w.Transit {
		h.sendRun(b, r)
	}
	for _, r := range w.Runs {
		h.sendRun(w.Buf, r)
	}
}

func (h *Host) sendRun(b []byte, r plane.Run) {
	for o := r.Off; o < r.Off+r.Len; o += r.Seg {
		h.w.send(h, r.To, b[o:min(o+r.Seg, r.Off+r.Len)])
	}
}

// SendIP gives the node a packet from the host's stack, without an offload header.
func (h *Host) SendIP(ip []byte) {
	now := h.reading()
	p := append(make([]byte, offloadSize), ip...)
	kept := bytes.Clone(p)
	w := h.up
	w.Reset()
	miss := w.Outbound(now.Up, p)
	h.flush(w, nil)
	h.Node.Notice(now, w.Notices, &h.out)
	packets := clones(w.Packets)
	if miss != nil {
		h.Node.FromHost(now, kept, &h.out)
	}
	h.done()
	for _, p := range packets {
		h.deliver(p)
	}
}

// describe is an event in words, for the story.
func describe(e node.Event) string {
	s := eventNames[e.Kind]
	if !e.Tunnel.IsZero() {
		s += " tunnel " + e.Tunnel.String()[:8]
	}
	if !e.Key.IsZero() {
		s += " " + e.Key.String()[:8]
	}
	if e.Text != "" {
		s += " (" + e.Text + ")"
	}
	return s
}

var eventNames = map[node.EventKind]string{
	node.EventParentUp: "parent up", node.EventParentDown: "parent down",
	node.EventParentSilent: "parent silent", node.EventParentRefused: "parent refused",
	node.EventChildUp: "child up", node.EventChildDown: "child down",
	node.EventChildRefused: "child refused", node.EventTunnelOffered: "offered",
	node.EventTunnelUp: "agreed on", node.EventTunnelRefused: "refused",
	node.EventTunnelChanged: "changed", node.EventSessionUp: "session up with",
	node.EventSessionDown: "session down with", node.EventProbe: "probe",
	node.EventSessionRefused: "session refused with",
	node.EventExternals:      "externals changed", node.EventLookup: "lookup",
	node.EventRevoked: "keys revoked", node.EventWithheld: "a list is withheld",
	node.EventSessionMoved: "session moved with", node.EventKeepAlive: "another keep-alive period",
	node.EventNameClash: "name claimed twice by", node.EventCloned: "key used twice:",
	node.EventTunnelDeleted: "deleted by the other end",
}

// Keys are the keys of the world's own network, to name it in a configuration.
func (w *World) Keys() []ident.NetworkKey { return []ident.NetworkKey{w.network.Cert.Key} }
