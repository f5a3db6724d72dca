// SPDX-License-Identifier: Apache-2.0

package conf

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAParentIsReadInEveryForm(t *testing.T) {
	for _, c := range []struct{ text, canonical string }{
		{"10.0.0.2", "10.0.0.2:9376"},
		{"10.0.0.2:1", "10.0.0.2:1"},
		{"::ffff:10.0.0.2", "10.0.0.2:9376"},
		{"Public.Example.ORG.", "public.example.org:9376"},
		{"public.example.org:9377", "public.example.org:9377"},
		{"my_router", "my_router:9376"},
		{"2001:db8::1", "[2001:db8::1]:9376"},
		{"[2001:db8::1]", "[2001:db8::1]:9376"},
		{"[2001:db8::1]:7", "[2001:db8::1]:7"},
		{"fe80::1%eth0", "[fe80::1%eth0]:9376"},
		{idA + "@10.0.0.2", idA + "@10.0.0.2:9376"},
		{strings.ToUpper(idA) + "@[::1]:3", idA + "@[::1]:3"},
	} {
		p, err := ParseParent(c.text)
		if err != nil || p.String() != c.canonical {
			t.Errorf("%s became %s, %v; want %s", c.text, p, err, c.canonical)
		}
		again, err := ParseParent(p.String())
		if err != nil || again != p {
			t.Errorf("%s became %v, %v", p, again, err)
		}
	}
}

func TestAParentThatCannotBeReachedIsRefused(t *testing.T) {
	for _, text := range []string{
		"", ":9376", "host:", "host:x", "host:0", "host:65536", "host:+1", "host:01",
		"0.0.0.0", "[::]", "224.0.0.1", "999.1.1.1", "1.2.3", "-a", "a..b", "a b",
		"2001:db8::1:", "2001:db8:::1:5", "[10.0.0.1]:5", "[x]", "[::1", "x@host", "@host",
		idA + "@", strings.Repeat("a.", 127) + "a",
	} {
		if p, err := ParseParent(text); err == nil {
			t.Errorf("%q was read as %s", text, p)
		}
	}
}

func TestAParentKnowsWhetherItIsAnAddress(t *testing.T) {
	p, _ := ParseParent("10.0.0.2:5")
	if a, ok := p.Addr(); !ok || a != netip.MustParseAddrPort("10.0.0.2:5") {
		t.Errorf("got %v, %v", a, ok)
	}
	p, _ = ParseParent("host")
	if a, ok := p.Addr(); ok {
		t.Errorf("a host name has the address %v", a)
	}
}

func TestATunnelFileIsReadAndWritten(t *testing.T) {
	text := "certificate = camera-certificate.txt\n" +
		"private-key = /secret/camera-private-key.txt # kept apart\n" +
		"external-ip-address = 192.168.1.20\n" +
		"dns-names = Camera1, camera2\n" +
		"static-addr = 10.115.3.4\n"
	got, err := ParseTunnel([]byte(text), "/etc/mcc/tunnels/camera.conf", "/etc/mcc/tunnels")
	if err != nil {
		t.Fatal(err)
	}
	want := &Tunnel{
		Name:        "camera",
		File:        "/etc/mcc/tunnels/camera.conf",
		Certificate: "/etc/mcc/tunnels/camera-certificate.txt",
		PrivateKey:  "/secret/camera-private-key.txt",
		External:    netip.MustParseAddr("192.168.1.20"),
		Names:       []string{"camera1", "camera2"},
		Static:      netip.MustParseAddr("10.115.3.4"),
	}
	if diff := cmp.Diff(want, got, cmpConfig); diff != "" {
		t.Error(diff)
	}
	again, err := ParseTunnel(got.Format(), got.File, "/etc/mcc/tunnels")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, again, cmpConfig); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(string(got.Format()), "certificate = camera-certificate.txt\n") {
		t.Errorf("paths beside the file are not relative:\n%s", got.Format())
	}
}

func TestATunnelFileWithoutItsKeysIsRefused(t *testing.T) {
	_, err := ParseTunnel([]byte("targets = tcp:80\nstatic-addr = 1.2.3.4\n"), "x y.conf", "/t")
	var list *ProblemList
	if !errors.As(err, &list) || len(list.Problems) != 5 {
		t.Fatalf("got %v", err)
	}
	if !strings.Contains(err.Error(), "certificate is missing") {
		t.Errorf("got %v", err)
	}
}

func TestAnExternalAddressIsPrivateAndOutsideTheOverlay(t *testing.T) {
	c := Default("/etc/mcc")
	for _, good := range []string{
		"10.0.0.1", "172.31.0.1", "192.168.1.1", "fd00::1", "fe80::1%eth0",
	} {
		a, err := ParseExternal(good)
		if err != nil || !a.IsValid() {
			t.Errorf("%s: %v, %v", good, a, err)
		}
		if err := c.CheckExternal(a); err != nil {
			t.Errorf("%s: %v", good, err)
		}
		if formatExternal(a) != good {
			t.Errorf("%s became %s", good, formatExternal(a))
		}
	}
	for _, none := range []string{"0.0.0.0", "::"} {
		if a, err := ParseExternal(none); err != nil || a.IsValid() {
			t.Errorf("%s: %v, %v", none, a, err)
		}
	}
	for _, bad := range []string{
		"", "x", "8.8.8.8", "127.0.0.1", "169.254.1.1", "172.32.0.1", "2001:db8::1", "::1",
		"fe80::1", "::ffff:10.0.0.1", "10.0.0.1/8", "fd00::1%eth0",
	} {
		if a, err := ParseExternal(bad); err == nil {
			t.Errorf("%s was read as %v", bad, a)
		}
	}
	for _, inside := range []string{"10.83.0.1", "10.115.0.1", "200::1"} {
		if c.CheckExternal(netip.MustParseAddr(inside)) == nil {
			t.Errorf("%s is inside the overlay", inside)
		}
	}
	err := c.CheckExternal(netip.MustParseAddr("fe80::1%" + c.Device.Name))
	if err == nil || !strings.Contains(err.Error(), "name the interface of the LAN") {
		t.Errorf("a device on the overlay's own interface: %v", err)
	}
}

func TestStaticAddressesStayInTheirRange(t *testing.T) {
	a, err := ParseStatic("10.115.0.1/16")
	if err != nil || a != netip.MustParseAddr("10.115.0.1") {
		t.Errorf("got %v, %v", a, err)
	}
	if a, err = ParseStatic("10.115.0.0/16"); err != nil || a.IsValid() {
		t.Errorf("got %v, %v", a, err)
	}
}

func FuzzParseParent(f *testing.F) {
	for _, s := range []string{
		"10.0.0.1", "h:1", "[::1]:2", idA + "@h", "::1", "a@b", "[::1", "h:99999", "a..b",
		"[1.2.3.4]", "a:b:1", "224.0.0.1", "fe80::1%e",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParseParent(s)
		if err != nil {
			return
		}
		if again, err := ParseParent(p.String()); err != nil || again != p {
			t.Fatalf("%q became %q, then %v, %v", s, p, again, err)
		}
	})
}

func FuzzParseTunnel(f *testing.F) {
	f.Add([]byte("certificate = c\nprivate-key = k\n"))
	f.Add([]byte("certificate = /c\nprivate-key = ../k\nexternal-ip-address = fe80::1%x\n" +
		"dns-names = a, b\nstatic-addr = 10.115.1.1\n"))
	f.Add([]byte("external-ip-address = 1.1.1.1\ndns-names = wpad\nstatic-addr = x\ny"))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := ParseTunnel(data, "/t/n.conf", "/t")
		if err != nil {
			return
		}
		b, err := ParseTunnel(a.Format(), "/t/n.conf", "/t")
		if err != nil {
			t.Fatalf("%v\n%s", err, a.Format())
		}
		if diff := cmp.Diff(a, b, cmpConfig); diff != "" {
			t.Fatal(diff)
		}
	})
}
