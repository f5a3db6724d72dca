// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tun

import "syscall"

// AskOffloads is for tests of kernels that grant less than this machine's.
var AskOffloads = askOffloads

// OffloadTCP is the set without UDP.
const OffloadTCP = offloadTCP

// EndSingle makes the next read the last of those that began with Single.
func (d *Device) EndSingle() { d.single = 1 }

// Refuse makes the kernel refuse super-packets of a type; the count of those is kept.
func (d *Device) Refuse(kind byte, count *int) {
	call := d.out.call
	d.out.call = func(fd uintptr, b []byte) (int, syscall.Errno) {
		if b[1] == kind {
			*count++
			return 0, syscall.EINVAL
		}
		return call(fd, b)
	}
}

// EndCutting makes the next super-packet the last that is cut.
func (d *Device) EndCutting() {
	for i := range d.out.cut {
		d.out.cut[i] = min(d.out.cut[i], 1)
	}
}
