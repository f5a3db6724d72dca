// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"testing"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/node"
)

// certificate is the bytes of a node certificate.
func certificate(t testing.TB) []byte {
	t.Helper()
	secret := ident.SecretFromSeed([32]byte{1})
	cert := &ident.NodeCert{Key: secret.ID()}
	if err := ident.SignNodeCert(cert, ident.SecretFromSeed([32]byte{2})); err != nil {
		t.Fatal(err)
	}
	return cert.Append(nil)
}

func count(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

// contents is what a parent seals: 3 resumptions, with data and the post-quantum exchange, in the
// layout of the comment.
func contents(t testing.TB) []byte {
	t.Helper()
	b := []byte{1, 3, 3, 0, 0, 0x0e, 0x10, 0x6a, 0, 0, 1, 0, 30, 0x05, 0x14}
	b = append(append(b, count(0x10, 8)...), count(0x20, 32)...)
	return append(b, certificate(t)...)
}

// kept is what a child writes to its disk.
func kept(t testing.TB) []byte {
	t.Helper()
	b := append([]byte{2, 1}, count(0x20, 32)...)
	b = append(append(b, 0x05, 0x14, 0, 40), count(0x80, 8)...)
	b = append(b, count(0x40, 40)...)
	return append(b, certificate(t)...)
}

func TestTheBytesOfATicketAreThoseOfItsComment(t *testing.T) {
	for name, c := range map[string]struct {
		recode func([]byte) ([]byte, error)
		bytes  []byte
	}{
		"contents": {node.RecodeContents, contents(t)}, "kept": {node.RecodeKept, kept(t)},
	} {
		got, err := c.recode(c.bytes)
		if err != nil || !bytes.Equal(got, c.bytes) {
			t.Errorf("%s: %v\n%s\n%s", name, err, hex.EncodeToString(got),
				hex.EncodeToString(c.bytes))
		}
		for n := range c.bytes {
			if _, err := c.recode(c.bytes[:n]); !errors.Is(err, node.ErrKept) {
				t.Errorf("%s cut to %d: %v", name, n, err)
			}
		}
		if _, err := c.recode(append(bytes.Clone(c.bytes), 0)); !errors.Is(err, node.ErrKept) {
			t.Errorf("%s with a byte behind: %v", name, err)
		}
	}
}

func fuzzKept(f *testing.F, recode func([]byte) ([]byte, error), sample []byte) {
	f.Helper()
	f.Add(sample)
	for _, n := range []int{0, 1, 36, 37, 54, 55, 60, len(sample) - 1} {
		f.Add(sample[:n])
	}
	for i := range 60 {
		b := bytes.Clone(sample)
		b[i] ^= 0xff
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := recode(b)
		switch {
		case err != nil && !errors.Is(err, node.ErrKept):
			t.Errorf("unknown error %v", err)
		case err == nil && !bytes.Equal(got, b):
			t.Errorf("encodes to % x", got)
		}
	})
}

func FuzzTicketContents(f *testing.F) { fuzzKept(f, node.RecodeContents, contents(f)) }
func FuzzKeptTicket(f *testing.F)     { fuzzKept(f, node.RecodeKept, kept(f)) }

func TestALinkIsWornByResumptionsOrByAWeekWithData(t *testing.T) {
	const hour, week = time.Hour, 7 * 24 * time.Hour
	const born, weekLater = 1000, 1000 + 7*86400
	for _, c := range []struct {
		count   uint8
		at      uint32
		before  time.Duration
		up      time.Duration
		seconds uint32
		data    bool
		want    bool
	}{
		{data: true, up: hour},
		{count: 63, up: hour, data: true},
		{count: 64, want: true},
		{up: week, data: true, want: true},
		{up: week, data: false},
		{up: week - 1, data: true},
		{before: week - hour, up: hour, data: true, want: true},
		{at: born, seconds: weekLater, up: hour, data: true, want: true},
		{at: born, seconds: weekLater - 1, up: hour, data: true},
		{at: born, seconds: weekLater, up: hour},
		{at: 0, seconds: weekLater, up: hour, data: true},
		{at: born, seconds: 0, up: hour, data: true},
		{at: weekLater, seconds: born, up: hour, data: true}, // the calendar went back
	} {
		if got := node.Worn(c.count, c.at, c.before, c.up, c.seconds, c.data); got != c.want {
			t.Errorf("%+v: worn %v", c, got)
		}
	}
}

func TestAPlaceIsAnIPv4AddressOrTheNetworkOfAnIPv6Address(t *testing.T) {
	at := func(s string) [8]byte { return node.Place(netip.MustParseAddr(s)) }
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"2001:db8::1", "2001:db8::ffff:1", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"fe80::1%eth0", "fe80::1%eth1", true},
	} {
		if got := at(c.a) == at(c.b); got != c.same {
			t.Errorf("%s and %s: same place %v", c.a, c.b, got)
		}
	}
	if node.Place(netip.Addr{}) != ([8]byte{}) {
		t.Error("no address has a place")
	}
}
