// SPDX-License-Identifier: Apache-2.0

package wire

// CookieSize is the size of a Cookie datagram in bytes.
const CookieSize = 60

// Cookie is what a busy parent answers to a Hello1 instead of computing a key: a value
// that only the owner of the source address can read and bring back in mac2.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+-----------------------------------------------+
//	|     0x60      |              label of the receiver            |
//	+---------------+-----------------------------------------------+
//	|  nonce (24)                                                   |
//	+---------------------------------------------------------------+
//	|  sealed cookie (16 + tag 16)                                  |
//	+---------------------------------------------------------------+
//
//	offset  size  field
//	0       1     0x60
//	1       3     label of the receiver, from Hello1
//	4       24    nonce of XChaCha20-Poly1305
//	28      32    sealed: the cookie (16) and the tag (16)
type Cookie struct {
	To     Label    // control label of the initiator
	Nonce  [24]byte // random
	Sealed [32]byte // sealed with mac1 of the Hello1 as additional data
}

// Append appends the encoded frame to dst.
func (k Cookie) Append(dst []byte) []byte {
	dst = append(dst, TypeCookie<<4)
	dst = appendLabel(dst, k.To)
	dst = append(dst, k.Nonce[:]...)
	return append(dst, k.Sealed[:]...)
}

// ParseCookie reads a whole datagram.
func ParseCookie(b []byte) (Cookie, error) {
	c := cursor{frame: "cookie", b: b}
	c.outer(TypeCookie)
	k := Cookie{To: c.label("to")}
	copy(k.Nonce[:], c.take("nonce", len(k.Nonce)))
	copy(k.Sealed[:], c.take("sealed", len(k.Sealed)))
	if err := c.end(); err != nil {
		return Cookie{}, err
	}
	return k, nil
}
