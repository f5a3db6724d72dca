// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Row is one label of a relay, as the kernel needs it: everything about the next hop is decided.
type Row struct {
	Label    uint32         // 24 bits: what the relay chose
	From, At netip.AddrPort // the neighbour whose label it is, and the relay towards it
	Next     uint32         // 24 bits: what the next hop chose
	Out, To  netip.AddrPort // the relay towards the next hop, and the next hop
	Hop      netip.Addr     // who takes it on the cable: To, or a router
	Index    int            // of the interface that leads there
	MaxBytes int            // largest frame that the link carries
}

// How a row lies in the map, which the program reads. Addresses and ports are as on the wire.
const (
	rowIn        = 0  // source, destination, both ports of what comes
	rowOut       = 12 // the same of what goes
	rowLabel     = 24 // 0 and the label
	rowInterface = 28
	rowHop       = 32
	rowMax       = 36
	rowIndex     = 40 // among the counters
	rowSize      = 48
)

// rowsMax bounds the table of the experiment; a relay of the product has up to a million rows.
const rowsMax = 1024

// Use is what the kernel carried for a row.
type Use struct{ Frames, Bytes, Packets uint64 }

// Table is the label table in the kernel and the program that reads it.
type Table struct {
	rows, uses *ebpf.Map
	program    *ebpf.Program
	count      uint32
	index      map[uint32]uint32 // label to its place among the counters
	links      []link.Link
}

// NewTable loads the program with an empty table. It needs root, or CAP_BPF and CAP_NET_ADMIN.
func NewTable() (*Table, error) {
	t := &Table{index: map[uint32]uint32{}}
	var err error
	t.rows, err = ebpf.NewMap(&ebpf.MapSpec{
		Name: "label_rows", Type: ebpf.Hash, KeySize: 4, ValueSize: rowSize, MaxEntries: rowsMax,
	})
	if err != nil {
		return nil, fmt.Errorf("make the table: %w", err)
	}
	t.uses, err = ebpf.NewMap(&ebpf.MapSpec{
		Name: "label_uses", Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 24, MaxEntries: rowsMax,
	})
	if err != nil {
		t.Close()
		return nil, fmt.Errorf("make the counters: %w", err)
	}
	t.program, err = ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "label_switch", Type: ebpf.SchedCLS, Instructions: program(t.rows, t.uses),
		License: "Apache-2.0",
	})
	if err != nil {
		t.Close()
		return nil, fmt.Errorf("load the program: %w", err)
	}
	return t, nil
}

// Set adds a row or changes it. IPv4 only.
func (t *Table) Set(r Row) error {
	for _, a := range []netip.Addr{r.From.Addr(), r.At.Addr(), r.Out.Addr(), r.To.Addr(), r.Hop} {
		if !a.Is4() {
			return fmt.Errorf("row %06x: %v is not an address of IPv4", r.Label, a)
		}
	}
	at, ok := t.index[r.Label]
	if !ok {
		at = t.count
		t.index[r.Label] = at
		t.count++
	}
	b := make([]byte, 0, rowSize)
	for _, pair := range [2][2]netip.AddrPort{{r.From, r.At}, {r.Out, r.To}} {
		b = append(append(b, pair[0].Addr().AsSlice()...), pair[1].Addr().AsSlice()...)
		b = binary.BigEndian.AppendUint16(b, pair[0].Port())
		b = binary.BigEndian.AppendUint16(b, pair[1].Port())
	}
	b = binary.BigEndian.AppendUint32(b, r.Next)
	b = binary.NativeEndian.AppendUint32(b, uint32(r.Index))
	b = append(b, r.Hop.AsSlice()...)
	b = binary.NativeEndian.AppendUint32(b, uint32(r.MaxBytes))
	b = binary.NativeEndian.AppendUint32(b, at)
	return t.rows.Put(r.Label, append(b, 0, 0, 0, 0))
}

// Delete takes a row away: user space has its frames again.
func (t *Table) Delete(label uint32) error { return t.rows.Delete(label) }

// Use is what the kernel has carried for a row since the table was made.
func (t *Table) Use(label uint32) (sum Use, err error) {
	at, ok := t.index[label]
	if !ok {
		return sum, nil
	}
	var each [][]byte
	if err := t.uses.Lookup(at, &each); err != nil {
		return sum, err
	}
	for _, b := range each {
		sum.Frames += binary.NativeEndian.Uint64(b)
		sum.Bytes += binary.NativeEndian.Uint64(b[8:])
		sum.Packets += binary.NativeEndian.Uint64(b[16:])
	}
	return sum, nil
}

// Uses is what the kernel has carried for all rows.
func (t *Table) Uses() (sum Use, err error) {
	for label := range t.index {
		u, err := t.Use(label)
		if err != nil {
			return sum, err
		}
		sum.Frames += u.Frames
		sum.Bytes += u.Bytes
		sum.Packets += u.Packets
	}
	return sum, nil
}

// Took is how long the program has run so far, without what the kernel does with a packet
// afterwards. It counts while somebody has called CountTime.
func (t *Table) Took() (time.Duration, error) {
	s, err := t.program.Stats()
	if err != nil {
		return 0, err
	}
	return s.Runtime, nil
}

// CountTime makes the kernel count how long programs run, all of the machine's, until end is
// called. It costs some ten nanoseconds a run.
func CountTime() (end io.Closer, err error) { return ebpf.EnableStats(unix.BPF_STATS_RUN_TIME) }

// Attach puts the program in front of the host's own stack on an interface of the network that the
// calling thread is in.
func (t *Table) Attach(index int) error {
	l, err := link.AttachTCX(link.TCXOptions{
		Interface: index, Program: t.program, Attach: ebpf.AttachTCXIngress,
	})
	if err != nil {
		return fmt.Errorf("attach to interface %d: %w", index, err)
	}
	t.links = append(t.links, l)
	return nil
}

// Detach takes the program away from every interface; the rows stay.
func (t *Table) Detach() error {
	var failed error
	for _, l := range t.links {
		failed = errors.Join(failed, l.Close())
	}
	t.links = nil
	return failed
}

// Close takes everything away: what no descriptor holds any more ends.
func (t *Table) Close() {
	_ = t.Detach() // the descriptors are gone either way
	_ = t.program.Close()
	_ = t.rows.Close()
	_ = t.uses.Close()
}

// ready says whether this process may load programs at all.
func ready() error {
	if unix.Geteuid() != 0 {
		return errors.New("loading a program into the kernel needs root")
	}
	t, err := NewTable()
	if err != nil {
		return err
	}
	t.Close()
	return nil
}
