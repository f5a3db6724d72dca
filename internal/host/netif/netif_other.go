// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package netif

import (
	"net/netip"
	"time"
)

// Link is a device this process brought up. None can be brought up on this system yet.
type Link struct{}

// Up returns [ErrUnsupported].
func Up(string, int, []netip.Prefix, []netip.Prefix) (*Link, error) { return nil, ErrUnsupported }

// Name returns the empty string.
func (*Link) Name() string { return "" }

// AddAddr returns [ErrUnsupported].
func (*Link) AddAddr(netip.Prefix) error { return ErrUnsupported }

// DelAddr returns [ErrUnsupported].
func (*Link) DelAddr(netip.Prefix) error { return ErrUnsupported }

// AddRoute returns [ErrUnsupported].
func (*Link) AddRoute(netip.Prefix) error { return ErrUnsupported }

// DelRoute returns [ErrUnsupported].
func (*Link) DelRoute(netip.Prefix) error { return ErrUnsupported }

// Down does nothing.
func (*Link) Down() error { return nil }

// Mend returns [ErrUnsupported].
func (*Link) Mend() ([]string, error) { return nil, ErrUnsupported }

// Watch would hear when somebody changes a device.
type Watch struct{}

// NewWatch returns [ErrUnsupported].
func NewWatch(string) (*Watch, error) { return nil, ErrUnsupported }

// NewWayWatch returns [ErrUnsupported].
func NewWayWatch() (*Watch, error) { return nil, ErrUnsupported }

// Follow returns [ErrUnsupported].
func (*Watch) Follow(string) error { return ErrUnsupported }

// Wait returns [ErrUnsupported].
func (*Watch) Wait(time.Duration) (bool, error) { return false, ErrUnsupported }

// Close does nothing.
func (*Watch) Close() error { return nil }

// Routes returns [ErrUnsupported].
func Routes() ([]Route, error) { return nil, ErrUnsupported }

// DeviceTo returns [ErrUnsupported].
func DeviceTo(netip.Addr) (string, error) { return "", ErrUnsupported }

// WayTo returns [ErrUnsupported].
func WayTo(netip.Addr) (Way, error) { return Way{}, ErrUnsupported }

// Forwarding remembers on which devices this process let packets be forwarded: none.
type Forwarding struct{}

// Before returns [ErrUnsupported].
func (*Forwarding) Before(string, bool) (bool, error) { return false, ErrUnsupported }

// Enable returns [ErrUnsupported].
func (*Forwarding) Enable(string, bool) error { return ErrUnsupported }

// Restore does nothing.
func (*Forwarding) Restore() error { return nil }
