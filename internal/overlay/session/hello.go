// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/subtle"
	"encoding/binary"

	"staex/internal/ident"
)

const (
	labelTunnel = "staex tunnel v1"
	labelHello  = "staex hello v1"
)

// HelloMACSize is the length of the MAC on a hello, in bytes. Nothing is delivered because of it:
// it only keeps strangers from spending a Diffie-Hellman of the far end.
const HelloMACSize = 8

// TunnelSecret returns the secret that the two endpoint keys of a tunnel share: X25519 of the
// static keys, hashed with both ids, lower first. It is the same at both ends.
func TunnelSecret(local *ident.Secret, remote ident.NodeID) [KeySize]byte {
	public := remote.X25519()
	shared := agree(local.Exchange(), public[:])
	low, high := local.ID(), remote
	if low.Compare(high) > 0 {
		low, high = high, low
	}
	return keyed(shared[:], []byte(labelTunnel), low[:], high[:])
}

// HelloMAC authenticates the parts under a tunnel secret or a network's names key. Each part is
// preceded by its length, so parts cannot be shifted into one another.
func HelloMAC(secret [KeySize]byte, parts ...[]byte) (sum [HelloMACSize]byte) {
	framed := make([][]byte, 0, 1+2*len(parts))
	framed = append(framed, []byte(labelHello))
	for _, p := range parts {
		framed = append(framed, binary.BigEndian.AppendUint32(nil, uint32(len(p))), p)
	}
	full := keyed(secret[:], framed...)
	copy(sum[:], full[:])
	return sum
}

// CheckHelloMAC reports, in constant time, whether sum is the HelloMAC of the parts.
func CheckHelloMAC(secret [KeySize]byte, sum [HelloMACSize]byte, parts ...[]byte) bool {
	want := HelloMAC(secret, parts...)
	return subtle.ConstantTimeCompare(want[:], sum[:]) == 1
}
