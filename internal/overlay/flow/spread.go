// SPDX-License-Identifier: Apache-2.0

package flow

// Spread is a number that the packets of one flow have in common: the sum of their ports and of
// the last bytes of their addresses. b begins with an offload header.
func Spread(b []byte) (n uint) {
	const ip4Last, ip6Last, ports = 15, 23, 4 // last byte of the source; from there to the ports
	at, size := OffloadSize+ip4Last, 4
	if len(b) > OffloadSize && b[OffloadSize]>>4 == 6 {
		at, size = OffloadSize+ip6Last, 16
	}
	if len(b) < at+size+1+ports {
		return 0
	}
	for _, x := range b[at+size+1 : at+size+1+ports] {
		n += uint(x)
	}
	return n + uint(b[at]) + uint(b[at+size])
}
