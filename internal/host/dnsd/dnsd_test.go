// SPDX-License-Identifier: Apache-2.0

package dnsd_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"staex/internal/host/dnsd"
)

// book is a Resolver of a few names.
type book map[string][2]netip.Addr

func (b book) Lookup(name string) (v4, v6 netip.Addr, ok bool) {
	a, ok := b[name]
	return a[0], a[1], ok
}

func (b book) Reverse(a netip.Addr) (string, bool) {
	for name, addrs := range b {
		if a == addrs[0] || a == addrs[1] {
			return name, true
		}
	}
	return "", false
}

var (
	v4    = netip.MustParseAddr("10.83.0.10")
	v6    = netip.MustParseAddr("200::a:b")
	only4 = netip.MustParseAddr("10.83.0.11")

	names = book{
		"node1":            {v4, v6},
		"light1":           {only4},
		"camera1.othernet": {netip.MustParseAddr("10.83.0.12")},
	}

	config = dnsd.Config{
		Suffix: ".home.arpa", TTL: 30 * time.Second,
		Ranges: []netip.Prefix{
			netip.MustParsePrefix("10.83.0.0/16"), netip.MustParsePrefix("200::/7"),
		},
	}
)

const (
	typeA    = dnsmessage.TypeA
	typeAAAA = dnsmessage.TypeAAAA
	typePTR  = dnsmessage.TypePTR

	// rev6 is the reverse name of v6.
	rev6 = "b.0.0.0.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.ip6.arpa."
)

// query packs a question with what a stub resolver sends along.
func query(t testing.TB, name string, typ dnsmessage.Type, edns uint16) []byte {
	t.Helper()
	m := dnsmessage.Message{
		Header: dnsmessage.Header{ID: 4711, RecursionDesired: true},
		Questions: []dnsmessage.Question{{
			Name: dnsmessage.MustNewName(name), Type: typ, Class: dnsmessage.ClassINET,
		}},
	}
	if edns > 0 {
		var h dnsmessage.ResourceHeader
		if err := h.SetEDNS0(int(edns), 0, false); err != nil {
			t.Fatal(err)
		}
		m.Additionals = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.OPTResource{}}}
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func unpack(t testing.TB, b []byte) dnsmessage.Message {
	t.Helper()
	var m dnsmessage.Message
	if err := m.Unpack(b); err != nil {
		t.Fatalf("% x: %v", b, err)
	}
	return m
}

// text renders an answer in one line: the code and the records.
func text(m dnsmessage.Message) string {
	parts := []string{strings.TrimPrefix(m.RCode.String(), "RCode")}
	for _, a := range m.Answers {
		switch r := a.Body.(type) {
		case *dnsmessage.AResource:
			parts = append(parts, netip.AddrFrom4(r.A).String())
		case *dnsmessage.AAAAResource:
			parts = append(parts, netip.AddrFrom16(r.AAAA).String())
		case *dnsmessage.PTRResource:
			parts = append(parts, r.PTR.String())
		}
	}
	return strings.Join(parts, " ")
}

func TestEveryKindOfQuestionHasItsAnswer(t *testing.T) {
	for _, tc := range []struct {
		name string
		typ  dnsmessage.Type
		want string
	}{
		{"node1.home.arpa.", typeA, "Success 10.83.0.10"},
		{"node1.home.arpa.", typeAAAA, "Success 200::a:b"},
		{"NoDe1.HOME.arpa.", typeA, "Success 10.83.0.10"},
		{"node1.", typeA, "Success 10.83.0.10"},
		{"light1.", typeAAAA, "Success"},
		{"camera1.othernet.home.arpa.", typeA, "Success 10.83.0.12"},
		{"camera1.othernet.", typeA, "Refused"},
		{"node1.home.arpa.", dnsmessage.TypeMX, "Success"},
		{"node1.home.arpa.", dnsmessage.TypeALL, "Success"},
		{"home.arpa.", dnsmessage.TypeSOA, "Success"},
		{"nobody.home.arpa.", typeA, "NameError"},
		{"nobody.home.arpa.", dnsmessage.TypeMX, "NameError"},
		{"nobody.", typeA, "NameError"},
		{"example.com.", typeA, "Refused"},
		{"nothome.arpa.", typeA, "Refused"},
		{"arpa.", typeA, "NameError"},
		{".", dnsmessage.TypeNS, "Refused"},
		{"10.0.83.10.in-addr.arpa.", typePTR, "Success node1.home.arpa."},
		{"10.0.83.10.IN-ADDR.ARPA.", typePTR, "Success node1.home.arpa."},
		{"10.0.83.10.in-addr.arpa.", typeA, "Success"},
		{rev6, typePTR, "Success node1.home.arpa."},
		{"9.0.83.10.in-addr.arpa.", typePTR, "NameError"},
		{"8.8.8.8.in-addr.arpa.", typePTR, "Refused"},
		{"83.10.in-addr.arpa.", typePTR, "Refused"},
		{"010.0.83.10.in-addr.arpa.", typePTR, "Refused"},
		{"x." + rev6[2:], typePTR, "Refused"},
		{"bb" + rev6[2:], typePTR, "Refused"},
		{"1" + rev6, typePTR, "Refused"},
	} {
		for _, edns := range []uint16{0, 1232} {
			m := unpack(t, dnsd.Answer(query(t, tc.name, tc.typ, edns), names, config))
			if got := text(m); got != tc.want {
				t.Errorf("%s %v: %q, want %q", tc.name, tc.typ, got, tc.want)
			}
			if m.ID != 4711 || !m.Response || !m.RecursionDesired || m.Truncated ||
				len(m.Questions) != 1 || m.Questions[0].Name.String() != tc.name {
				t.Errorf("%s: header %v, questions %v", tc.name, m.Header, m.Questions)
			}
			if m.Authoritative != (tc.want != "Refused") {
				t.Errorf("%s: authoritative is %v", tc.name, m.Authoritative)
			}
			if (len(m.Additionals) == 1) != (edns > 0) {
				t.Errorf("%s: %d additional records", tc.name, len(m.Additionals))
			}
			for _, a := range m.Answers {
				if a.Header.TTL != 30 || a.Header.Name.String() != tc.name {
					t.Errorf("%s: answer %v", tc.name, a.Header)
				}
			}
		}
	}
}

func TestWithoutADomainOnlyBareLabelsAreOurs(t *testing.T) {
	bare := dnsd.Config{}
	for name, want := range map[string]string{
		"node1.": "Success 10.83.0.10", "node1.home.arpa.": "Refused", ".": "Refused",
		"nobody.": "NameError",
	} {
		if got := text(unpack(t, dnsd.Answer(query(t, name, typeA, 0), names, bare))); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	m := unpack(t, dnsd.Answer(query(t, "10.0.83.10.in-addr.arpa.", typePTR, 0), names, bare))
	if got := text(m); got != "Success node1." {
		t.Errorf("reverse: %q", got)
	}
}

func TestQueriesThatAreNotQuestionsAreAnsweredAsSuch(t *testing.T) {
	good := query(t, "node1.", typeA, 1232)
	change := func(at int, to ...byte) []byte {
		b := bytes.Clone(good)
		copy(b[at:], to)
		return b
	}
	for _, tc := range []struct {
		name  string
		query []byte
		want  string
	}{
		{"nothing", nil, "silence"},
		{"half a header", good[:11], "silence"},
		{"an answer", change(2, 0x80), "silence"},
		{"an update", change(2, 5<<3), "NotImplemented"},
		{"no question", change(4, 0, 0), "FormatError"},
		{"two questions", change(4, 0, 2), "FormatError"},
		{"257 questions", change(4, 1, 1), "FormatError"},
		{"a cut question", good[:15], "FormatError"},
		{"answers that are not there", change(6, 0, 2), "FormatError"},
		{"two EDNS records", append(change(10, 0, 2), good[len(good)-11:]...), "FormatError"},
		{"another class", change(len(good)-11-1, 3), "Refused"},
		{"any class", change(len(good)-11-1, 255), "Success 10.83.0.10"},
		{"EDNS of the future", change(len(good)-5, 1), "Success"}, // low bits of BADVERS
	} {
		reply := dnsd.Answer(tc.query, names, config)
		if reply == nil {
			if tc.want != "silence" {
				t.Errorf("%s: silence, want %s", tc.name, tc.want)
			}
			continue
		}
		m := unpack(t, reply)
		if got := text(m); got != tc.want || m.ID != 4711 {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
		if tc.name == "EDNS of the future" &&
			m.Additionals[0].Header.ExtendedRCode(m.RCode) != 16 {
			t.Errorf("%s: %v, want BADVERS", tc.name, m.Additionals[0].Header)
		}
	}
}

// long is a Resolver with the longest name there can be.
type long struct{ book }

func (long) Reverse(netip.Addr) (string, bool) {
	return strings.Repeat(strings.Repeat("x", 60)+".", 3) + strings.Repeat("y", 60), true
}

func TestTheLongestAnswerFitsEveryClient(t *testing.T) {
	cfg := dnsd.Config{Suffix: "z"}
	for _, q := range [][]byte{query(t, rev6, typePTR, 0), query(t, rev6, typePTR, 4096)} {
		reply := dnsd.Answer(q, long{}, cfg)
		if m := unpack(t, reply); len(m.Answers) != 1 || len(reply) > dnsd.MaxAnswer {
			t.Errorf("%d bytes with %d answers", len(reply), len(m.Answers))
		}
	}
	server := start(t, long{}, cfg)
	got := exchangeTCP(t, server, query(t, rev6, typePTR, 0))
	if len(unpack(t, got).Answers) != 1 {
		t.Error("TCP lost the answer")
	}
}

func start(t *testing.T, r dnsd.Resolver, cfg dnsd.Config) netip.AddrPort {
	t.Helper()
	s, err := dnsd.Listen(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { s.Serve(r, cfg) })
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait() // a Serve that does not end fails the test by its deadline
	})
	return s.Addr()
}

func exchangeTCP(t *testing.T, server netip.AddrPort, query []byte) []byte {
	t.Helper()
	c, err := net.Dial("tcp", server.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	out := binary.BigEndian.AppendUint16(nil, uint16(len(query)))
	if _, err := c.Write(append(out, query...)); err != nil {
		t.Fatal(err)
	}
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		t.Fatal(err)
	}
	reply := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, reply); err != nil {
		t.Fatal(err)
	}
	return reply
}

func TestARealResolverFindsNamesAndAddresses(t *testing.T) {
	server := start(t, names, config)
	for _, network := range []string{"udp", "tcp"} {
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server.String())
		}
		r := net.Resolver{PreferGo: true, Dial: dial}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		addrs, err := r.LookupNetIP(ctx, "ip", "node1.home.arpa.")
		for i := range addrs {
			addrs[i] = addrs[i].Unmap()
		}
		slices.SortFunc(addrs, netip.Addr.Compare)
		if err != nil || !slices.Equal(addrs, []netip.Addr{v4, v6}) {
			t.Errorf("%s: node1 is at %v (%v)", network, addrs, err)
		}
		found, err := r.LookupAddr(ctx, v6.String())
		if err != nil || !slices.Equal(found, []string{"node1.home.arpa."}) {
			t.Errorf("%s: %v is %v (%v)", network, v6, found, err)
		}
		_, err = r.LookupHost(ctx, "nobody.home.arpa.")
		if dns := (*net.DNSError)(nil); !errors.As(err, &dns) || !dns.IsNotFound {
			t.Errorf("%s: an unknown name gives %v", network, err)
		}
	}
}

func TestDigIsAnswered(t *testing.T) {
	if _, err := exec.LookPath("dig"); err != nil {
		t.Skip("dig is not installed; type: apt-get install dnsutils")
	}
	server := start(t, names, config)
	for _, tc := range []struct{ args, want string }{
		{"+short node1.home.arpa A", "10.83.0.10\n"},
		{"+short +tcp node1.home.arpa AAAA", "200::a:b\n"},
		{"+short -x 10.83.0.10", "node1.home.arpa.\n"},
		{"+noall +comments +noedns example.com", "status: REFUSED"},
		{"+noall +comments nobody.home.arpa", "status: NXDOMAIN"},
	} {
		port := strconv.Itoa(int(server.Port()))
		args := append(strings.Fields(tc.args), "@127.0.0.1", "-p", port)
		out, err := exec.CommandContext(t.Context(), "dig", args...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), tc.want) {
			t.Errorf("dig %s: %v\n%s", tc.args, err, out)
		}
	}
}

func TestAConnectionCarriesSeveralQueriesAndEndsWithTheServer(t *testing.T) {
	s, err := dnsd.Listen(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		s.Serve(names, config)
		close(done)
	}()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	q := query(t, "node1.", typeA, 0)
	framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(q))), q...)
	if _, err := c.Write(append(framed, framed...)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			t.Fatal(err)
		}
		reply := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, reply); err != nil {
			t.Fatal(err)
		}
		if got := text(unpack(t, reply)); got != "Success 10.83.0.10" {
			t.Errorf("got %q", got)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	<-done
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection outlived the server")
	}
}

func TestATakenAddressIsAnError(t *testing.T) {
	server := start(t, names, config)
	if _, err := dnsd.Listen(server); err == nil {
		t.Error("two servers share an address")
	}
}

func FuzzAnswer(f *testing.F) {
	good := query(f, "node1.home.arpa.", typeA, 1232)
	f.Add(good)
	f.Add(query(f, "node1.", typeAAAA, 0))
	f.Add(query(f, "10.0.83.10.in-addr.arpa.", typePTR, 0))
	f.Add(query(f, rev6, typePTR, 512))
	f.Add(query(f, "example.com.", dnsmessage.TypeMX, 0))
	f.Add(query(f, ".", dnsmessage.TypeNS, 0))
	for n := range good {
		f.Add(good[:n])
	}
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 0xff
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, q []byte) {
		before := bytes.Clone(q)
		reply := dnsd.Answer(q, names, config)
		if !bytes.Equal(q, before) {
			t.Fatal("the query was changed")
		}
		if reply == nil {
			return
		}
		m := unpack(t, reply)
		if !m.Response || m.ID != binary.BigEndian.Uint16(q) || len(m.Answers) > 1 ||
			len(reply) > dnsd.MaxAnswer {
			t.Errorf("answer of %d bytes with header %v", len(reply), m.Header)
		}
		if dnsd.Answer(reply, names, config) != nil {
			t.Error("an answer was answered")
		}
	})
}
