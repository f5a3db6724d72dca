// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"errors"
	"fmt"
	"io"
)

const (
	// KEMKeySize is the length of an encapsulation key of ML-KEM-768 (FIPS 203), in bytes.
	KEMKeySize = mlkem.EncapsulationKeySize768
	// KEMAnswerSize is the length of a ciphertext of ML-KEM-768 (FIPS 203), in bytes.
	KEMAnswerSize = mlkem.CiphertextSize768

	// kemRandom is what an encapsulation draws, in bytes.
	kemRandom = 32

	labelHybrid = "staex hybrid v1"
)

// ErrKEM says that an encapsulation key or a ciphertext is not one of ML-KEM-768.
var ErrKEM = errors.New("session: not of ML-KEM-768")

// KEM is the initiator's half of one exchange with ML-KEM-768 (FIPS 203). It is used once.
type KEM struct {
	secret
	key *mlkem.DecapsulationKey768
}

// NewKEM makes a key pair from 64 bytes of rand.
func NewKEM(rand io.Reader) (*KEM, error) {
	var seed [mlkem.SeedSize]byte
	if _, err := io.ReadFull(rand, seed[:]); err != nil {
		return nil, fmt.Errorf("session: make ML-KEM key: %w", err)
	}
	key, err := mlkem.NewDecapsulationKey768(seed[:])
	if err != nil {
		return nil, fmt.Errorf("session: make ML-KEM key: %w", err)
	}
	return &KEM{key: key}, nil
}

// Public is the encapsulation key for the other side, KEMKeySize bytes.
func (k *KEM) Public() []byte { return k.key.EncapsulationKey().Bytes() }

// Mix returns the initiator's keys after the exchange that the answer ends. Whoever changed a bit
// on the way makes the keys of the two sides differ; the error wraps [ErrKEM] and says only that
// the answer has the wrong size.
func (k *KEM) Mix(keys Keys, answer []byte) (Keys, error) {
	shared, err := k.key.Decapsulate(answer)
	if err != nil {
		return Keys{}, fmt.Errorf("%w: answer: %w", ErrKEM, err)
	}
	return keys.mix(true, shared, k.Public(), answer), nil
}

// AnswerKEM answers an encapsulation key with 32 bytes of rand. It returns what the initiator
// needs, and the responder's keys after the exchange. The error wraps [ErrKEM] if the key is not
// one (FIPS 203, section 7.2).
func AnswerKEM(keys Keys, public []byte, rand io.Reader) (answer []byte, mixed Keys, err error) {
	key, err := mlkem.NewEncapsulationKey768(public)
	if err != nil {
		return nil, Keys{}, fmt.Errorf("%w: key: %w", ErrKEM, err)
	}
	var random [kemRandom]byte
	if _, err := io.ReadFull(rand, random[:]); err != nil {
		return nil, Keys{}, fmt.Errorf("session: answer ML-KEM key: %w", err)
	}
	// The form without a parameter for randomness would read the system's, and no run would repeat.
	shared, answer, err := mlkemtest.Encapsulate768(key, random[:])
	if err != nil {
		return nil, Keys{}, fmt.Errorf("session: answer ML-KEM key: %w", err)
	}
	return answer, keys.mix(false, shared, public, answer), nil
}

// mix derives the keys that follow from those of the handshake and from the shared secret: whoever
// lacks either of the two has nothing. The transcript and both messages are bound in.
func (k Keys) mix(initiator bool, shared, public, answer []byte) (mixed Keys) {
	base := keyed(k.Chain[:], []byte(labelHybrid), shared, k.Hash[:], public, answer)
	mixed.Send = keyed(base[:], []byte("initiator"))
	mixed.Recv = keyed(base[:], []byte("responder"))
	if !initiator {
		mixed.Send, mixed.Recv = mixed.Recv, mixed.Send
	}
	mixed.Chain = keyed(base[:], []byte(labelChain))
	mixed.Hash = keyed(nil, []byte(labelHybrid), k.Hash[:], public, answer)
	return mixed
}
