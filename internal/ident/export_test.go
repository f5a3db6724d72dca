// SPDX-License-Identifier: Apache-2.0

package ident

// VerifyBare lets the tests ask for vectors of others, whose messages have no domain.
var VerifyBare = verify
