// SPDX-License-Identifier: Apache-2.0

package tunnel_test

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"staex/internal/ident"
	"staex/internal/overlay/tunnel"
)

func secretOf(n byte) *ident.Secret { return ident.SecretFromSeed([32]byte{n, 2}) }

func keyOf(n byte) ident.NodeID { return secretOf(n).ID() }

// sample is a tunnel in which every field is set.
func sample() *tunnel.Tunnel {
	return &tunnel.Tunnel{
		ID: keyOf(1), Side: tunnel.Server, Local: secretOf(1), LocalCert: []byte("a certificate"),
		RemoteKey: keyOf(2), RemoteNode: keyOf(3), Network: ident.NetworkHash{1, 2, 3},
		RemoteNetwork: ident.NetworkHash{4, 5, 6},
		Name:          "front door",
		Targets: []ident.Target{
			{Proto: ident.ProtoTCP, Port: 80}, {Proto: ident.ProtoUDP, Port: 53},
		},
		External: netip.MustParseAddr("192.168.1.2"), Names: []string{"camera1", "door"},
		Static: netip.MustParseAddr("2001:db8::7"), Expires: 2_000_000_000,
		State: tunnel.State{DisabledThere: true, Auto: true},
		Offer: [8]byte{8, 7, 6}, Seq: 42,
	}
}

// open is a tunnel that nothing forbids.
func open() *tunnel.Tunnel {
	t := sample()
	t.State, t.Expires = tunnel.State{}, 0
	return t
}

func TestATunnelIsActiveOnlyWhenNothingForbidsIt(t *testing.T) {
	if !open().Active(0) || !open().Active(1_900_000_000) {
		t.Fatal("an open tunnel is not active")
	}
	for name, forbid := range map[string]func(*tunnel.Tunnel){
		"not accepted here":  func(x *tunnel.Tunnel) { x.Local = nil },
		"not accepted there": func(x *tunnel.Tunnel) { x.RemoteKey = ident.NodeID{} },
		"disabled here":      func(x *tunnel.Tunnel) { x.DisabledHere = true },
		"disabled there":     func(x *tunnel.Tunnel) { x.DisabledThere = true },
		"pending":            func(x *tunnel.Tunnel) { x.Pending = true },
		"deleted":            func(x *tunnel.Tunnel) { x.Deleted = true },
		"revoked":            func(x *tunnel.Tunnel) { x.Revoked = true },
		"expired":            func(x *tunnel.Tunnel) { x.Expires = 1_800_000_000 },
	} {
		x := open()
		forbid(x)
		if x.Active(1_900_000_000) {
			t.Errorf("a tunnel is active though %s", name)
		}
	}
}

func TestATunnelExpiresAfterItsLastSecondAndOnlyByAClock(t *testing.T) {
	x := open()
	x.Expires = 1000
	for now, want := range map[uint32]bool{0: false, 999: false, 1000: false, 1001: true} {
		if got := x.Expired(now); got != want || x.Active(now) == want {
			t.Errorf("at %d: expired %v, active %v", now, got, x.Active(now))
		}
	}
	x.Expires = 0
	if x.Expired(1 << 31) {
		t.Error("a tunnel without an end has ended")
	}
}

func TestATargetIsKnownByItsPlace(t *testing.T) {
	x := sample()
	for _, c := range []struct {
		proto uint8
		port  uint16
		index uint8
		ok    bool
	}{
		{6, 80, 0, true},
		{17, 53, 1, true},
		{17, 80, 0, false},
		{6, 53, 0, false},
		{1, 0, 0, false},
	} {
		if index, ok := x.TargetIndex(c.proto, c.port); index != c.index || ok != c.ok {
			t.Errorf("protocol %d port %d: %d, %v", c.proto, c.port, index, ok)
		}
	}
}

func TestATunnelIsCalledByItsFileAndItsDNSNames(t *testing.T) {
	for name, want := range map[string]bool{
		"front door": true, "camera1": true, "door": true, "": false, "camera": false,
	} {
		if got := sample().HasName(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
	if (&tunnel.Tunnel{}).HasName("") {
		t.Error("no name is a name")
	}
}

func TestPrintingATunnelShowsNoSecret(t *testing.T) {
	x := sample()
	seed := x.Local.Seed()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
		for _, value := range []any{x, *x} {
			s := fmt.Sprintf(verb, value)
			if strings.Contains(s, hex.EncodeToString(seed[:])) ||
				strings.Contains(s, "1, 2, 0, 0, 0") ||
				strings.Contains(s, "0x1, 0x2, 0x0, 0x0") || strings.Contains(s, "[1 2 0 0 0") {
				t.Errorf("%s shows the private key: %s", verb, s)
			}
		}
	}
}

func TestSidesHaveNames(t *testing.T) {
	for side, want := range map[tunnel.Side]string{
		tunnel.Server: "server", tunnel.Client: "client", 0: "side-0",
	} {
		if got := side.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
