// SPDX-License-Identifier: Apache-2.0

package wire

// Sizes of the post-quantum exchange in bytes (ML-KEM-768, FIPS 203, table 3).
const (
	KEMKeyParts   = 2                        // messages that an encapsulation key takes
	KEMKeySize    = 1184                     // encapsulation key
	KEMPartSize   = KEMKeySize / KEMKeyParts // part of it in one message
	KEMAnswerSize = 1088                     // ciphertext
)

// KEMKey is control message 50 and session message 50: half of the key to which the other end
// encapsulates a secret. The whole does not fit the smallest path.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+-----------------------------------------------+
//	|     part      |  half of the encapsulation key (592) ...      |
//	+---------------+-----------------------------------------------+
//
//	offset  size  field
//	0       1     part: 0 the first half, 1 the second
//	1       592   half of the encapsulation key of ML-KEM-768
type KEMKey struct {
	Part uint8  // 0 or 1
	Half []byte // KEMPartSize bytes
}

// Append appends the encoded body to dst. It panics when a field breaks its bound.
func (k KEMKey) Append(dst []byte) []byte {
	mustFit("part", int(k.Part), 0, KEMKeyParts-1)
	mustFit("half", len(k.Half), KEMPartSize, KEMPartSize)
	return append(append(dst, k.Part), k.Half...)
}

// ParseKEMKey reads the body of a message. It does not look into the key.
func ParseKEMKey(b []byte) (KEMKey, error) {
	c := cursor{frame: "kem-key", b: b}
	k := KEMKey{Part: c.u8("part")}
	if c.err == nil && k.Part >= KEMKeyParts {
		c.fail("part", ErrBadValue)
	}
	k.Half = c.take("half", KEMPartSize)
	if err := c.end(); err != nil {
		return KEMKey{}, err
	}
	return k, nil
}
