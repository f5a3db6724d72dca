// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tun_test

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"staex/internal/host/hosttest"
	"staex/internal/host/tun"
)

// queues opens a device with several queues in a namespace.
func queues(t *testing.T, ns *hosttest.Namespace, n int) (all []*tun.Device) {
	t.Helper()
	ns.Do(t, func() {
		var err error
		if all, err = tun.OpenQueues("staex0", 1400, n); err != nil {
			t.Fatal(err)
		}
	})
	for _, d := range all {
		t.Cleanup(func() { _ = d.Close() })
	}
	return all
}

func up(t *testing.T, ns *hosttest.Namespace) {
	t.Helper()
	ns.Do(t, func() {
		link, err := netlink.LinkByName("staex0")
		if err != nil {
			t.Fatal(err)
		}
		addr, err := netlink.ParseAddr("10.9.0.1/24")
		err = errors.Join(err, netlink.AddrAdd(link, addr), netlink.LinkSetUp(link))
		if err != nil {
			t.Fatal(err)
		}
	})
}

// flow is what sends one datagram of a flow of its own to another machine behind the device.
func flow(t *testing.T, ns *hosttest.Namespace, port uint16) (send func()) {
	t.Helper()
	var c *net.UDPConn
	ns.Do(t, func() {
		var err error
		from := netip.AddrPortFrom(here.Addr(), port)
		if c, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(from)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
	})
	return func() {
		t.Helper()
		if _, err := c.WriteToUDPAddrPort([]byte("flow"), there); err != nil {
			t.Fatal(err)
		}
	}
}

// came tells from which queue the one datagram comes that was sent, and its packet.
func came(t *testing.T, all []*tun.Device) (queue int, packet []byte) {
	t.Helper()
	buf := make([]byte, tun.MaxPacket)
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		for i, d := range all {
			n, err := d.ReadNow(buf)
			if err != nil {
				t.Fatal(err)
			}
			if p := buf[:n]; n > 0 && bytes.HasSuffix(p, []byte("flow")) {
				return i, bytes.Clone(p)
			}
		}
	}
	t.Fatal("the datagram came from no queue")
	return 0, nil
}

func TestFlowsAreSpreadOverQueuesAndStayWhereTheyAreAnswered(t *testing.T) {
	ns := hosttest.NewNamespace(t)
	all := queues(t, ns, 3)
	if len(all) != 3 {
		t.Skipf("this kernel gives %d queues; needs Linux 3.8", len(all))
	}
	up(t, ns)
	busy := map[int]bool{}
	for port := uint16(5000); port < 5030; port++ {
		send := flow(t, ns, port)
		send()
		was, p := came(t, all)
		busy[was] = true
		ip := p[tun.HeaderSize:]
		var src, ports [4]byte
		copy(src[:], ip[12:16])
		copy(ip[12:16], ip[16:20])
		copy(ip[16:20], src[:])
		copy(ports[:2], ip[22:24])
		copy(ports[2:], ip[20:22])
		copy(ip[20:24], ports[:])
		answered := (was + 1) % len(all)
		if err := all[answered].Write(p); err != nil {
			t.Fatal(err)
		}
		send()
		if now, _ := came(t, all); now != answered {
			t.Errorf("port %d: answered through %d, goes on from %d", port, answered, now)
		}
	}
	if len(busy) != len(all) {
		t.Errorf("%d of %d queues had flows", len(busy), len(all))
	}
}

func TestADeviceWithQueuesIsNobodyElses(t *testing.T) {
	ns := hosttest.NewNamespace(t)
	if all := queues(t, ns, 2); len(all) != 2 {
		t.Skipf("this kernel gives %d queues; needs Linux 3.8", len(all))
	}
	ns.Do(t, func() {
		for _, n := range []int{1, 2} {
			if _, err := tun.OpenQueues("staex0", 0, n); !errors.Is(err, syscall.EBUSY) {
				t.Errorf("another program that wants %d queues got %v, want EBUSY", n, err)
			}
		}
	})
}

func TestADeviceOfAnAdministratorHasOneQueue(t *testing.T) {
	ns := hosttest.NewNamespace(t)
	ns.Do(t, func() {
		made := &netlink.Tuntap{Mode: netlink.TUNTAP_MODE_TUN, Flags: netlink.TUNTAP_DEFAULTS}
		made.Name = "staex0"
		made.Flags |= netlink.TUNTAP_NO_PI | netlink.TUNTAP_VNET_HDR
		if err := netlink.LinkAdd(made); err != nil {
			t.Fatal(err)
		}
	})
	if all := queues(t, ns, 4); len(all) != 1 {
		t.Errorf("it has %d queues", len(all))
	}
}

func TestADeletedDeviceComesBackWithAllItsQueues(t *testing.T) {
	for _, left := range []int{3, 1} { // the others were lost an earlier time
		t.Run(strconv.Itoa(left), func(t *testing.T) { comesBack(t, left) })
	}
}

func comesBack(t *testing.T, left int) {
	t.Helper()
	ns := hosttest.NewNamespace(t)
	old := queues(t, ns, 3)
	var again []*tun.Device
	ns.Do(t, func() {
		link, err := netlink.LinkByName("staex0")
		if err := errors.Join(err, netlink.LinkDel(link)); err != nil {
			t.Fatal(err)
		}
		if again, err = tun.AgainQueues(old[:left], 1400, len(old)); err != nil {
			t.Fatal(err)
		}
	})
	for _, d := range again {
		t.Cleanup(func() { _ = d.Close() })
	}
	if len(again) != len(old) {
		t.Fatalf("%d of %d queues came back", len(again), len(old))
	}
	for _, d := range old {
		_ = d.Close()
	}
	up(t, ns)
	busy := map[int]bool{}
	for port := uint16(5000); port < 5030; port++ {
		flow(t, ns, port)()
		i, _ := came(t, again)
		busy[i] = true
	}
	if len(busy) != len(again) {
		t.Errorf("%d of %d queues have flows", len(busy), len(again))
	}
}
