// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"sync"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// setChunk is how many set elements go into one netlink message, whose attributes are limited to
// 64 KiB: an IPv6 element takes about 50 bytes.
const setChunk = 1000

// masquerade is the name of the chain that gives packets to targets the host's own address.
const masquerade = "masquerade"

// NAT is the table of one daemon. Its methods replace the whole table in one transaction, so the
// kernel never works by half of it.
type NAT struct {
	name string

	mu     sync.Mutex // guards what follows, and the order of transactions
	plan   plan
	closed bool
}

// Open makes the table with its first guards; what a crashed run left under the name is replaced.
// The name is 1 to 64 of a-z, 0-9 and underscore, the first a letter. Without the right to change
// rules the error satisfies errors.Is(err, os.ErrPermission). The guards are part of the first
// transaction because each one makes its caller wait until every processor has seen it.
func Open(table string, guards ...Guard) (*NAT, error) {
	if !validTable(table) {
		return nil, fmt.Errorf("%w: table name %q", ErrRule, table)
	}
	n := &NAT{name: table}
	tracked, err := n.masquerades()
	if err != nil {
		return nil, err
	}
	if err := n.replace(plan{tracked: tracked, guards: cloned(guards)}); err != nil {
		return nil, err
	}
	return n, nil
}

// masquerades tells whether a crashed run left connections to targets behind.
func (n *NAT) masquerades() (bool, error) {
	conn, err := nftables.New()
	if err != nil {
		return false, fmt.Errorf("nft: read table %s: %w", n.name, err)
	}
	rules, err := conn.GetRules(n.table(), &nftables.Chain{Name: masquerade, Table: n.table()})
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return false, fmt.Errorf("nft: read table %s: %w", n.name, err)
	}
	return len(rules) > 0, nil
}

// Set replaces the external targets.
func (n *NAT) Set(all []External) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	next := n.plan
	next.externals = slices.Clone(all)
	next.tracked = next.tracked || len(all) > 0
	return n.replace(next)
}

// Protect replaces the guards.
func (n *NAT) Protect(all []Guard) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	next := n.plan
	next.guards = cloned(all)
	return n.replace(next)
}

// cloned keeps guards as they are now, whatever their owner does with his.
func cloned(all []Guard) []Guard {
	var guards []Guard
	for _, g := range all {
		guards = append(guards, Guard{Tun: g.Tun, Ranges: slices.Clone(g.Ranges)})
	}
	return guards
}

// Confine replaces the confined devices. Call it before switching forwarding on.
func (n *NAT) Confine(all []Confined) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	next := n.plan
	next.confined = slices.Clone(all)
	return n.replace(next)
}

// Close removes the table. One that is gone already is no error.
func (n *NAT) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("nft: remove table %s: %w", n.name, err)
	}
	conn.DelTable(n.table())
	if err := conn.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("nft: remove table %s: %w", n.name, err)
	}
	return nil
}

func (n *NAT) table() *nftables.Table {
	return &nftables.Table{Name: n.name, Family: nftables.TableFamilyINet}
}

// replace makes the table say what next says, or leaves it untouched.
func (n *NAT) replace(next plan) error {
	if err := next.check(); err != nil {
		return err
	}
	conn, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return fmt.Errorf("nft: replace table %s: %w", n.name, err)
	}
	// After a change the kernel closes the connection only when nobody uses what was replaced any
	// more: 10 ms, for which nobody has to wait. An error then would say nothing of the change.
	defer func() { go func() { _ = conn.CloseLasting() }() }()
	// Adding first makes the removal succeed whether the table is there or not.
	conn.AddTable(n.table())
	conn.DelTable(n.table())
	b := batch{conn: conn, table: conn.AddTable(n.table())}
	if err := b.fill(&next); err != nil {
		return fmt.Errorf("nft: replace table %s: %w", n.name, err)
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("nft: replace table %s: %w", n.name, err)
	}
	next.known = next.tuns()
	n.plan = next
	return nil
}

// batch is a transaction being written.
type batch struct {
	conn  *nftables.Conn
	table *nftables.Table
}

func (b *batch) chain(
	name string, typ nftables.ChainType, hook *nftables.ChainHook, prio nftables.ChainPriority,
) *nftables.Chain {
	return b.conn.AddChain(&nftables.Chain{
		Name: name, Table: b.table, Type: typ, Hooknum: hook, Priority: &prio,
	})
}

func (b *batch) rule(c *nftables.Chain, matches ...[]expr.Any) {
	b.conn.AddRule(&nftables.Rule{Table: b.table, Chain: c, Exprs: slices.Concat(matches...)})
}

func (b *batch) fill(p *plan) error {
	b.walls(p.guards)
	forward := b.chain("forward", nftables.ChainTypeFilter, nftables.ChainHookForward,
		*nftables.ChainPriorityFilter-10)
	nat := b.chain(masquerade, nftables.ChainTypeNAT, nftables.ChainHookPostrouting,
		*nftables.ChainPriorityNATSource)
	if p.tracked {
		// The kernel tracks connections only while a rule asks for it. Without this one, the last
		// target that goes would leave the streams that stand to it untranslated: their next
		// packet would be for this host itself, which answers with a reset.
		b.rule(nat, established())
	}
	for i, tun := range p.tuns() {
		for _, v6 := range []bool{false, true} {
			targets := p.targets(tun, v6, false)
			if len(targets) == 0 {
				continue
			}
			set, err := b.set(setName(i, v6), targets, v6)
			if err != nil {
				return err
			}
			in, out := inFrom(tun), outBy(tun)
			b.rule(forward, in, toTarget(set, v6), accept())
			b.rule(forward, out, established(), fromTarget(set, v6), accept())
			b.rule(forward, out, errorOfMasqueraded(v6), accept())
			b.rule(forward, in, errorOfMasqueraded(v6), accept())
			b.rule(nat, in, toTarget(set, v6), masqueraded())
		}
	}
	if err := b.proxies(p); err != nil {
		return err
	}
	for _, tun := range p.tuns() {
		b.rule(forward, inFrom(tun), drop())
		b.rule(forward, outBy(tun), drop())
	}
	for _, c := range p.confined {
		b.rule(forward, inFrom(c.Device), family(c.V6), outByNone(p.tuns()), drop())
	}
	return nil
}

// proxies writes the chains that lead to proxies of this host, where a target has one. Whoever
// speaks to a proxy directly, or from elsewhere than the TUN device, gets nothing.
func (b *batch) proxies(p *plan) error {
	var nat, door *nftables.Chain
	for i, tun := range p.tuns() {
		targets := p.targets(tun, true, true)
		if len(targets) == 0 {
			continue
		}
		if nat == nil {
			nat = b.chain("proxies", nftables.ChainTypeNAT, nftables.ChainHookPrerouting,
				*nftables.ChainPriorityNATDest)
			door = b.chain("proxy_door", nftables.ChainTypeFilter, nftables.ChainHookInput,
				*nftables.ChainPriorityFilter)
		}
		to, err := b.set("proxied_"+strconv.Itoa(i), targets, true)
		if err != nil {
			return err
		}
		for k, e := range targets {
			targets[k] = External{Target: e.Proxy.Addr(), Proto: e.Proto, Port: e.Proxy.Port()}
		}
		at, err := b.set("proxies_"+strconv.Itoa(i), targets, true)
		if err != nil {
			return err
		}
		sent := conntrack(expr.CtKeySTATUS, ctStatusDestinationNAT)
		b.rule(nat, inFrom(tun), toProxy(to))
		b.rule(door, inFrom(tun), toTarget(at, true), sent, accept())
		b.rule(door, toTarget(at, true), drop())
	}
	return nil
}

// walls writes the chains that keep overlay addresses on their device.
func (b *batch) walls(guards []Guard) {
	in := b.chain("wall_in", nftables.ChainTypeFilter, nftables.ChainHookPrerouting,
		*nftables.ChainPriorityRaw)
	out := b.chain("wall_out", nftables.ChainTypeFilter, nftables.ChainHookPostrouting,
		*nftables.ChainPriorityFilter)
	for _, g := range guards {
		for _, r := range g.Ranges {
			elsewhere := inFromNone([]string{g.Tun, "lo"})
			b.rule(in, elsewhere, inRange(source, r), drop())
			b.rule(in, elsewhere, inRange(destination, r), drop())
			b.rule(out, outByNone([]string{g.Tun, "lo"}), inRange(destination, r), drop())
		}
	}
}

func setName(i int, v6 bool) string {
	if v6 {
		return "targets6_" + strconv.Itoa(i)
	}
	return "targets4_" + strconv.Itoa(i)
}

// set writes the targets as address . protocol . port; those that have proxies as a map to
// address . port.
func (b *batch) set(name string, targets []External, v6 bool) (*nftables.Set, error) {
	address := nftables.TypeIPAddr
	if v6 {
		address = nftables.TypeIP6Addr
	}
	key, err := nftables.ConcatSetType(address, nftables.TypeInetProto, nftables.TypeInetService)
	if err != nil {
		return nil, err
	}
	set := &nftables.Set{
		Table: b.table, Name: name, KeyType: key, Concatenation: true,
		KeyByteOrder: binaryutil.BigEndian, IsMap: targets[0].Proxy.IsValid(),
	}
	if set.DataType, err = nftables.ConcatSetType(address, nftables.TypeInetService); err != nil {
		return nil, err
	}
	if err := b.conn.AddSet(set, nil); err != nil {
		return nil, err
	}
	for part := range slices.Chunk(targets, setChunk) {
		elements := make([]nftables.SetElement, len(part))
		for i, e := range part {
			elements[i].Key = setKey(e.Target, e.Proto, e.Port)
			if set.IsMap {
				port := binary.BigEndian.AppendUint16(nil, e.Proxy.Port())
				elements[i].Val = slices.Concat(e.Proxy.Addr().AsSlice(), port, make([]byte, 2))
			}
		}
		if err := b.conn.SetAddElements(set, elements); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// setKey writes each part padded to a register of four bytes.
func setKey(target netip.Addr, proto uint8, port uint16) []byte {
	key := append(target.AsSlice(), proto, 0, 0, 0)
	key = binary.BigEndian.AppendUint16(key, port)
	return append(key, 0, 0)
}
