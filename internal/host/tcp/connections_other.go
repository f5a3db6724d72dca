// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package tcp

import "net/netip"

// Connections lists none: this system has no way that is common to all.
func Connections([]netip.Prefix) ([]Conn, error) { return nil, nil }
