// SPDX-License-Identifier: Apache-2.0

// Package hosttest is a host made of memory: twins of the ports under internal/host that behave
// like them, and the suites that prove it. It is used by tests and linked into no program.
//
// A twin has the method set of its original, so a consumer's own interface accepts either. Twins
// wait on channels only, which makes them usable inside testing/synctest.
package hosttest
