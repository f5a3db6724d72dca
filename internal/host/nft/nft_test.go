// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nft_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/google/nftables"

	"staex/internal/host/hosttest"
	"staex/internal/host/nft"
)

func TestATargetAnswersOverUDPInTheGatewaysName(t *testing.T) {
	w := newWorld(t)
	w.set(t, target(17, 5000))
	server, other := listen(t, w.lan, lanIP, 5000), listen(t, w.lan, lanIP, otherPort)
	client := listen(t, w.client, clientIP, 0)

	send(t, client, lanIP, otherPort, "not allowed")
	send(t, client, lanIP, 5000, "hello")
	from := expect(t, server, "hello")
	if from.IP.String() != lanGate {
		t.Errorf("the target sees %v, want the gateway", from)
	}
	silent(t, other, "a port no rule names")

	if _, err := server.WriteToUDP([]byte("welcome"), from); err != nil {
		t.Fatal(err)
	}
	if peer := expect(t, client, "welcome"); peer.String() != lanIP+":5000" {
		t.Errorf("the client sees %v, want the target", peer)
	}

	w.set(t) // takes effect on what is flowing already
	if _, err := server.WriteToUDP([]byte("too late"), from); err != nil {
		t.Fatal(err)
	}
	send(t, client, lanIP, 5000, "too late")
	w.settle(t, w.lan, lanIP)
	silent(t, client, "an answer after the rule was taken back")
	silent(t, server, "a packet after the rule was taken back")
}

func TestATargetAnswersOverIPv6(t *testing.T) {
	w := newWorld(t)
	const clientIP, lanIP, lanGate = "fd00:9::9", "fd00:7::2", "fd00:7::1"
	w.client.Do(t, func() {
		addAddress(t, tunName, clientIP+"/128")
		addRoute(t, tunName, "fd00:7::/64")
	})
	w.gateway.Do(t, func() {
		addAddress(t, "lan", lanGate+"/64")
		addRoute(t, tunName, "fd00:9::/64")
		routeIPv6(t)
	})
	w.lan.Do(t, func() { addAddress(t, "eth0", lanIP+"/64") })
	allowed := target(17, 5000)
	allowed.Target = netip.MustParseAddr(lanIP)
	w.set(t, allowed)
	server, other := listen(t, w.lan, lanIP, 5000), listen(t, w.lan, lanIP, otherPort)
	client := listen(t, w.client, clientIP, 0)
	send(t, client, lanIP, otherPort, "not allowed")
	send(t, client, lanIP, 5000, "hello")
	from := expect(t, server, "hello")
	if from.IP.String() != lanGate {
		t.Errorf("the target sees %v, want the gateway", from)
	}
	silent(t, other, "a port no rule names")
	if _, err := server.WriteToUDP([]byte("welcome"), from); err != nil {
		t.Fatal(err)
	}
	expect(t, client, "welcome")
}

func TestATargetAnswersOverTCP(t *testing.T) {
	w := newWorld(t)
	w.set(t, target(6, 8000))
	var ln net.Listener
	w.lan.Do(t, func() {
		var err error
		if ln, err = net.Listen("tcp4", lanIP+":8000"); err != nil {
			t.Fatal(err)
		}
	})
	defer ln.Close()
	go func() { // the target sends back the digest of everything it got
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		h := sha256.New()
		_, _ = io.Copy(h, c)
		_, _ = c.Write(h.Sum(nil))
	}()
	var c net.Conn
	w.client.Do(t, func() {
		var err error
		if c, err = net.DialTimeout("tcp4", lanIP+":8000", patience); err != nil {
			t.Fatal(err)
		}
	})
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	sent := bytes.Repeat([]byte("overlay "), 1<<17) // 1 MiB, so super-packets pass
	if _, err := c.Write(sent); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	want := sha256.Sum256(sent)
	if err != nil || !bytes.Equal(got, want[:]) {
		t.Errorf("the target answered % x (%v), want the digest % x", got, err, want)
	}
}

func TestErrorsAboutAConnectionFindTheirWayBack(t *testing.T) {
	w := newWorld(t)
	w.set(t, target(17, 5000)) // where nobody listens
	var c net.Conn
	w.client.Do(t, func() {
		var err error
		if c, err = net.Dial("udp4", lanIP+":5000"); err != nil {
			t.Fatal(err)
		}
	})
	refused(t, c)
}

// refused checks that what is written to a connection comes back as an ICMP error, and closes it.
func refused(t *testing.T, c net.Conn) {
	t.Helper()
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("anybody?")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 10)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v, want ECONNREFUSED from the other end's ICMP", err)
	}
}

func TestATargetHearsThatNobodyListensAnyMore(t *testing.T) {
	w := newWorld(t)
	w.set(t, target(17, 5000))
	server, client := listen(t, w.lan, lanIP, 5000), listen(t, w.client, clientIP, 0)
	send(t, client, lanIP, 5000, "hello")
	from := expect(t, server, "hello")
	server.Close()
	client.Close()
	var c net.Conn
	w.lan.Do(t, func() {
		var err error
		local := &net.UDPAddr{IP: net.ParseIP(lanIP), Port: 5000}
		if c, err = net.DialUDP("udp4", local, from); err != nil {
			t.Fatal(err)
		}
	})
	refused(t, c)
}

func TestNobodyOutsideOpensAConnectionIntoTheOverlay(t *testing.T) {
	w := newWorld(t)
	client := listen(t, w.client, clientIP, 6000)
	outside := listen(t, w.lan, lanIP, 5000)
	send(t, outside, clientIP, 6000, "hello")
	expect(t, client, "hello") // without rules the gateway is a plain router

	w.set(t, target(17, 5000))
	send(t, outside, clientIP, 6000, "from the target's own port")
	w.settle(t, w.lan, lanIP)
	silent(t, client, "a connection opened by the target")
}

func TestOverlayAddressesFromAnotherDeviceAreDropped(t *testing.T) {
	w := newWorld(t)
	gate, client := listen(t, w.gateway, "0.0.0.0", 5000), listen(t, w.client, clientIP, 6000)
	w.lan.Do(t, func() { addAddress(t, "eth0", "10.115.0.50/32") })
	forged, honest := listen(t, w.lan, "10.115.0.50", 0), listen(t, w.lan, lanIP, 0)

	send(t, forged, lanGate, 5000, "forged")
	expect(t, gate, "forged") // without a guard it gets in

	w.protect(t, nft.Guard{Tun: tunName, Ranges: []netip.Prefix{netip.MustParsePrefix(overlay)}})
	send(t, forged, lanGate, 5000, "forged")
	send(t, honest, clientIP, 6000, "into the overlay")
	send(t, honest, "10.115.0.1", 5000, "to the gateway's overlay address")
	send(t, honest, lanGate, 5000, "honest")
	expect(t, gate, "honest")
	silent(t, gate, "a forged or misdirected packet")
	silent(t, client, "a packet from outside the overlay")

	send(t, client, "10.115.0.1", 5000, "by the device")
	expect(t, gate, "by the device")
	local := listen(t, w.gateway, "10.115.0.1", 0)
	send(t, local, "10.115.0.1", 5000, "by loopback")
	expect(t, gate, "by loopback")
}

func TestOverlayPacketsDoNotLeaveInClearWithoutTheDevice(t *testing.T) {
	w := newWorld(t)
	w.protect(t, nft.Guard{Tun: tunName, Ranges: []netip.Prefix{netip.MustParsePrefix(overlay)}})
	w.lan.Do(t, func() { addAddress(t, "eth0", "10.115.0.50/32") })
	w.gateway.Do(t, func() { addRoute(t, "lan", "10.115.0.50/32") }) // more specific than the TUN's
	leak := listen(t, w.lan, "10.115.0.50", 5000)
	gate := listen(t, w.gateway, lanGate, 0)
	_, err := gate.WriteToUDP([]byte("secret"), leak.LocalAddr().(*net.UDPAddr))
	if !errors.Is(err, syscall.EPERM) {
		t.Errorf("the kernel says %v, want EPERM from the rule", err)
	}
	silent(t, leak, "a packet of the overlay on the cable")
}

func TestForwardingForUsOpensNoOtherWay(t *testing.T) {
	w := newWorld(t)
	wan, lan := listen(t, w.wan, wanIP, 5000), listen(t, w.lan, lanIP, 0)
	send(t, lan, wanIP, 5000, "through")
	expect(t, wan, "through") // what switching on forwarding for lan made possible

	w.set(t, target(17, 6000))
	w.confine(t, nft.Confined{Device: "lan"})
	send(t, lan, wanIP, 5000, "through")
	w.settle(t, w.lan, lanIP)
	w.settle(t, w.wan, wanIP)
	silent(t, wan, "a packet between two devices that are not ours")

	server, client := listen(t, w.lan, lanIP, 6000), listen(t, w.client, clientIP, 0)
	send(t, client, lanIP, 6000, "still open")
	from := expect(t, server, "still open")
	if _, err := server.WriteToUDP([]byte("and back"), from); err != nil {
		t.Fatal(err)
	}
	expect(t, client, "and back")
}

func TestOnlyOurOwnTableIsReplacedAndRemoved(t *testing.T) {
	hosttest.NewNamespace(t).Do(t, func() {
		conn, err := nftables.New()
		if err != nil {
			t.Fatal(err)
		}
		conn.AddTable(&nftables.Table{Name: "theirs", Family: nftables.TableFamilyINet})
		if err := conn.Flush(); err != nil {
			t.Fatal(err)
		}
		crashed, err := nft.Open("staex")
		if err != nil {
			t.Fatal(err)
		}
		if err := crashed.Set([]nft.External{target(17, 5000)}); err != nil {
			t.Fatal(err)
		}
		n, err := nft.Open("staex")
		if err != nil {
			t.Fatal(err)
		}
		// The rule keeps connections to targets tracked.
		if names := tables(t, conn); names != "theirs staex:1" {
			t.Errorf("after a crash there is %q, want a table of ours with one rule", names)
		}
		if err := errors.Join(n.Close(), n.Close()); err != nil {
			t.Error(err)
		}
		if names := tables(t, conn); names != "theirs" {
			t.Errorf("after Close there is %q", names)
		}
	})
}

func TestATableIsMadeWithItsGuards(t *testing.T) {
	hosttest.NewNamespace(t).Do(t, func() {
		conn, err := nftables.New()
		if err != nil {
			t.Fatal(err)
		}
		g := nft.Guard{Tun: tunName, Ranges: []netip.Prefix{netip.MustParsePrefix(overlay)}}
		n, err := nft.Open("staex", g)
		if err != nil {
			t.Fatal(err)
		}
		made := tables(t, conn)
		if err := n.Protect([]nft.Guard{g}); err != nil {
			t.Fatal(err)
		}
		if later := tables(t, conn); made != later || made == "staex:0" {
			t.Errorf("opened with a guard there is %q, protected later %q", made, later)
		}
		g.Tun = ""
		if _, err := nft.Open("staex", g); !errors.Is(err, nft.ErrRule) {
			t.Errorf("a guard without a device: %v", err)
		}
	})
}

func TestManyTargetsFitOneTransaction(t *testing.T) {
	hosttest.NewNamespace(t).Do(t, func() {
		n, err := nft.Open("staex")
		if err != nil {
			t.Fatal(err)
		}
		var all []nft.External
		for i := range 3000 {
			hi, lo := byte(i>>8), byte(i)
			v4, v6 := [4]byte{10, 1, hi, lo}, [16]byte{0xfd, 14: hi, 15: lo}
			all = append(all,
				nft.External{Tun: tunName, Target: netip.AddrFrom4(v4), Proto: 6, Port: 80},
				nft.External{Tun: tunName, Target: netip.AddrFrom16(v6), Proto: 17, Port: 53})
		}
		if err := n.Set(append(all, all...)); err != nil { // repeats are no error
			t.Fatal(err)
		}
	})
}

func TestRulesThatMakeNoSenseAreRefused(t *testing.T) {
	hosttest.NewNamespace(t).Do(t, func() {
		for _, name := range []string{"", "1a", "a-b", "A", "a b"} {
			if _, err := nft.Open(name); !errors.Is(err, nft.ErrRule) {
				t.Errorf("table name %q: %v", name, err)
			}
		}
		n, err := nft.Open("staex")
		if err != nil {
			t.Fatal(err)
		}
		good := target(6, 80)
		for _, bad := range []func(e *nft.External){
			func(e *nft.External) { e.Tun = "" },
			func(e *nft.External) { e.Tun = "sixteen-letters-" },
			func(e *nft.External) { e.Tun = "a/b" },
			func(e *nft.External) { e.Target = netip.Addr{} },
			func(e *nft.External) { e.Target = netip.IPv4Unspecified() },
			func(e *nft.External) { e.Target = netip.MustParseAddr("fe80::1%eth0") },
			func(e *nft.External) { e.Proto = 1 },
			func(e *nft.External) { e.Port = 0 },
			func(e *nft.External) { e.Proxy = netip.MustParseAddrPort("[fd00::1]:61000") },
			func(e *nft.External) { e.Proxy = netip.MustParseAddrPort("10.115.0.1:61000") },
		} {
			e := good
			bad(&e)
			if err := n.Set([]nft.External{good, e}); !errors.Is(err, nft.ErrRule) {
				t.Errorf("%+v: %v", e, err)
			}
		}
		for _, g := range []nft.Guard{
			{Tun: "", Ranges: nil},
			{Tun: tunName, Ranges: []netip.Prefix{{}}},
			{Tun: tunName, Ranges: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}},
		} {
			if err := n.Protect([]nft.Guard{g}); !errors.Is(err, nft.ErrRule) {
				t.Errorf("%+v: %v", g, err)
			}
		}
		if err := n.Confine([]nft.Confined{{}}); !errors.Is(err, nft.ErrRule) {
			t.Errorf("a device without a name: %v", err)
		}
		if err := n.Set(make([]nft.External, nft.MaxExternals+1)); !errors.Is(err, nft.ErrRule) {
			t.Errorf("too many targets: %v", err)
		}
		if err := n.Protect(make([]nft.Guard, nft.MaxGuards+1)); !errors.Is(err, nft.ErrRule) {
			t.Errorf("too many guards: %v", err)
		}
	})
}

func TestATableThatSomebodyRemovedIsHeardOfAndMadeAgain(t *testing.T) {
	ns := hosttest.NewNamespace(t)
	ns.Do(t, func() {
		w, err := nft.NewWatch()
		if errors.Is(err, syscall.EPERM) {
			t.Skipf("SKIPPED: %v; type: sudo -E go test ./internal/host/nft", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		n, err := nft.Open("ours", nft.Guard{
			Tun: "staex0", Ranges: []netip.Prefix{netip.MustParsePrefix("10.83.0.0/16")},
		})
		if err != nil {
			t.Fatal(err)
		}
		conn, err := nftables.New()
		if err != nil {
			t.Fatal(err)
		}
		rules := func() int {
			table := &nftables.Table{Name: "ours", Family: nftables.TableFamilyINet}
			all, err := conn.GetRules(table, &nftables.Chain{Name: "wall_in"})
			if err != nil {
				return 0
			}
			return len(all)
		}
		before := rules()
		conn.FlushRuleset()
		if err := conn.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := w.Wait(); err != nil {
			t.Fatal(err)
		}
		if mended, err := n.Mend(); !mended || err != nil {
			t.Errorf("mended %v, %v", mended, err)
		}
		if after := rules(); after != before || after == 0 {
			t.Errorf("the table has %d rules, and had %d", after, before)
		}
		if mended, err := n.Mend(); mended || err != nil {
			t.Errorf("well, it was mended again: %v, %v", mended, err)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		if mended, err := n.Mend(); mended || err != nil {
			t.Errorf("closed, it was mended: %v, %v", mended, err)
		}
	})
}
