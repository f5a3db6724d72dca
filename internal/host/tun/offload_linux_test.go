// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tun_test

import (
	"bytes"
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
