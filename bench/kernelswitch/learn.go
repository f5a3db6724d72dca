// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"staex/bench/peer"
	"staex/test/world"
)

// frame is a data frame on a cable of the relay.
type frame struct {
	from, to netip.AddrPort
	label    uint32
	rest     string // what no relay changes
}

// parse reads a packet of Ethernet that holds one data frame without a hop MAC.
func parse(b []byte) (f frame, ok bool) {
	if len(b) < atFrame+frameMin || binary.BigEndian.Uint16(b[12:]) != 0x0800 || b[atIP] != 0x45 ||
		b[atIP+9] != 17 {
		return f, false
	}
	word := binary.BigEndian.Uint32(b[atFrame:])
	size := int(binary.BigEndian.Uint16(b[atUDP+4:]))
	if word>>24&0xf1 != 0x10 || size < 8+frameMin || size > len(b)-atUDP {
		return f, false
	}
	end := func(at, port int) netip.AddrPort {
		a := netip.AddrFrom4([4]byte(b[at:]))
		return netip.AddrPortFrom(a, binary.BigEndian.Uint16(b[port:]))
	}
	return frame{
		from: end(atFrom, atUDP), to: end(atFrom+4, atUDP+2), label: word & 0xffffff,
		rest: string(b[atFrame+4 : atUDP+size]),
	}, true
}

// cables are the interfaces of the relay.
var cables = [2]string{"left", "right"}

// pair finds the rows of a relay that lead from the packets of the cable on which it has the
// address at to those of the other: a frame leaves as it came but for its label.
func pair(at netip.Addr, in, out [][]byte, index, maxBytes int) map[uint32]Row {
	gone := map[string]frame{}
	for _, b := range out {
		if f, ok := parse(b); ok {
			gone[f.rest] = f
		}
	}
	rows := map[uint32]Row{}
	for _, b := range in {
		f, ok := parse(b)
		g, went := gone[f.rest]
		if !ok || !went || f.to.Addr() != at {
			continue // not ours, not forwarded, or going the other way
		}
		rows[f.label] = Row{
			Label: f.label, From: f.from, At: f.to, Next: g.label, Out: g.from, To: g.to,
			Hop: g.to.Addr(), Index: index, MaxBytes: maxBytes,
		}
	}
	return rows
}

// learn captures what the relay of a site does while traffic runs both ways, and returns its rows.
func learn(s *peer.Site, traffic func() error) (rows []Row, err error) {
	relay := s.Hosts[1]
	failed := s.Try(func() {
		var captures [2]*world.Capture
		for i, name := range cables {
			captures[i] = relay.Capture(name)
		}
		err = traffic()
		var packets [2][][]byte
		for i := range cables {
			packets[i] = world.Frames(captures[i].Stop())
		}
		for i := range cables {
			at, _, _, find := port(relay, cables[i])
			_, index, mtu, other := port(relay, cables[1-i])
			err = errors.Join(err, find, other)
			for _, r := range pair(at, packets[i], packets[1-i], index, mtu-(atFrame-atIP)) {
				rows = append(rows, r)
			}
		}
	})
	if err = errors.Join(failed, err); err == nil && len(rows) != len(cables) {
		err = fmt.Errorf("found %d rows of the relay instead of one a direction", len(rows))
	}
	return rows, err
}

// port is what a host has on a cable: its address, the number of the interface, the largest packet.
func port(h *world.Host, name string) (at netip.Addr, index, mtu int, err error) {
	err = h.Do(func() error {
		i, err := net.InterfaceByName(name)
		if err != nil {
			return err
		}
		index, mtu = i.Index, i.MTU
		all, err := i.Addrs()
		for _, a := range all {
			p, bad := netip.ParsePrefix(a.String())
			if err == nil && bad == nil && p.Addr().Is4() {
				at = p.Addr()
			}
		}
		return err
	})
	return at, index, mtu, err
}

// attach puts the table in front of the relay on both cables.
func attach(s *peer.Site, t *Table) error {
	return s.Hosts[1].Do(func() error {
		for _, name := range cables {
			i, err := net.InterfaceByName(name)
			if err == nil {
				err = t.Attach(i.Index)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}
