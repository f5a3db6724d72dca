// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package priv

// Drop returns [ErrUnsupported] unless the user name is empty.
func Drop(userName, _ string, _ ...Capability) error {
	if userName == "" {
		return nil
	}
	return ErrUnsupported
}
