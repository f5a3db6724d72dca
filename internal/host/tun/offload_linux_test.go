// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tun_test

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"staex/internal/host/tun"
)

func TestTheLargestSetOfOffloadsThatAKernelGrantsIsTaken(t *testing.T) {
	const udp = unix.TUN_F_USO4 | unix.TUN_F_USO6
	for _, c := range []struct {
		name    string
		refuses int // sets with any of these bits
		want    tun.Offloads
		last    int
	}{
		{"6.2", 0, tun.Offloads{TCP: true, UDP: true}, udp | tun.OffloadTCP},
		{"before USO", udp, tun.Offloads{TCP: true}, tun.OffloadTCP},
		{"without any", -1, tun.Offloads{}, 0},
	} {
		last := -1
		got := tun.AskOffloads(func(set int) error {
			if last = set; set&c.refuses != 0 {
				return unix.EINVAL
			}
			return nil
		})
		if got != c.want || last != c.last {
			t.Errorf("kernel %s: %+v, asked last for %x", c.name, got, last)
		}
	}
}

func TestADoubtedDeviceHandsOverSinglePacketsForAWhile(t *testing.T) {
	dev, sock := open(t)
	if !dev.Offloads().UDP {
		t.Skip("this kernel has no UDP segmentation for TUN; needs Linux 6.2")
	}
	cut(t, sock, 500)
	sent, buf := bytes.Repeat([]byte("0123456789"), 100), make([]byte, tun.MaxPacket)
	read := func() (head, payload []byte) {
		n, err := dev.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return buf[:tun.HeaderSize], buf[tun.HeaderSize+28 : n]
	}
	emit := func() {
		if _, err := sock.WriteToUDPAddrPort(sent, there); err != nil {
			t.Fatal(err)
		}
	}
	if !dev.Single() || dev.Single() {
		t.Error("the first doubt is news, and the second is not")
	}
	emit()
	for i := range 2 {
		head, payload := read()
		if !bytes.Equal(head, make([]byte, tun.HeaderSize)) || !bytes.Equal(payload, sent[:500]) {
			t.Errorf("packet %d has header % x and %d bytes", i, head, len(payload))
		}
	}
	dev.EndSingle()
	emit()
	read() // the last of the while
	read()
	emit()
	if head, payload := read(); head[1] != gsoUDP || len(payload) != len(sent) {
		t.Errorf("after a while the header is % x, with %d bytes", head, len(payload))
	}
}

func TestSuperPacketsThatTheKernelRefusesAreDeliveredOneByOne(t *testing.T) {
	dev, sock := open(t)
	if !dev.Offloads().UDP {
		t.Skip("this kernel has no UDP segmentation for TUN; needs Linux 6.2")
	}
	cut(t, sock, 500)
	sent, buf := bytes.Repeat([]byte("0123456789"), 170), make([]byte, tun.MaxPacket)
	if _, err := sock.WriteToUDPAddrPort(sent, there); err != nil {
		t.Fatal(err)
	}
	n, err := dev.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	p := buf[tun.HeaderSize:n] // turned round it is for the host
	src := [4]byte(p[12:16])
	copy(p[12:16], p[16:20])
	copy(p[16:20], src[:])

	refused := 0
	dev.Refuse(gsoUDP, &refused)
	got := make([]byte, 2000)
	write := func() {
		t.Helper()
		if err := dev.Write(buf[:n]); err != nil {
			t.Fatal(err)
		}
		for left := sent; len(left) > 0; left = left[min(500, len(left)):] {
			k, err := sock.Read(got)
			if err != nil || !bytes.Equal(got[:k], left[:min(500, len(left))]) {
				t.Fatalf("the host received %d bytes (%v), want the next 500", k, err)
			}
		}
	}
	for range 10 {
		write()
	}
	if refused != 1 {
		t.Errorf("the kernel was asked %d times in ten, want once", refused)
	}
	if allocs := testing.AllocsPerRun(10, write); allocs != 0 {
		t.Errorf("%v allocations for a super-packet that is cut", allocs)
	}
	dev.EndCutting()
	write()
	write()
	if refused != 2 {
		t.Errorf("after a while the kernel was asked %d times, want once more", refused-1)
	}
	buf[4], buf[5] = 0, 0 // its segments have no size: what is refused for a reason stays refused
	dev.EndCutting()
	for range 3 {
		if err := dev.Write(buf[:n]); !errors.Is(err, unix.EINVAL) {
			t.Errorf("a header that makes no sense got %v, want EINVAL", err)
		}
	}
}
