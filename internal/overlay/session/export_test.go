// SPDX-License-Identifier: Apache-2.0

package session

// Nearest lets the tests compare the counter arithmetic with a naive twin.
var Nearest = nearest

// NewAEAD lets the tests ask for vectors of others.
var NewAEAD = newAEAD

// Agree does, too, through what Noise calls.
func Agree(private, public []byte) ([]byte, error) { return (&agreement{}).DH(private, public) }
