// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netif_test

import (
	"errors"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"staex/internal/host/hosttest"
	"staex/internal/host/netif"
)

func prefixes(s ...string) (p []netip.Prefix) {
	for _, x := range s {
		p = append(p, netip.MustParsePrefix(x))
	}
	return p
}

// device runs a test in a namespace that has one idle device.
func device(t *testing.T, name string, test func()) {
	t.Helper()
	hosttest.NewNamespace(t).Do(t, func() {
		addDummy(t, name)
		test()
	})
}

func addDummy(t testing.TB, name string) {
	t.Helper()
	attrs := netlink.LinkAttrs{Name: name}
	err := netlink.LinkAdd(&netlink.Dummy{LinkAttrs: attrs})
	if errors.Is(err, syscall.EOPNOTSUPP) {
		err = netlink.LinkAdd(&netlink.Tuntap{LinkAttrs: attrs, Mode: netlink.TUNTAP_MODE_TUN})
	}
	if errors.Is(err, syscall.EOPNOTSUPP) {
		t.Skip("this kernel has no dummy devices; type: modprobe dummy")
	}
	if err != nil {
		t.Fatal(err)
	}
}

// state writes down what a device has, one fact a line.
func state(t *testing.T, name string) string {
	t.Helper()
	link, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{link.Attrs().Flags.String()}
	addrs, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		lines = append(lines, "addr "+a.IPNet.String())
	}
	routes, err := netif.Routes()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range routes {
		if r.Device == name {
			lines = append(lines, "route "+r.Prefix.String())
		}
	}
	slices.Sort(lines[1:])
	return strings.Join(lines, "\n")
}

func TestUpGivesAddressesAndRoutesAndDownTakesThemBack(t *testing.T) {
	device(t, "d0", func() {
		before := state(t, "d0")
		l, err := netif.Up("d0", 1380,
			prefixes("10.83.0.1/32", "10.115.0.1/16", "fd00::1/128"),
			prefixes("10.83.0.0/16", "10.115.0.0/16", "200::/7"))
		if err != nil {
			t.Fatal(err)
		}
		want := []string{
			"addr 10.115.0.1/16", "addr 10.83.0.1/32", "addr fd00::1/128",
			"route 10.115.0.0/16", "route 10.83.0.0/16", "route 200::/7", "route fd00::1/128",
		}
		got := strings.Split(state(t, "d0"), "\n")
		if !strings.Contains(got[0], "up") || !slices.Equal(got[1:], want) {
			t.Errorf("up, the device has\n%s", strings.Join(got, "\n"))
		}
		link, err := netlink.LinkByName("d0")
		if err != nil {
			t.Fatal(err)
		}
		a := link.Attrs()
		if a.MTU != 1380 || a.GSOMaxSize != netif.GSOMaxSize {
			t.Errorf("MTU %d, GSO %d, want 1380 and %d", a.MTU, a.GSOMaxSize, netif.GSOMaxSize)
		}
		if err := l.Down(); err != nil {
			t.Fatal(err)
		}
		if after := state(t, "d0"); after != before {
			t.Errorf("down, the device has\n%s\nand had\n%s", after, before)
		}
	})
}

func TestDownLeavesWhatOthersMade(t *testing.T) {
	device(t, "d0", func() {
		theirs, err := netif.Up("d0", 0, prefixes("10.83.0.1/32"), prefixes("10.83.0.0/16"))
		if err != nil {
			t.Fatal(err)
		}
		before := state(t, "d0")
		ours, err := netif.Up("d0", 0, prefixes("10.83.0.1/32", "10.84.0.1/32"),
			prefixes("10.83.0.0/16"))
		if err != nil {
			t.Fatal(err)
		}
		if err := ours.DelRoute(prefixes("10.83.0.0/16")[0]); err != nil {
			t.Fatal(err)
		}
		if err := ours.Down(); err != nil {
			t.Fatal(err)
		}
		if after := state(t, "d0"); after != before {
			t.Errorf("the device has\n%s\nand had\n%s", after, before)
		}
		if err := theirs.Down(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestARouteOfAnotherDeviceIsAnErrorAndUndone(t *testing.T) {
	device(t, "d0", func() {
		addDummy(t, "d1")
		if _, err := netif.Up("d0", 0, nil, prefixes("10.83.0.0/16")); err != nil {
			t.Fatal(err)
		}
		before := state(t, "d1")
		_, err := netif.Up("d1", 0, prefixes("10.9.0.1/32"), prefixes("10.83.0.0/16"))
		if !errors.Is(err, syscall.EEXIST) {
			t.Errorf("got %v, want EEXIST", err)
		}
		if after := state(t, "d1"); after != before {
			t.Errorf("the device has\n%s\nand had\n%s", after, before)
		}
	})
}

func TestRoutesComeAndGoWhileTheDeviceIsUp(t *testing.T) {
	device(t, "d0", func() {
		l, err := netif.Up("d0", 0, prefixes("10.83.0.1/32"), nil)
		if err != nil {
			t.Fatal(err)
		}
		before := state(t, "d0")
		p := prefixes("192.0.2.7/32")[0]
		if err := errors.Join(l.AddRoute(p), l.AddRoute(p)); err != nil {
			t.Fatal(err)
		}
		if name, err := netif.DeviceTo(p.Addr()); name != "d0" || err != nil {
			t.Errorf("the way to %v is %q (%v), want d0", p.Addr(), name, err)
		}
		if err := errors.Join(l.DelRoute(p), l.DelRoute(p)); err != nil {
			t.Fatal(err)
		}
		if _, err := netif.DeviceTo(p.Addr()); !errors.Is(err, syscall.ENETUNREACH) {
			t.Errorf("without the route got %v, want ENETUNREACH", err)
		}
		if after := state(t, "d0"); after != before {
			t.Errorf("the device has\n%s\nand had\n%s", after, before)
		}
	})
}

func TestADeviceThatVanishedIsNoErrorAtTheEnd(t *testing.T) {
	device(t, "d0", func() {
		l, err := netif.Up("d0", 0, prefixes("10.83.0.1/32"), prefixes("10.83.0.0/16"))
		if err != nil {
			t.Fatal(err)
		}
		link, err := netlink.LinkByName("d0")
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkDel(link); err != nil {
			t.Fatal(err)
		}
		if err := l.Down(); err != nil {
			t.Error(err)
		}
		if _, err := netif.Up("d0", 0, nil, nil); err == nil {
			t.Error("a device that is not there was brought up")
		}
	})
}

func TestForwardingIsEnabledOnceAndRestored(t *testing.T) {
	device(t, "d0", func() {
		value := func() string {
			raw, err := os.ReadFile("/proc/sys/net/ipv4/conf/d0/forwarding")
			if err != nil {
				t.Fatal(err)
			}
			return strings.TrimSpace(string(raw))
		}
		before := value()
		var f netif.Forwarding
		for range 2 { // the second answer still tells about the time before us
			if was, err := f.Before("d0", false); err != nil || was != (before == "1") {
				t.Fatalf("was %v (%v), want %s", was, err, before)
			}
			if err := f.Enable("d0", false); err != nil {
				t.Fatal(err)
			}
		}
		if value() != "1" {
			t.Error("the device does not forward")
		}
		if err := f.Restore(); err != nil {
			t.Fatal(err)
		}
		if value() != before {
			t.Errorf("the setting is %s and was %s", value(), before)
		}
		for _, bad := range []string{"", ".", "..", "all/../d0", "a b"} {
			if f.Enable(bad, false) == nil {
				t.Errorf("device name %q was accepted", bad)
			}
		}
	})
}

func TestIPv6IsForwardedForOneDeviceOrNotAtAll(t *testing.T) {
	device(t, "d0", func() {
		var f netif.Forwarding
		err := f.Enable("d0", true)
		if err != nil && !errors.Is(err, netif.ErrNoForwarding) {
			t.Fatal(err)
		}
		all, err := os.ReadFile("/proc/sys/net/ipv6/conf/all/forwarding")
		if err == nil && strings.TrimSpace(string(all)) != "0" {
			t.Error("the whole machine became a router")
		}
		if err := f.Restore(); err != nil {
			t.Error(err)
		}
	})
}
