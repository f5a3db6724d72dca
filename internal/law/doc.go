// SPDX-License-Identifier: Apache-2.0

// Package law is the house rules as tests: which room may import which, what the pure floors
// may not touch, and what every file and document owes its reader. It is in no binary.
//
// The tests read and parse the tree themselves. Asking the go command instead would make
// them depend on files that the test cache does not know, and old answers would be served.
package law
