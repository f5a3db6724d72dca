// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tun

// AskOffloads is for tests of kernels that grant less than this machine's.
var AskOffloads = askOffloads

// OffloadTCP is the set without UDP.
const OffloadTCP = offloadTCP

// EndSingle makes the next read the last of those that began with Single.
func (d *Device) EndSingle() { d.single = 1 }
