// SPDX-License-Identifier: Apache-2.0

package ident_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"staex/internal/ident"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// cert is what all kinds of certificates can do.
type cert interface{ Append(dst []byte) []byte }

// The keys of the tests: an authority, its network, two nodes, the two ends of a tunnel.
var (
	authority      = secretOf(1)
	network        = secretOf(2)
	serverNode     = secretOf(3)
	clientNode     = secretOf(4)
	serverEndpoint = secretOf(5)
	clientEndpoint = secretOf(6)
)

func mustSign(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func selfMade(tb testing.TB) *ident.NetworkCert {
	tb.Helper()
	tb.Helper()
	c := &ident.NetworkCert{Key: network.NetworkKey()}
	mustSign(tb, ident.SignNetworkCert(c, network))
	return c
}

func certified(tb testing.TB) *ident.NetworkCert {
	tb.Helper()
	tb.Helper()
	c := &ident.NetworkCert{
		Key: network.NetworkKey(), Successor: secretOf(7).NetworkKey(),
		Validity: ident.Validity{NotBefore: 1, NotAfter: 0xfffffffe},
		Serial:   7, Roles: ident.RoleRelay, Name: "harbour", Issuer: "cas.example.org:9377",
	}
	mustSign(tb, ident.SignNetworkCert(c, authority))
	return c
}

func member(tb testing.TB) *ident.NodeCert {
	tb.Helper()
	tb.Helper()
	c := &ident.NodeCert{
		Key: serverNode.ID(), Validity: ident.Validity{NotAfter: 2_000_000_000},
		Serial: 3, Roles: ident.RoleTime | ident.RoleRevoker,
	}
	mustSign(tb, ident.SignNodeCert(c, network))
	return c
}

func server(tb testing.TB) *ident.EndpointCert {
	tb.Helper()
	tb.Helper()
	targets, err := ident.ParseTargets(
		"tcp:80,tcp:443,udp:53,tcp:22,udp:161,tcp:502,udp:5060,tcp:8883")
	if err != nil {
		tb.Fatal(err)
	}
	c := &ident.EndpointCert{
		Kind: ident.ServerEndpoint, Key: serverEndpoint.ID(), Peer: clientNode.ID(),
		Serial: 1, Targets: targets, Names: []string{"camera1", "meter", "plc", "valve-3"},
		Static: netip.MustParseAddr("fd00::1234"),
	}
	mustSign(tb, ident.SignEndpointCert(c, network))
	return c
}

func named(tb testing.TB) *ident.NamesCert {
	tb.Helper()
	c := &ident.NamesCert{
		Key: serverNode.ID(), Validity: ident.Validity{NotAfter: 2_000_000_000}, Serial: 2,
		Names: []string{"hall", "pump-3"}, Static: netip.MustParseAddr("10.115.0.7"),
	}
	mustSign(tb, ident.SignNamesCert(c, network))
	return c
}

func client(tb testing.TB) *ident.EndpointCert {
	tb.Helper()
	tb.Helper()
	c := &ident.EndpointCert{
		Kind: ident.ClientEndpoint, Network: network.NetworkKey().Hash(),
		Key: clientEndpoint.ID(), Peer: serverEndpoint.ID(), Serial: 1,
	}
	mustSign(tb, ident.SignEndpointCert(c, clientNode))
	return c
}

// sample is one certificate with its decoder and the check of its signature.
type sample struct {
	name   string
	cert   cert
	decode func(b []byte) (cert, error)
	verify func(c cert) error
}

// kind is what decides which decoder reads the certificate.
func (s sample) kind() string {
	for _, kind := range []string{"network", "endpoint"} {
		if strings.Contains(s.name, kind) {
			return kind
		}
	}
	return s.name
}

func samples(tb testing.TB) []sample {
	tb.Helper()
	decodeNetwork := func(b []byte) (cert, error) { return ident.DecodeNetworkCert(b) }
	decodeNode := func(b []byte) (cert, error) { return ident.DecodeNodeCert(b) }
	decodeEndpoint := func(b []byte) (cert, error) { return ident.DecodeEndpointCert(b) }
	verifyNetwork := func(c cert) error { return c.(*ident.NetworkCert).Verify() }
	verifyNode := func(c cert) error { return c.(*ident.NodeCert).Verify(selfMade(tb)) }
	verifyServer := func(c cert) error {
		return c.(*ident.EndpointCert).VerifyBy(network.NetworkKey())
	}
	decodeNames := func(b []byte) (cert, error) { return ident.DecodeNamesCert(b) }
	verifyNames := func(c cert) error {
		return c.(*ident.NamesCert).VerifyBy(network.NetworkKey())
	}
	verifyClient := func(c cert) error { return c.(*ident.EndpointCert).VerifyBy(clientNode.ID()) }
	return []sample{
		{"network-self-signed", selfMade(tb), decodeNetwork, verifyNetwork},
		{"network-certified", certified(tb), decodeNetwork, verifyNetwork},
		{"node", member(tb), decodeNode, verifyNode},
		{"server-endpoint", server(tb), decodeEndpoint, verifyServer},
		{"client-endpoint", client(tb), decodeEndpoint, verifyClient},
		{"names", named(tb), decodeNames, verifyNames},
	}
}

func TestCertificatesHaveTheirGoldenBytes(t *testing.T) {
	for _, s := range samples(t) {
		got := s.cert.Append(nil)
		path := filepath.Join("testdata", s.name+".hex")
		if *update {
			text := "# " + s.name + " certificate; its keys stand in cert_test.go\n" + wrapHex(got)
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, body, _ := strings.Cut(string(want), "\n")
		if wrapHex(got) != body {
			t.Errorf("%s is\n%swant\n%s", s.name, wrapHex(got), body)
		}
	}
}

// wrapHex is 32 bytes to a line.
func wrapHex(b []byte) string {
	var text strings.Builder
	for len(b) > 32 {
		text.WriteString(hex.EncodeToString(b[:32]) + "\n")
		b = b[32:]
	}
	text.WriteString(hex.EncodeToString(b) + "\n")
	return text.String()
}

func TestCertificatesReadBackAndVerify(t *testing.T) {
	for _, s := range samples(t) {
		encoded := s.cert.Append([]byte("prefix"))[len("prefix"):]
		got, err := s.decode(encoded)
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if diff := cmp.Diff(s.cert, got, cmp.Comparer(func(a, b netip.Addr) bool {
			return a == b
		})); diff != "" {
			t.Errorf("%s changes on the way:\n%s", s.name, diff)
		}
		if err := s.verify(got); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
	}
}

func TestCertificatesKeepTheirSizes(t *testing.T) {
	if size := len(member(t).Append(nil)); size != ident.NodeCertSize || size > 140 {
		t.Errorf("a node certificate has %d bytes", size)
	}
	if size := len(server(t).Append(nil)); size > ident.MaxEndpointCertSize {
		t.Errorf("an endpoint certificate with 8 targets and 4 names has %d bytes", size)
	}
	if size := len(client(t).Append(nil)); size != 150 {
		t.Errorf("a client endpoint certificate has %d bytes", size)
	}
	largest := certified(t)
	largest.Name = strings.Repeat("n", 63)
	largest.Issuer = strings.Repeat("h", 63) + "." + strings.Repeat("h", 58) + ":65535"
	mustSign(t, ident.SignNetworkCert(largest, authority))
	if size := len(largest.Append(nil)); size != ident.MaxNetworkCertSize {
		t.Errorf("the largest network certificate has %d bytes, not %d",
			size, ident.MaxNetworkCertSize)
	}
}

func TestCutOrExtendedCertificatesAreRefused(t *testing.T) {
	for _, s := range samples(t) {
		encoded := s.cert.Append(nil)
		for n := range encoded {
			if _, err := s.decode(encoded[:n:n]); !errors.Is(err, ident.ErrCert) {
				t.Errorf("%s cut to %d bytes: %v", s.name, n, err)
			}
		}
		_, err := s.decode(append(encoded, 0))
		if !errors.Is(err, ident.ErrCert) && !errors.Is(err, ident.ErrSize) {
			t.Errorf("%s with a byte more: %v", s.name, err)
		}
	}
}

func TestEveryChangedByteIsNoticed(t *testing.T) {
	for _, s := range samples(t) {
		encoded := s.cert.Append(nil)
		for i := range encoded {
			changed := bytes.Clone(encoded)
			changed[i] ^= 1 << (i % 8)
			got, err := s.decode(changed)
			if err != nil {
				continue
			}
			if again := got.Append(nil); !bytes.Equal(again, changed) {
				t.Errorf("%s, byte %d: %x is read but written as %x", s.name, i, changed, again)
			}
			if s.verify(got) == nil {
				t.Errorf("%s verifies with byte %d changed", s.name, i)
			}
		}
	}
}

func TestNoCertificateIsReadAsAnotherKind(t *testing.T) {
	all := samples(t)
	for _, s := range all {
		for _, other := range all {
			_, err := other.decode(s.cert.Append(nil))
			if (s.kind() == other.kind()) != (err == nil) {
				t.Errorf("%s as %s: %v", s.name, other.name, err)
			}
		}
	}
	_, err := ident.DecodeNetworkCert(member(t).Append(nil))
	if err == nil || !strings.Contains(err.Error(), "this is a node certificate") {
		t.Errorf("the error does not say what it is: %v", err)
	}
}

// fuzzCert checks that whatever decodes is written back byte for byte.
func fuzzCert[C cert](f *testing.F, decode func([]byte) (C, error)) {
	f.Helper()
	for _, s := range samples(f) {
		encoded := s.cert.Append(nil)
		f.Add(append(encoded, 0))
		for i := range encoded {
			f.Add(encoded[:i])
			for _, bit := range []byte{1, 0x80} {
				changed := bytes.Clone(encoded)
				changed[i] ^= bit
				f.Add(changed)
			}
		}
		f.Add(encoded)
	}
	for _, static := range []netip.Addr{{}, netip.MustParseAddr("10.1.2.3")} {
		c := server(f)
		c.Static = static
		f.Add(c.Append(nil))
	}
	for _, spelling := range respelled(f) {
		f.Add(spelling)
	}
	f.Add([]byte{})
	f.Add([]byte{2, 1})
	f.Add([]byte{1, 9})
	f.Add(append([]byte{1, 1, 4}, make([]byte, 120)...))
	f.Add(append([]byte{1, 3}, make([]byte, 400)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decode(b)
		if err != nil {
			if !errors.Is(err, ident.ErrCert) && !errors.Is(err, ident.ErrSize) {
				t.Errorf("error without sentinel: %v", err)
			}
			return
		}
		if got := c.Append(nil); !bytes.Equal(got, b) {
			t.Errorf("%x is written back as %x", b, got)
		}
	})
}

func FuzzDecodeNetworkCert(f *testing.F)  { fuzzCert(f, ident.DecodeNetworkCert) }
func FuzzDecodeNodeCert(f *testing.F)     { fuzzCert(f, ident.DecodeNodeCert) }
func FuzzDecodeNamesCert(f *testing.F)    { fuzzCert(f, ident.DecodeNamesCert) }
func FuzzDecodeEndpointCert(f *testing.F) { fuzzCert(f, ident.DecodeEndpointCert) }

func TestAnIssuerInsideTheNetworkIsNamedByItsKey(t *testing.T) {
	const id = "4cc9pkyvvj6accsnc3ac79wy7zstw25cra7ka596tc3a8sg7k5ag"
	for issuer, want := range map[string]string{
		id + ":443": id, id + ".home.arpa:443": id, "ca.example:443": "", "": "",
		"192.0.2.1:443": "", "x." + id + ":443": "", "[2001:db8::1]:443": "",
	} {
		got, ok := (&ident.NetworkCert{Issuer: issuer}).IssuerNode()
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%q: %v, %v", issuer, got, ok)
		}
	}
}
