// SPDX-License-Identifier: Apache-2.0

package wire

// KEMAnswer is control message 51 and session message 51: the secret, encapsulated to the key
// that the other end sent in two KEMKey.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|  ciphertext (1088) ...                                        |
//	+---------------------------------------------------------------+
//
//	offset  size  field
//	0       1088  ciphertext of ML-KEM-768
type KEMAnswer struct {
	Ciphertext []byte // KEMAnswerSize bytes
}

// Append appends the encoded body to dst. It panics when the ciphertext has another size.
func (k KEMAnswer) Append(dst []byte) []byte {
	mustFit("ciphertext", len(k.Ciphertext), KEMAnswerSize, KEMAnswerSize)
	return append(dst, k.Ciphertext...)
}

// ParseKEMAnswer reads the body of a message.
func ParseKEMAnswer(b []byte) (KEMAnswer, error) {
	c := cursor{frame: "kem-answer", b: b}
	k := KEMAnswer{Ciphertext: c.take("ciphertext", KEMAnswerSize)}
	if err := c.end(); err != nil {
		return KEMAnswer{}, err
	}
	return k, nil
}
