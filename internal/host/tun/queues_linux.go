// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tun

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// The first queue makes the device, and only if there is none: who opens it after that is another
// program, which would get some of our flows. A device that an administrator made has one queue.
const (
	firstQueue = unix.IFF_MULTI_QUEUE | unix.IFF_TUN_EXCL
	nextQueue  = unix.IFF_MULTI_QUEUE
)

// OpenQueues is Open for at most n queues, each a Device of its own with the same name. The kernel
// spreads flows over them; the packets of one flow come from one queue, and move to another one
// when a packet of the other direction is written there. Where there cannot be so many queues there
// are fewer, but one. The device vanishes when all of them are closed.
func OpenQueues(name string, mtu, n int) ([]*Device, error) {
	if n > 1 {
		first, err := open(name, mtu, firstQueue)
		switch {
		case err == nil:
			return more([]*Device{first}, n, func(int) (*Device, error) {
				return open(first.Name(), 0, nextQueue)
			}), nil
		case !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.EINVAL):
			return nil, err
		}
	}
	d, err := Open(name, mtu)
	if err != nil {
		return nil, err
	}
	return []*Device{d}, nil
}

// AgainQueues is Again for at most n queues; there are fewer of them where OpenQueues has fewer.
// Those that were not there before are opened, as far as this process still may.
func AgainQueues(old []*Device, mtu, n int) ([]*Device, error) {
	if n > 1 {
		first, err := old[0].again(mtu, firstQueue)
		switch {
		case err == nil:
			return more([]*Device{first}, n, func(i int) (*Device, error) {
				if i < len(old) {
					return old[i].again(0, nextQueue)
				}
				return open(first.Name(), 0, nextQueue)
			}), nil
		case !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.EINVAL):
			return nil, err
		}
	}
	d, err := old[0].Again(mtu)
	if err != nil {
		return nil, err
	}
	return []*Device{d}, nil
}

// more adds queues to the first until there are n, or the kernel has no more.
func more(all []*Device, n int, next func(i int) (*Device, error)) []*Device {
	for len(all) < n {
		d, err := next(len(all))
		if err != nil {
			break // a flow has a queue all the same
		}
		all = append(all, d)
	}
	return all
}

// exists tells whether the host has a device of that name.
func exists(name string) bool {
	_, err := net.InterfaceByName(name)
	return err == nil
}
