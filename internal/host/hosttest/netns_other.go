// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package hosttest

import "testing"

// Namespace is a network of its own. Only Linux has them.
type Namespace struct{}

// NewNamespace skips the test.
func NewNamespace(t testing.TB) *Namespace {
	t.Helper()
	t.Skip("needs a network namespace; on Linux type: sudo -E go test ./internal/host/...")
	return nil
}

// FD returns -1.
func (*Namespace) FD() int { return -1 }

// Do runs fn.
func (*Namespace) Do(_ testing.TB, fn func()) { fn() }
