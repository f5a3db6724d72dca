// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tun

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// The sets of offloads that a kernel may grant (linux/if_tun.h).
const (
	offloadTCP = unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6
	offloadUDP = unix.TUN_F_USO4 | unix.TUN_F_USO6
)

// singleReads is for how many reads that may wait the kernel hands over no super-packets after it
// got one wrong: seconds of a busy device, because a wrong one is lost.
const singleReads = 1 << 16

// cutWrites is how many super-packets of a type are cut here after the kernel refused one, until it
// is asked again, which costs one system call.
const cutWrites = 4096

// asks is what grants a set of offloads to the device behind a descriptor, or refuses it.
func asks(fd int) func(set int) error {
	return func(set int) error { return unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, set) }
}

// askOffloads takes the largest set the kernel grants, which may be none.
func askOffloads(grant func(set int) error) Offloads {
	if grant(offloadTCP|offloadUDP) == nil {
		return Offloads{TCP: true, UDP: true}
	}
	if grant(offloadTCP) == nil {
		return Offloads{TCP: true}
	}
	_ = grant(0) // plain packets need no permission
	return Offloads{}
}

// Single makes the kernel hand over packets one by one with complete checksums for a while,
// because a header did not fit its packet. It reports whether that is news, and belongs to the
// goroutine that reads.
func (d *Device) Single() bool {
	news := d.single == 0
	d.single = singleReads
	_ = d.raw.Control(func(fd uintptr) { _ = asks(int(fd))(0) }) // a closed device has none
	return news
}

// rejoin counts one read without super-packets and ends their time.
func (d *Device) rejoin() {
	if d.single == 0 {
		return
	}
	if d.single--; d.single == 0 {
		_ = d.raw.Control(func(fd uintptr) { askOffloads(asks(int(fd))) })
	}
}

// writeSuper hands over a super-packet, or the packets that it stands for where the kernel refuses
// its type: that of UDP is unknown before Linux 6.2.
func (d *Device) writeSuper(b []byte) error {
	left := &d.out.cut[b[1]&7]
	if *left > 0 {
		*left--
		return d.writeCut(b)
	}
	err := d.write(b)
	if errors.Is(err, unix.EINVAL) && d.writeCut(b) == nil {
		*left = cutWrites
		return nil
	}
	return err
}

// writeCut hands over the packets of a super-packet one by one; those after one that fails are
// lost.
func (d *Device) writeCut(b []byte) error {
	cuts, err := Cut(b)
	if err != nil {
		return fmt.Errorf("%w: %w", err, unix.EINVAL) // as the kernel says it
	}
	if d.out.room == nil {
		d.out.room = make([]byte, MaxPacket) // begins with an empty header
	}
	for n := cuts.Next(d.out.room[HeaderSize:]); n > 0; n = cuts.Next(d.out.room[HeaderSize:]) {
		if err := d.write(d.out.room[:HeaderSize+n]); err != nil {
			return err
		}
	}
	return nil
}
