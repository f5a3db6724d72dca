// SPDX-License-Identifier: Apache-2.0

package session

// Nearest lets the tests compare the counter arithmetic with a naive twin.
var Nearest = nearest

// Agree and NewAEAD let the tests ask for vectors of others.
var (
	Agree   = agree
	NewAEAD = newAEAD
)
