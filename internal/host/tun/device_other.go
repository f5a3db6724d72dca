// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package tun

// Device is one TUN device. None can be opened on this system yet.
type Device struct{}

// Open returns [ErrUnsupported].
func Open(string, int) (*Device, error) { return nil, ErrUnsupported }

// Name returns the empty string.
func (*Device) Name() string { return "" }

// Offloads returns none.
func (*Device) Offloads() Offloads { return Offloads{} }

// Close does nothing.
func (*Device) Close() error { return nil }

// Gone returns false.
func (*Device) Gone() bool { return false }

// Again returns [ErrUnsupported].
func (*Device) Again(int) (*Device, error) { return nil, ErrUnsupported }

// Single returns false.
func (*Device) Single() bool { return false }

// Read returns [ErrUnsupported].
func (*Device) Read([]byte) (int, error) { return 0, ErrUnsupported }

// ReadNow returns [ErrUnsupported].
func (*Device) ReadNow([]byte) (int, error) { return 0, ErrUnsupported }

// Write returns [ErrUnsupported], or an error for a packet without a header.
func (*Device) Write(b []byte) error {
	if len(b) <= HeaderSize {
		return errShort
	}
	return ErrUnsupported
}
