// SPDX-License-Identifier: Apache-2.0

package session

import "crypto/subtle"

const (
	labelProbeAsk    = "staex nat question v1"
	labelProbeAnswer = "staex nat answer v1"
)

// ProbeMac authenticates a question about a translator, or the answer to one, under the chain key
// of the link. msg ends where the mac begins.
func ProbeMac(chain [KeySize]byte, answer bool, msg []byte) [MACSize]byte {
	label := labelProbeAsk
	if answer {
		label = labelProbeAnswer
	}
	k := keyed(chain[:], []byte(label))
	return mac(k[:], msg)
}

// CheckProbe reports, in constant time, whether sum is the ProbeMac of msg.
func CheckProbe(chain [KeySize]byte, answer bool, msg []byte, sum [MACSize]byte) bool {
	want := ProbeMac(chain, answer, msg)
	return subtle.ConstantTimeCompare(want[:], sum[:]) == 1
}
