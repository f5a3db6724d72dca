// SPDX-License-Identifier: Apache-2.0

package tunnel_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"staex/internal/ident"
	"staex/internal/overlay/tunnel"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// bare is a tunnel in which nothing is set that may be left out.
func bare() *tunnel.Tunnel {
	return &tunnel.Tunnel{ID: keyOf(1), Side: tunnel.Client, RemoteNode: keyOf(3)}
}

// zone15 is an interface with the longest name.
const zone15 = "enp0s31f6np0123"

// widest fills every field to its bound.
func widest() *tunnel.Tunnel {
	x := sample()
	x.External, x.Static = netip.MustParseAddr("fe80::1%"+zone15), netip.IPv6Loopback()
	x.Name = strings.Repeat("n", tunnel.MaxNameSize)
	x.Targets, x.Names = nil, nil
	for n := range ident.MaxTargets {
		x.Targets = append(x.Targets, ident.Target{Proto: ident.ProtoTCP, Port: uint16(n + 1)})
	}
	for range ident.MaxNames {
		label := strings.Repeat("x", ident.MaxNameLength)
		x.Names = append(x.Names, label+"."+label)
	}
	x.Wanted = x.Names
	x.LocalCert = make([]byte, ident.MaxEndpointCertSize)
	x.State = tunnel.State{
		DisabledHere: true, DisabledThere: true, Pending: true, Auto: true, Deleted: true,
	}
	return x
}

func TestATunnelKeepsItsBytes(t *testing.T) {
	for name, x := range map[string]*tunnel.Tunnel{"full": sample(), "bare": bare()} {
		path := filepath.Join("testdata", name+".hex")
		got := hex.EncodeToString(x.Append(nil)) + "\n"
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: got %s want %s", name, got, want)
		}
	}
}

func TestATunnelComesBackWhole(t *testing.T) {
	for _, x := range []*tunnel.Tunnel{sample(), bare(), widest()} {
		b := x.Append([]byte("before"))[6:]
		got, err := tunnel.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if (got.Local == nil) != (x.Local == nil) ||
			got.Local != nil && got.Local.Seed() != x.Local.Seed() {
			t.Error("the private key is another one")
		}
		if got.ID != x.ID || got.Side != x.Side || got.RemoteKey != x.RemoteKey ||
			got.RemoteNode != x.RemoteNode || got.Network != x.Network || got.Name != x.Name ||
			!slices.Equal(got.Targets, x.Targets) || got.External != x.External ||
			!slices.Equal(got.Names, x.Names) || !slices.Equal(got.Wanted, x.Wanted) ||
			got.Static != x.Static ||
			got.Expires != x.Expires || got.State != x.State || got.Offer != x.Offer ||
			got.Seq != x.Seq || !bytes.Equal(got.LocalCert, x.LocalCert) {
			t.Errorf("%+v came back as %+v", x, got)
		}
		if !bytes.Equal(got.Append(nil), b) {
			t.Error("a second encoding differs")
		}
	}
	if n := len(widest().Append(nil)); n != tunnel.MaxSize {
		t.Errorf("the largest tunnel has %d bytes, not %d", n, tunnel.MaxSize)
	}
}

func TestATunnelOfEveryOtherLengthIsRefused(t *testing.T) {
	for _, x := range []*tunnel.Tunnel{sample(), bare()} {
		b := x.Append(nil)
		for n := range b {
			if _, err := tunnel.Decode(b[:n]); !errors.Is(err, tunnel.ErrTunnel) {
				t.Errorf("%d of %d bytes: %v", n, len(b), err)
			}
		}
		if _, err := tunnel.Decode(append(b, 0)); !errors.Is(err, tunnel.ErrTunnel) {
			t.Errorf("a byte too many: %v", err)
		}
	}
}

// Offsets in the encoding of bare.
const (
	versionAt = 0
	idAt      = 3
	addressAt = idAt + 3*32 + 8 + 8 + 4 + 8 + 4
)

// badTunnels has one entry for each reason of the decoder to refuse.
func badTunnels() map[string][]byte {
	spoil := func(at int, put ...byte) []byte {
		b := bare().Append(nil)
		copy(b[at:], put)
		return b
	}
	zone := bare().Append(nil)
	mapped := netip.MustParseAddr("::ffff:1.2.3.4").As16()
	disguised := slices.Concat(zone[:addressAt], []byte{16}, mapped[:], zone[addressAt+1:])
	static := slices.Concat(zone[:addressAt+1], []byte{16}, mapped[:], zone[addressAt+2:])
	unique, local := netip.MustParseAddr("fd00::1").As16(), netip.MustParseAddr("fe80::1").As16()
	zoned := slices.Concat(zone[:addressAt], []byte{17}, unique[:], []byte("0"), zone[addressAt+1:])
	staticZone := slices.Concat(
		zone[:addressAt+1], []byte{17}, local[:], []byte("0"), zone[addressAt+2:])
	odd := slices.Concat(zone[:addressAt], []byte{5, 1, 2, 3, 4, 5}, zone[addressAt+1:])
	targets := func(list ...byte) []byte {
		b := bare().Append(nil)
		return slices.Concat(b[:addressAt+3], list, b[addressAt+4:])
	}
	names := func(list ...byte) []byte {
		b := bare().Append(nil)
		return slices.Concat(b[:addressAt+4], list, b[addressAt+5:])
	}
	return map[string][]byte{
		"version":             spoil(versionAt, 3),
		"wants no names":      spoil(versionAt, 2),
		"a name with no end":  names(1, 2, 'a', '.'),
		"a name of three":     names(1, 5, 'a', '.', 'b', '.', 'c'),
		"side":                spoil(1, 3),
		"a key that is none":  spoil(idAt, bytes.Repeat([]byte{0xff}, 32)...),
		"no id":               spoil(idAt, make([]byte, 32)...),
		"a bad remote key":    spoil(idAt+32, bytes.Repeat([]byte{0xff}, 32)...),
		"no remote node":      spoil(idAt+64, make([]byte, 32)...),
		"an odd address":      odd,
		"a mapped address":    disguised,
		"a zone on a ULA":     zoned,
		"a static zone":       staticZone,
		"a mapped static":     static,
		"a long name":         spoil(addressAt+2, 201),
		"protocol 1":          targets(1, 1, 0, 80),
		"port 0":              targets(1, 6, 0, 0),
		"a target twice":      targets(2, 6, 0, 80, 6, 0, 80),
		"33 targets":          targets(append([]byte{33}, make([]byte, 99)...)...),
		"a name with a space": names(1, 2, 'a', ' '),
		"9 names":             names(append([]byte{9}, bytes.Repeat([]byte{1, 'a'}, 9)...)...),
		"a long certificate":  append(spoil(addressAt+5, 1, 65), make([]byte, 321)...),
	}
}

func TestAStoredTunnelThatBreaksARuleIsRefused(t *testing.T) {
	if _, err := tunnel.Decode(bare().Append(nil)); err != nil {
		t.Fatal(err)
	}
	for name, b := range badTunnels() {
		if x, err := tunnel.Decode(b); !errors.Is(err, tunnel.ErrTunnel) {
			t.Errorf("%s: %+v, %v", name, x, err)
		}
	}
}

func TestATunnelThatCannotBeStoredIsNamedAndPanics(t *testing.T) {
	for name, break1 := range map[string]func(*tunnel.Tunnel){
		"side":        func(x *tunnel.Tunnel) { x.Side = 0 },
		"remote node": func(x *tunnel.Tunnel) { x.RemoteNode = ident.NodeID{} },
		"has a zone":  func(x *tunnel.Tunnel) { x.External = netip.MustParseAddr("fd00::1%eth0") },
		"16 bytes": func(x *tunnel.Tunnel) {
			x.External = netip.MustParseAddr("fe80::1%" + zone15 + "4")
		},
		"name": func(x *tunnel.Tunnel) {
			x.Name = strings.Repeat("n", tunnel.MaxNameSize+1)
		},
		"targets": func(x *tunnel.Tunnel) {
			x.Targets = make([]ident.Target, ident.MaxTargets+1)
		},
		"DNS names":   func(x *tunnel.Tunnel) { x.Names = make([]string, ident.MaxNames+1) },
		"certificate": func(x *tunnel.Tunnel) { x.LocalCert = make([]byte, 321) },
	} {
		x := sample()
		break1(x)
		err := x.Check()
		if !errors.Is(err, tunnel.ErrTunnel) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: it was stored", name)
				}
			}()
			x.Append(nil)
		}()
	}
}

func FuzzDecode(f *testing.F) {
	for _, x := range []*tunnel.Tunnel{sample(), bare(), widest()} {
		f.Add(x.Append(nil))
		f.Add(append(x.Append(nil), 0))
	}
	for _, b := range badTunnels() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := tunnel.Decode(b)
		if err != nil {
			if !errors.Is(err, tunnel.ErrTunnel) {
				t.Errorf("%v does not wrap ErrTunnel", err)
			}
			return
		}
		if !bytes.Equal(x.Append(nil), b) {
			t.Errorf("%x has two encodings", b)
		}
	})
}
