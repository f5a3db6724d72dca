// SPDX-License-Identifier: Apache-2.0

//go:build darwin || freebsd || openbsd || windows

package tun

import (
	"errors"
	"fmt"

	wgtun "golang.zx2c4.com/wireguard/tun"
)

// Device is one TUN device of the system, by way of wireguard's driver.
type Device = Plain

// usualMTU is the MTU in bytes that these systems give a device; the driver insists on being told.
const usualMTU = 1500

// Open makes the device name and sets its MTU in bytes; 0 means 1500. macOS takes the names utun0,
// utun1 and so on, OpenBSD tun0, tun1 and so on; Windows needs wintun.dll beside the program and
// leaves the MTU to whoever configures the device. Without the right to make devices the error
// satisfies errors.Is(err, os.ErrPermission).
func Open(name string, mtu int) (*Device, error) {
	if mtu <= 0 {
		mtu = usualMTU
	}
	dev, err := wgtun.CreateTUN(name, mtu)
	if err != nil {
		return nil, fmt.Errorf("tun: make device %s: %w", name, err)
	}
	d, err := NewPlain(quiet{dev})
	if err != nil {
		return nil, errors.Join(err, dev.Close())
	}
	return d, nil
}

// quiet is a device whose tidings nobody wants to hear.
type quiet struct{ wgtun.Device }

// Read makes room for tidings first: the driver stops and waits when ten are untold.
func (q quiet) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	select {
	case <-q.Events():
	default:
	}
	return q.Device.Read(bufs, sizes, offset)
}
