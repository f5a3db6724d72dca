// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package tun

// OpenQueues is Open: a device has one queue here.
func OpenQueues(name string, mtu, _ int) ([]*Device, error) {
	d, err := Open(name, mtu)
	return []*Device{d}, err
}

// AgainQueues is Again for the only queue.
func AgainQueues(old []*Device, mtu, _ int) ([]*Device, error) {
	d, err := old[0].Again(mtu)
	return []*Device{d}, err
}
