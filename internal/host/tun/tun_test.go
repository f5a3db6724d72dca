// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tun_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"staex/internal/host/hosttest"
	"staex/internal/host/tun"
)

// here and there are the two ends of the test's packets: the host and what is behind the device.
var (
	here  = netip.MustParseAddrPort("10.9.0.1:4000")
	there = netip.MustParseAddrPort("10.9.0.2:4000")
)

// open makes a device in a namespace of its own, and a socket of that namespace's host.
func open(t *testing.T) (*tun.Device, *net.UDPConn) {
	t.Helper()
	var dev *tun.Device
	sock := listen(t, func() string {
		var err error
		if dev, err = tun.Open("staex%d", 1400); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = dev.Close() })
		return dev.Name()
	})
	return dev, sock
}

// listen makes a device of MTU 1400, which it is told the name of, in a namespace of its own, and
// a socket of that namespace's host.
func listen(t *testing.T, device func() string) *net.UDPConn {
	t.Helper()
	var sock *net.UDPConn
	hosttest.NewNamespace(t).Do(t, func() {
		name := device()
		link, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if link.Attrs().MTU != 1400 {
			t.Errorf("MTU is %d, want 1400", link.Attrs().MTU)
		}
		quiet := "/proc/sys/net/ipv6/conf/" + name + "/disable_ipv6"
		if err := os.WriteFile(quiet, []byte("1"), 0); err != nil {
			t.Log(err) // a kernel without IPv6 is quiet anyway
		}
		addr, err := netlink.ParseAddr("10.9.0.1/24")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(netlink.AddrAdd(link, addr), netlink.LinkSetUp(link)); err != nil {
			t.Fatal(err)
		}
		if sock, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(here)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = sock.Close() })
	})
	if err := sock.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return sock
}

// behind is a device with the host that has the socket.
func behind(t *testing.T, dev hosttest.TUNDevice, sock *net.UDPConn) hosttest.TUNHost {
	return hosttest.TUNHost{
		Device: dev, Here: here, There: there,
		Emit: func(payload []byte) {
			if _, err := sock.WriteToUDPAddrPort(payload, there); err != nil {
				t.Error(err)
			}
		},
		Absorb: func() []byte {
			buf := make([]byte, 2000)
			n, from, err := sock.ReadFromUDPAddrPort(buf)
			if err != nil || from != there {
				t.Errorf("the host received %d bytes from %v: %v", n, from, err)
			}
			return buf[:n]
		},
	}
}

func TestTheDeviceBehavesLikeItsTwin(t *testing.T) {
	hosttest.TestTUN(t, func(t *testing.T) hosttest.TUNHost {
		dev, sock := open(t)
		return behind(t, dev, sock)
	})
}

// cut makes a socket send runs of datagrams of so many bytes.
func cut(t *testing.T, sock *net.UDPConn, size int) {
	t.Helper()
	raw, err := sock.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		err := unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT, size)
		if err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestARunOfDatagramsLeavesTheHostUncut(t *testing.T) {
	dev, sock := open(t)
	if !dev.Offloads().UDP {
		t.Skip("this kernel has no UDP segmentation for TUN; needs Linux 6.2")
	}
	cut(t, sock, 500)
	sent := bytes.Repeat([]byte("0123456789"), 170) // three segments and 200 bytes
	if _, err := sock.WriteToUDPAddrPort(sent, there); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, tun.MaxPacket)
	n, err := dev.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	head := buf[:tun.HeaderSize]
	size := binary.LittleEndian.Uint16(head[4:])
	if head[0]&needsChecksum == 0 || head[1] != gsoUDP || size != 500 {
		t.Errorf("header % x, want flags 1, type 5, segments of 500 bytes", head)
	}
	if !bytes.HasSuffix(buf[:n], sent) || n != tun.HeaderSize+28+len(sent) {
		t.Errorf("%d bytes came out, want one super-packet", n)
	}

	// The same packet, turned round, is cut only where the host's socket needs it.
	p := buf[tun.HeaderSize:n]
	var src [4]byte
	copy(src[:], p[12:16])
	copy(p[12:16], p[16:20]) // the checksums do not change when the ends are swapped
	copy(p[16:20], src[:])
	if err := dev.Write(buf[:n]); err != nil {
		t.Fatal(err)
	}
	for want := len(sent); want > 0; {
		got := make([]byte, 2000)
		k, err := sock.Read(got)
		if err != nil {
			t.Fatal(err)
		}
		if k != min(500, want) || !bytes.Equal(got[:k], sent[len(sent)-want:][:k]) {
			t.Fatalf("the host received %d bytes, want the next %d", k, min(500, want))
		}
		want -= k
	}
}

func TestOpenTellsWhatIsWrong(t *testing.T) {
	ns := hosttest.NewNamespace(t)
	ns.Do(t, func() {
		if _, err := tun.Open("a-name-much-too-long", 0); err == nil {
			t.Error("a name of 20 bytes was accepted")
		}
		d, err := tun.Open("staex0", 0)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if _, err := tun.Open("staex0", 0); !errors.Is(err, syscall.EBUSY) {
			t.Errorf("second opener got %v, want EBUSY", err)
		}
		if _, err := tun.Open("staex1", 70_000); err == nil {
			t.Error("an MTU above 65,535 was accepted")
		}
	})
}

func TestTheFastPathDoesNotAllocate(t *testing.T) {
	dev, sock := open(t)
	buf := make([]byte, tun.MaxPacket)
	if _, err := sock.WriteToUDPAddrPort([]byte("x"), there); err != nil {
		t.Fatal(err)
	}
	n, err := dev.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	packet, scratch := bytes.Clone(buf[:n]), make([]byte, 100)
	allocs := testing.AllocsPerRun(100, func() {
		if err := dev.Write(packet); err != nil {
			t.Fatal(err)
		}
		if _, err := dev.ReadNow(scratch); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations for a write and a read", allocs)
	}
}

func TestADeletedDeviceEndsAWaitingReadAndIsGone(t *testing.T) {
	ns := hosttest.NewNamespace(t)
	var dev *tun.Device
	var link netlink.Link
	ns.Do(t, func() {
		var err error
		if dev, err = tun.Open("staex0", 0); err == nil {
			link, err = netlink.LinkByName("staex0")
		}
		if err = errors.Join(err, netlink.LinkSetUp(link)); err != nil {
			t.Fatal(err)
		}
	})
	if dev.Gone() {
		t.Error("the device is gone before anybody touched it")
	}
	ended := make(chan error, 1)
	go func() {
		buf := make([]byte, tun.MaxPacket)
		for {
			if _, err := dev.Read(buf); err != nil {
				ended <- err
				return
			}
		}
	}()
	ns.Do(t, func() {
		if err := netlink.LinkDel(link); err != nil {
			t.Fatal(err)
		}
	})
	if err := <-ended; errors.Is(err, os.ErrClosed) {
		t.Errorf("the read ended with %v", err)
	}
	if !dev.Gone() {
		t.Error("the deleted device is not gone")
	}
	if err := dev.Write(make([]byte, tun.HeaderSize+20)); err == nil {
		t.Error("the deleted device takes packets")
	}
	var again *tun.Device
	ns.Do(t, func() {
		var err error
		if again, err = dev.Again(1400); err != nil {
			t.Fatal(err)
		}
		if _, err := again.Again(1400); err == nil {
			t.Error("a device that stands was made again")
		}
		link, err = netlink.LinkByName("staex0")
		if err != nil || link.Attrs().MTU != 1400 {
			t.Errorf("the device that was made again: %v, %v", link, err)
		}
		if err := netlink.LinkSetUp(link); err != nil {
			t.Fatal(err)
		}
	})
	if err := dev.Close(); err != nil {
		t.Error(err)
	}
	// The kernel says hello on a device that comes up, to IPv6's multicast groups.
	if n, err := again.Read(make([]byte, tun.MaxPacket)); err != nil || n <= tun.HeaderSize {
		t.Errorf("the device that was made again reads %d bytes, %v", n, err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if dev.Gone() {
		t.Error("a closed device is told to be deleted")
	}
}
