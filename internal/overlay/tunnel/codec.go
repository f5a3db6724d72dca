// SPDX-License-Identifier: Apache-2.0

package tunnel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"staex/internal/ident"
)

const (
	codecVersion = 1
	// wantedVersion is that of a tunnel that lacks names: what it wants stands behind those it has.
	wantedVersion = 2

	// maxNameLength is that of a DNS name: a label, and that of a network behind a dot.
	maxNameLength = 2*ident.MaxNameLength + 1

	// MaxNameSize bounds the name of a tunnel's files in bytes, as file systems do.
	MaxNameSize = 200

	// MaxSize is the size in bytes of the largest encoded tunnel.
	MaxSize = 1 + 1 + 1 + 3*32 + 8 + 8 + 32 + 4 + 4 + 8 + 2*(1+addressSize) + maxZoneSize +
		1 + MaxNameSize + 1 + 3*ident.MaxTargets + 2*(1+ident.MaxNames*(1+maxNameLength)) +
		2 + ident.MaxEndpointCertSize
)

// ErrTunnel is wrapped by every refusal of the bytes of a stored tunnel, and by Check.
var ErrTunnel = errors.New("bad stored tunnel")

// The bits of the flags byte, all in use: another flag needs another version.
const (
	flagLocal = 1 << iota
	flagDisabledHere
	flagDisabledThere
	flagPending
	flagAuto
	flagDeleted
	flagNo4
	flagNo6
)

// Append writes the bytes by which the data directory keeps a tunnel behind dst. They hold the
// private key of this end's endpoint: the file must be readable by its owner alone. There is one
// encoding of each tunnel. A tunnel that Check refuses is a mistake of the caller and panics.
//
//	version 1: 2 with wanted names, else 1
//	side 1 | flags 1 | id 32 | remote key 32 | remote node 32 | network 8
//	network of the remote node 8
//	seed 32, if flag 0 is set
//	expires 4 | offer 8 | sequence 4
//	external: length 1 (0, 4 or 16), address | static: the same
//	name: length 1, bytes
//	targets: number 1, each protocol 1, port 2
//	names: number 1, each length 1, bytes | wanted names in version 2: the same
//	certificate: length 2, bytes
func (t *Tunnel) Append(dst []byte) []byte {
	if err := t.Check(); err != nil {
		panic("tunnel: append: " + err.Error())
	}
	version := byte(codecVersion)
	if len(t.Wanted) > 0 {
		version = wantedVersion
	}
	b := append(dst, version, byte(t.Side), t.flags())
	b = append(b, t.ID[:]...)
	b = append(b, t.RemoteKey[:]...)
	b = append(b, t.RemoteNode[:]...)
	b = append(b, t.Network[:]...)
	b = append(b, t.RemoteNetwork[:]...)
	if t.Local != nil {
		seed := t.Local.Seed()
		b = append(b, seed[:]...)
	}
	b = binary.BigEndian.AppendUint32(b, t.Expires)
	b = append(b, t.Offer[:]...)
	b = binary.BigEndian.AppendUint32(b, t.Seq)
	b = appendShort(b, string(t.External.AsSlice())+t.External.Zone())
	b = appendShort(b, string(t.Static.AsSlice()))
	b = appendShort(b, t.Name)
	b = append(b, byte(len(t.Targets)))
	for _, target := range t.Targets {
		b = append(b, target.Proto)
		b = binary.BigEndian.AppendUint16(b, target.Port)
	}
	b = appendNames(b, t.Names)
	if len(t.Wanted) > 0 {
		b = appendNames(b, t.Wanted)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(t.LocalCert)))
	return append(b, t.LocalCert...)
}

func appendNames(dst []byte, names []string) []byte {
	dst = append(dst, byte(len(names)))
	for _, name := range names {
		dst = appendShort(dst, name)
	}
	return dst
}

// appendShort writes a length of one byte and the bytes; Check has bounded them.
func appendShort(dst []byte, s string) []byte {
	return append(append(dst, byte(len(s))), s...)
}

func (t *Tunnel) flags() (f byte) {
	put := func(bit byte, set bool) {
		if set {
			f |= bit
		}
	}
	put(flagLocal, t.Local != nil)
	put(flagDisabledHere, t.DisabledHere)
	put(flagDisabledThere, t.DisabledThere)
	put(flagPending, t.Pending)
	put(flagAuto, t.Auto)
	put(flagDeleted, t.Deleted)
	put(flagNo4, t.No4)
	put(flagNo6, t.No6)
	return f
}

// Check tells whether the tunnel can be stored. Errors wrap ErrTunnel and name the field.
func (t *Tunnel) Check() error {
	if err := t.check(); err != nil {
		return fmt.Errorf("%w: %w", ErrTunnel, err)
	}
	return nil
}

// check serves both directions, so that what can be written can be read.
func (t *Tunnel) check() error {
	switch {
	case t.Side != Server && t.Side != Client:
		return fmt.Errorf("%v is no side", t.Side)
	case t.ID.IsZero() || t.RemoteNode.IsZero():
		return errors.New("the id or the remote node is missing")
	case t.External.Is4In6():
		return errors.New("the external address is an IPv4 address in disguise")
	case t.External.Zone() != "" && !t.External.IsLinkLocalUnicast():
		return errors.New("the external address has a zone and is not link-local")
	case len(t.External.Zone()) > maxZoneSize:
		return fmt.Errorf("the zone of the external address has %d bytes, at most %d",
			len(t.External.Zone()), maxZoneSize)
	case t.Static.Zone() != "" || t.Static.Is4In6():
		return errors.New("the static address has a zone or is an IPv4 address in disguise")
	case len(t.Name) > MaxNameSize:
		return fmt.Errorf("the name has %d bytes, at most %d", len(t.Name), MaxNameSize)
	case len(t.Targets) > ident.MaxTargets:
		return fmt.Errorf("%d targets, at most %d", len(t.Targets), ident.MaxTargets)
	case max(len(t.Names), len(t.Wanted)) > ident.MaxNames:
		return fmt.Errorf("more than %d DNS names", ident.MaxNames)
	case len(t.LocalCert) > ident.MaxEndpointCertSize:
		return fmt.Errorf("the certificate has %d bytes, at most %d",
			len(t.LocalCert), ident.MaxEndpointCertSize)
	}
	for i, target := range t.Targets {
		if target.Proto != ident.ProtoTCP && target.Proto != ident.ProtoUDP || target.Port == 0 {
			return fmt.Errorf("protocol %d port %d is no target", target.Proto, target.Port)
		}
		if first, _ := t.TargetIndex(target.Proto, target.Port); int(first) != i {
			return fmt.Errorf("target %v is there twice", target)
		}
	}
	for _, name := range slices.Concat(t.Names, t.Wanted) {
		name, network, dotted := strings.Cut(name, ".")
		if err := ident.CheckName(name); err != nil {
			return err
		}
		if err := ident.CheckName(network); err != nil && dotted {
			return err
		}
	}
	return nil
}

// Decode reads a tunnel that fills b exactly. The result shares nothing with b. Errors wrap
// ErrTunnel and contain no bytes of the input.
func Decode(b []byte) (*Tunnel, error) {
	r := &reader{rest: b}
	t := &Tunnel{}
	version := r.byte()
	t.Side = Side(r.byte())
	flags := r.byte()
	r.key(&t.ID, keyNeeded)
	r.key(&t.RemoteKey, keyOptional)
	r.key(&t.RemoteNode, keyNeeded)
	copy(t.Network[:], r.take(len(t.Network)))
	copy(t.RemoteNetwork[:], r.take(len(t.RemoteNetwork)))
	if flags&flagLocal != 0 {
		if seed := r.take(ident.KeySize); len(seed) == ident.KeySize {
			t.Local = ident.SecretFromSeed([ident.KeySize]byte(seed))
		}
	}
	t.State = State{
		DisabledHere:  flags&flagDisabledHere != 0,
		DisabledThere: flags&flagDisabledThere != 0,
		Pending:       flags&flagPending != 0,
		Auto:          flags&flagAuto != 0,
		Deleted:       flags&flagDeleted != 0,
	}
	t.No4, t.No6 = flags&flagNo4 != 0, flags&flagNo6 != 0
	t.Expires = r.uint32()
	copy(t.Offer[:], r.take(len(t.Offer)))
	t.Seq = r.uint32()
	t.External, t.Static = r.address(), r.address()
	t.Name = string(r.short())
	for range r.byte() {
		target := ident.Target{Proto: r.byte(), Port: r.uint16()}
		t.Targets = append(t.Targets, target)
	}
	t.Names = r.names()
	if version == wantedVersion {
		if t.Wanted = r.names(); len(t.Wanted) == 0 {
			r.fail(errors.New("no wanted names"))
		}
	}
	if n := int(r.uint16()); n > 0 {
		t.LocalCert = append(t.LocalCert, r.take(n)...)
	}
	switch {
	case r.err != nil:
		return nil, fmt.Errorf("%w: %w", ErrTunnel, r.err)
	case version != codecVersion && version != wantedVersion:
		return nil, fmt.Errorf("%w: version %d is unknown", ErrTunnel, version)
	case len(r.rest) != 0:
		return nil, fmt.Errorf("%w: %d bytes too many", ErrTunnel, len(r.rest))
	}
	if err := t.Check(); err != nil {
		return nil, err
	}
	return t, nil
}

// reader takes fields off the front. After the first error it yields zeroes.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.rest = nil
}

// take returns the next n bytes, or nil when there are fewer.
func (r *reader) take(n int) []byte {
	if len(r.rest) < n {
		r.fail(errors.New("short"))
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) names() (list []string) {
	for range r.byte() {
		list = append(list, string(r.short()))
	}
	return list
}

func (r *reader) short() []byte { return r.take(int(r.byte())) }

const (
	addressSize = 16 // of IPv6; what is longer has its zone behind it
	maxZoneSize = 15 // the name of an interface: IFNAMSIZ less its final zero
)

func (r *reader) address() netip.Addr {
	b := r.short()
	if len(b) == 0 {
		return netip.Addr{}
	}
	var zone []byte
	if len(b) > addressSize {
		b, zone = b[:addressSize], b[addressSize:]
	}
	a, ok := netip.AddrFromSlice(b)
	if !ok {
		r.fail(fmt.Errorf("an address of %d bytes", len(b)))
	}
	return a.WithZone(string(zone))
}

type keyRule bool

const (
	keyNeeded   keyRule = false
	keyOptional keyRule = true // zero means none
)

func (r *reader) key(into *ident.NodeID, rule keyRule) {
	b := r.take(ident.KeySize)
	if b == nil {
		return
	}
	if rule == keyOptional && ident.NodeID(b).IsZero() {
		return
	}
	id, err := ident.NodeIDFromBytes(b)
	if err != nil {
		r.fail(err)
		return
	}
	*into = id
}
