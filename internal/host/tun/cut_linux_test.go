// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tun_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"staex/internal/host/hosttest"
	"staex/internal/host/tun"
)

// The kernel as the twin: a router between a device that gives it super-packets and one that takes
// plain packets only. What comes out of the second is what Cut has to make.
//
//	super-packet -> in0 -> kernel: route, cut, sum up -> out0 -> packets
func TestTheKernelCutsTheSame(t *testing.T) {
	ns := hosttest.NewNamespace(t)
	var in *tun.Device
	var out *os.File
	ns.Do(t, func() {
		var err error
		if in, err = tun.Open("in0", 1500); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = in.Close() })
		out = plainTUN(t, "out0")
		if err := errors.Join(
			router("in0", "10.9.0.1/24", "fd00:9::1/64"),
			router("out0", "10.8.0.1/24", "fd00:8::1/64"),
		); err != nil {
			t.Fatal(err)
		}
	})
	if err := out.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for _, s := range append(supers(four, four2), supers(six, six2)...) {
		if s.udp && !in.Offloads().UDP && s.size > 0 {
			t.Log("this kernel has no UDP segmentation for TUN, needs Linux 6.2: left out: ", s)
			continue
		}
		if s.size > 0 && s.payload <= s.size && len(s.options) > 0 {
			continue // the kernel takes the options for payload, and then finds nothing to cut
		}
		b := s.packet()
		if err := in.Write(b); err != nil {
			t.Fatalf("%v: %v", s, err)
		}
		forwarded(b)
		want, err := cutAll(b)
		if err != nil {
			t.Fatalf("%v: %v", s, err)
		}
		for i := range want {
			got, err := nextFrom(out, want[i])
			if err != nil {
				t.Fatalf("%v: packet %d of %d: %v", s, i, len(want), err)
			}
			if !bytes.Equal(got, want[i]) {
				t.Errorf("%v: packet %d of %d: the kernel makes\n% x, Cut makes\n% x",
					s, i, len(want), got, want[i])
			}
		}
	}
}

// plainTUN makes a device without offload headers and so without offloads.
func plainTUN(t *testing.T, name string) *os.File {
	t.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	req, err := unix.NewIfreq(name)
	if err != nil {
		t.Fatal(err)
	}
	req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), name)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// router brings a device up and lets packets through it.
func router(name string, addrs ...string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	var errs []error
	for _, a := range addrs {
		addr, err := netlink.ParseAddr(a)
		if err != nil {
			return err
		}
		addr.Flags = unix.IFA_F_NODAD
		errs = append(errs, netlink.AddrAdd(link, addr))
	}
	for _, family := range []string{"ipv4", "ipv6"} {
		path := "/proc/sys/net/" + family + "/conf/" + name + "/forwarding"
		errs = append(errs, os.WriteFile(path, []byte("1"), 0))
	}
	all := "/proc/sys/net/ipv6/conf/all/forwarding"
	errs = append(errs, os.WriteFile(all, []byte("1"), 0), netlink.LinkSetUp(link))
	return errors.Join(errs...)
}

// forwarded does to a super-packet what a router does: one hop less to live.
func forwarded(b []byte) {
	ip := b[tun.HeaderSize:]
	if ip[0]>>4 == 6 {
		ip[7]--
		return
	}
	ip[8]--
	binary.BigEndian.PutUint16(ip[10:], 0)
	binary.BigEndian.PutUint16(ip[10:], ^naive(ip[:20]))
}

// nextFrom reads the next packet with the addresses of like: the kernel has things to say of its
// own to IPv6's multicast groups.
func nextFrom(out *os.File, like []byte) ([]byte, error) {
	from, to := 12, 20
	if like[0]>>4 == 6 {
		from, to = 8, 40
	}
	buf := make([]byte, tun.MaxPacket)
	for {
		n, err := out.Read(buf)
		if err != nil {
			return nil, err
		}
		if n >= to && buf[0]>>4 == like[0]>>4 && bytes.Equal(buf[from:to], like[from:to]) {
			return buf[:n], nil
		}
	}
}
