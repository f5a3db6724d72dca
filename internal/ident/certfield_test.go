// SPDX-License-Identifier: Apache-2.0

package ident_test

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"staex/internal/ident"
)

// respelled are network certificates that say in other bytes what has one spelling, or that
// nobody may say.
func respelled(t testing.TB) map[string][]byte {
	t.Helper()
	self, full := selfMade(t).Append(nil), certified(t).Append(nil)
	key := self[3:35]
	insert := func(b []byte, flags byte, at int, field []byte) []byte {
		out := append(append(bytes.Clone(b[:at]), field...), b[at:]...)
		out[2] = flags
		return out
	}
	replace := func(from, to string) []byte {
		out := bytes.Replace(full, []byte(from), []byte(to), 1)
		if bytes.Equal(out, full) {
			t.Fatalf("%q is not in the sample", from)
		}
		return out
	}
	noPoint := append([]byte{2}, make([]byte, 31)...)
	return map[string][]byte{
		"an unknown flag":                   insert(self, 4, 35, nil),
		"the authority of a self-signed":    insert(self, 1, 35, key),
		"a zero successor":                  insert(self, 2, 35, make([]byte, 32)),
		"the key as its own successor":      insert(self, 2, 35, key),
		"an authority of small order":       insert(self, 1, 35, make([]byte, 32)),
		"a successor that is no point":      insert(self, 2, 35, noPoint),
		"a network key that is no key":      slices.Concat(self[:3], noPoint, self[35:]),
		"a version of tomorrow":             append([]byte{2}, self[1:]...),
		"a type of tomorrow":                append([]byte{1, 9}, self[2:]...),
		"an upper-case name":                replace("harbour", "Harbour"),
		"a reserved name":                   replace("\x07harbour", "\x04wpad"),
		"a name length beyond the end":      replace("\x07harbour", "\xffharbour"),
		"an issuer without port":            replace(":9377", "99377"),
		"an end before the beginning":       replace("\x00\x00\x00\x01", "\xff\xff\xff\xff"),
		"more than any network certificate": append(self, make([]byte, 400)...),
	}
}

func TestNetworkCertificateRefusesOtherSpellings(t *testing.T) {
	for name, b := range respelled(t) {
		_, err := ident.DecodeNetworkCert(b)
		if !errors.Is(err, ident.ErrCert) && !errors.Is(err, ident.ErrSize) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestIssuerIsOneHostAndPort(t *testing.T) {
	long := strings.Repeat("a", 63)
	for issuer, want := range map[string]bool{
		"":                       true,
		"cas.example.org:9377":   true,
		"192.0.2.1:1":            true,
		"[2001:db8::1]:65535":    true,
		"localhost:80":           true,
		"example.org":            false,
		"example.org:":           false,
		"example.org:0":          false,
		"example.org:080":        false,
		"example.org:65536":      false,
		":80":                    false,
		"a..b:80":                false,
		".a:80":                  false,
		"a.:80":                  false,
		"-a:80":                  false,
		"A.b:80":                 false,
		"a b:80":                 false,
		"https://a:80":           false,
		"[2001:DB8::1]:80":       false,
		"[2001:db8:0::1]:80":     false,
		"[fe80::1%eth0]:80":      false,
		"2001:db8::1:80":         false,
		long + "a:80":            false,
		long + "." + long + ":1": false,
	} {
		c := &ident.NetworkCert{Key: network.NetworkKey(), Issuer: issuer}
		if err := ident.SignNetworkCert(c, network); (err == nil) != want {
			t.Errorf("issuer %q: %v", issuer, err)
		} else if err != nil && !errors.Is(err, ident.ErrCert) {
			t.Errorf("issuer %q: error without sentinel: %v", issuer, err)
		}
	}
}

func TestNetworksAreVouchedForByTheirAuthority(t *testing.T) {
	self, under := selfMade(t), certified(t)
	if !self.SelfSigned() || under.SelfSigned() {
		t.Error("SelfSigned does not tell the two apart")
	}
	if under.Authority != authority.NetworkKey() {
		t.Error("signing does not name the authority")
	}
	under.Authority = secretOf(9).NetworkKey()
	if err := under.Verify(); !errors.Is(err, ident.ErrSignature) {
		t.Errorf("another authority: %v", err)
	}
	under.Authority = under.Key
	if err := under.Verify(); !errors.Is(err, ident.ErrSignature) {
		t.Errorf("the network itself as authority: %v", err)
	}
}

func TestNodeCertificateVerifiesInItsNetworkOnly(t *testing.T) {
	c := member(t)
	if err := c.Verify(certified(t)); err != nil {
		t.Errorf("in its network: %v", err)
	}
	other := &ident.NetworkCert{Key: authority.NetworkKey()}
	if err := c.Verify(other); !errors.Is(err, ident.ErrNetwork) {
		t.Errorf("in another network: %v", err)
	}
	c.Network = other.Key.Hash()
	if err := c.Verify(other); !errors.Is(err, ident.ErrSignature) {
		t.Errorf("moved to another network: %v", err)
	}
	c = member(t)
	c.Roles |= ident.RoleIssuer
	if err := c.Verify(selfMade(t)); !errors.Is(err, ident.ErrSignature) {
		t.Errorf("with a role added: %v", err)
	}
}

func TestEndpointCertificateVerifiesByItsSignerOnly(t *testing.T) {
	s, c := server(t), client(t)
	if s.Network != network.NetworkKey().Hash() {
		t.Error("signing does not name the network")
	}
	if err := s.VerifyBy(authority.NetworkKey()); !errors.Is(err, ident.ErrNetwork) {
		t.Errorf("server endpoint by another network: %v", err)
	}
	if err := c.VerifyBy(serverNode.ID()); !errors.Is(err, ident.ErrSignature) {
		t.Errorf("client endpoint by another node: %v", err)
	}
	s.Targets[0].Port++
	if err := s.VerifyBy(network.NetworkKey()); !errors.Is(err, ident.ErrSignature) {
		t.Errorf("with a target changed: %v", err)
	}
}

func TestWhatCannotBeCertifiedIsRefusedWhenSigning(t *testing.T) {
	manyNames := make([]string, 9)
	for i := range manyNames {
		manyNames[i] = "n" + string(rune('0'+i))
	}
	targets := func(n int) []ident.Target {
		list := make([]ident.Target, n)
		for i := range list {
			list[i] = ident.Target{Proto: 6, Port: uint16(i + 1)}
		}
		return list
	}
	long := strings.Repeat("x", 62)
	tests := []struct {
		name   string
		change func(*ident.EndpointCert)
		want   error
	}{
		{"as it is", func(*ident.EndpointCert) {}, nil},
		{"no kind", func(c *ident.EndpointCert) { c.Kind = 0 }, ident.ErrCert},
		{"kind of tomorrow", func(c *ident.EndpointCert) { c.Kind = 3 }, ident.ErrCert},
		{"no key", func(c *ident.EndpointCert) { c.Key = ident.NodeID{} }, ident.ErrKey},
		{"no peer", func(c *ident.EndpointCert) { c.Peer = ident.NodeID{} }, ident.ErrKey},
		{"ends first", func(c *ident.EndpointCert) {
			c.Validity = ident.Validity{NotBefore: 2, NotAfter: 1}
		}, ident.ErrCert},
		{"no target", func(c *ident.EndpointCert) { c.Targets = nil }, ident.ErrTarget},
		{"32 targets", func(c *ident.EndpointCert) { c.Targets = targets(32) }, nil},
		{"33 targets", func(c *ident.EndpointCert) { c.Targets = targets(33) }, ident.ErrTarget},
		{"300 targets", func(c *ident.EndpointCert) { c.Targets = targets(300) }, ident.ErrTarget},
		{"target of ICMP", func(c *ident.EndpointCert) { c.Targets[0].Proto = 1 }, ident.ErrTarget},
		{"target of port 0", func(c *ident.EndpointCert) {
			c.Targets[0].Port = 0
		}, ident.ErrTarget},
		{"target twice", func(c *ident.EndpointCert) {
			c.Targets[1] = c.Targets[0]
		}, ident.ErrTarget},
		{"no names", func(c *ident.EndpointCert) { c.Names = nil }, nil},
		{"8 names", func(c *ident.EndpointCert) { c.Names = manyNames[:8] }, nil},
		{"9 names", func(c *ident.EndpointCert) { c.Names = manyNames }, ident.ErrName},
		{"name twice", func(c *ident.EndpointCert) { c.Names = []string{"a", "a"} }, ident.ErrCert},
		{"empty name", func(c *ident.EndpointCert) { c.Names = []string{""} }, ident.ErrName},
		{"huge name", func(c *ident.EndpointCert) {
			c.Names = []string{strings.Repeat("a", 256)}
		}, ident.ErrName},
		{"reserved name", func(c *ident.EndpointCert) {
			c.Names = []string{"wpad"}
		}, ident.ErrName},
		{"too large together", func(c *ident.EndpointCert) {
			c.Names = []string{"a" + long, "b" + long, "c" + long}
		}, ident.ErrSize},
		{"IPv4 address", func(c *ident.EndpointCert) {
			c.Static = netip.MustParseAddr("10.115.0.7")
		}, nil},
		{"no address", func(c *ident.EndpointCert) { c.Static = netip.Addr{} }, nil},
		{"mapped address", func(c *ident.EndpointCert) {
			c.Static = netip.MustParseAddr("::ffff:10.115.0.7")
		}, ident.ErrCert},
		{"zoned address", func(c *ident.EndpointCert) {
			c.Static = netip.MustParseAddr("fe80::1%eth0")
		}, ident.ErrCert},
		{"multicast address", func(c *ident.EndpointCert) {
			c.Static = netip.MustParseAddr("224.0.0.1")
		}, ident.ErrCert},
		{"unspecified address", func(c *ident.EndpointCert) {
			c.Static = netip.IPv6Unspecified()
		}, ident.ErrCert},
		{"loopback address", func(c *ident.EndpointCert) {
			c.Static = netip.MustParseAddr("127.0.0.1")
		}, ident.ErrCert},
		{"client with targets", func(c *ident.EndpointCert) {
			c.Kind, c.Names, c.Static = ident.ClientEndpoint, nil, netip.Addr{}
		}, ident.ErrCert},
		{"client with names", func(c *ident.EndpointCert) {
			c.Kind, c.Targets, c.Static = ident.ClientEndpoint, nil, netip.Addr{}
		}, ident.ErrCert},
		{"client with address", func(c *ident.EndpointCert) {
			c.Kind, c.Targets, c.Names = ident.ClientEndpoint, nil, nil
		}, ident.ErrCert},
	}
	for _, tt := range tests {
		c := server(t)
		c.Sig = ident.Signature{}
		tt.change(c)
		err := ident.SignEndpointCert(c, network)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v, want %v", tt.name, err, tt.want)
		}
		if (err == nil) == (c.Sig == ident.Signature{}) {
			t.Errorf("%s: error %v, signature %x", tt.name, err, c.Sig[:4])
		}
	}
}

func TestNodesAndNetworksWithoutKeysAreNotCertified(t *testing.T) {
	if err := ident.SignNodeCert(&ident.NodeCert{}, network); !errors.Is(err, ident.ErrKey) {
		t.Errorf("node: %v", err)
	}
	if err := ident.SignNetworkCert(&ident.NetworkCert{}, network); !errors.Is(err, ident.ErrKey) {
		t.Errorf("network: %v", err)
	}
	backwards := ident.Validity{NotBefore: 5, NotAfter: 4}
	n := &ident.NodeCert{Key: serverNode.ID(), Validity: backwards}
	if err := ident.SignNodeCert(n, network); !errors.Is(err, ident.ErrCert) {
		t.Errorf("node that ends before it begins: %v", err)
	}
	c := &ident.NetworkCert{Key: network.NetworkKey(), Validity: backwards}
	if err := ident.SignNetworkCert(c, network); !errors.Is(err, ident.ErrCert) {
		t.Errorf("network that ends before it begins: %v", err)
	}
}

func TestEndpointFamilyAndCountsAreChecked(t *testing.T) {
	encoded := server(t).Append(nil)
	const family = 2 + 8 + 32 + 32 + 12
	const targets = family + 1 + 16
	names := targets + 1 + 3*8
	for name, change := range map[string]func(b []byte){
		"family 5":   func(b []byte) { b[family] = 5 },
		"33 targets": func(b []byte) { b[targets] = 33 },
		"9 names":    func(b []byte) { b[names] = 9 },
		"no targets": func(b []byte) { b[targets] = 0 },
	} {
		b := bytes.Clone(encoded)
		change(b)
		if _, err := ident.DecodeEndpointCert(b); !errors.Is(err, ident.ErrCert) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestExpiryIsJudgedByAProvenMomentOnly(t *testing.T) {
	for _, tt := range []struct {
		validity ident.Validity
		bound    uint32
		want     bool
	}{
		{ident.Validity{}, 1 << 31, false},
		{ident.Validity{NotAfter: 100}, 0, false},
		{ident.Validity{NotAfter: 100}, 100, false},
		{ident.Validity{NotAfter: 100}, 101, true},
		{ident.Validity{NotBefore: 100}, 1, false},
	} {
		if got := tt.validity.Expired(tt.bound); got != tt.want {
			t.Errorf("%+v at %d: Expired = %v", tt.validity, tt.bound, got)
		}
	}
}

func TestKindsOfEndpointsPrint(t *testing.T) {
	for kind, want := range map[ident.EndpointKind]string{
		ident.ServerEndpoint: "server", ident.ClientEndpoint: "client", 9: "endpoint kind 9",
	} {
		if kind.String() != want {
			t.Errorf("kind %d prints as %s", uint8(kind), kind)
		}
	}
}

func TestIdentityMustFitTogether(t *testing.T) {
	whole := func() *ident.Identity {
		return &ident.Identity{Secret: serverNode, Cert: member(t), Network: certified(t)}
	}
	if err := whole().Check(); err != nil {
		t.Fatal(err)
	}
	other := whole()
	other.Secret = clientNode
	if err := other.Check(); !errors.Is(err, ident.ErrKey) ||
		!strings.Contains(err.Error(), clientNode.ID().String()) {
		t.Errorf("another node's key: %v", err)
	}
	other = whole()
	other.Network.Key = authority.NetworkKey()
	if err := other.Check(); !errors.Is(err, ident.ErrSignature) {
		t.Errorf("a changed network certificate: %v", err)
	}
	other = whole()
	other.Network = &ident.NetworkCert{Key: authority.NetworkKey()}
	mustSign(t, ident.SignNetworkCert(other.Network, authority))
	if err := other.Check(); !errors.Is(err, ident.ErrNetwork) {
		t.Errorf("another network: %v", err)
	}
}

func TestNamesCertificateSaysWhichFieldIsWrong(t *testing.T) {
	many := strings.Split("a,b,c,d,e,f,g,h,i", ",")
	for _, c := range []struct {
		name   string
		change func(*ident.NamesCert)
		want   error
	}{
		{"as it is", func(*ident.NamesCert) {}, nil},
		{"no key", func(c *ident.NamesCert) { c.Key = ident.NodeID{} }, ident.ErrKey},
		{"no names", func(c *ident.NamesCert) { c.Names = nil }, nil},
		{"nothing", func(c *ident.NamesCert) {
			c.Names, c.Static = nil, netip.Addr{}
		}, ident.ErrCert},
		{"8 names", func(c *ident.NamesCert) { c.Names = many[:8] }, nil},
		{"9 names", func(c *ident.NamesCert) { c.Names = many }, ident.ErrName},
		{"name twice", func(c *ident.NamesCert) { c.Names = []string{"a", "a"} }, ident.ErrCert},
		{"reserved name", func(c *ident.NamesCert) { c.Names = []string{"wpad"} }, ident.ErrName},
		{"a group", func(c *ident.NamesCert) {
			c.Static = netip.MustParseAddr("224.0.0.1")
		}, ident.ErrCert},
		{"ends first", func(c *ident.NamesCert) { c.NotBefore = 2_000_000_001 }, ident.ErrCert},
		{"too long", func(c *ident.NamesCert) {
			for i := range 4 {
				c.Names = append(c.Names, strings.Repeat(string(rune('a'+i)), 63))
			}
		}, ident.ErrSize},
	} {
		cert := named(t)
		c.change(cert)
		if err := ident.SignNamesCert(cert, network); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if err := named(t).VerifyBy(authority.NetworkKey()); !errors.Is(err, ident.ErrNetwork) {
		t.Errorf("another network: %v", err)
	}
}
