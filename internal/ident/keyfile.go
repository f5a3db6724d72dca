// SPDX-License-Identifier: Apache-2.0

package ident

import (
	"bytes"
	"cmp"
	"crypto/cipher"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"
)

// A protected private key is one line of seven fields between colons:
//
//	staex-key-v1:argon2id:65536:3:1:SALT:SEALED
//	|            |        |     | | |    +- seed and tag, 48 bytes, BASE64
//	|            |        |     | | +------ salt, 16 random bytes, BASE64
//	|            |        |     | +-------- lanes
//	|            |        |     +---------- passes
//	|            |        +---------------- memory in KiB
//	|            +------------------------- Argon2id (RFC 9106)
//	+-------------------------------------- version
//
// Argon2id makes a key of passphrase and salt; ChaCha20-Poly1305 (RFC 8439) seals the seed under
// it, with everything before the last field and its colon as additional data. The nonce is zero:
// the salt is new for each line, so a key seals once.
const (
	protectedPrefix  = "staex-key-"
	protectedVersion = protectedPrefix + "v1"
	protectedKDF     = "argon2id"
	protectedFields  = 7
	protectedSalt    = 16
	protectedSealed  = KeySize + chacha20poly1305.Overhead
)

// cost is how much work one guess of a passphrase takes.
type cost struct {
	memory uint32 // KiB
	passes uint32
	lanes  uint8
}

// defaultCost is that of new lines: RFC 9106, section 4, second recommendation, in one lane.
var defaultCost = cost{memory: 64 << 10, passes: 3, lanes: 1}

// Upper bounds of the cost that a line may ask for, so that a forged file cannot stall a machine.
const (
	maxMemory = 1 << 20 // 1 GiB
	maxPasses = 16
	maxLanes  = 16
)

// EncodeSecretText is a private key as the content of its file, unprotected: its seed in BASE64.
func EncodeSecretText(s *Secret) []byte { return EncodeText(s.key()[:KeySize]) }

// EncodeSecretTextWithPassphrase is a private key as the content of its file, sealed with a
// passphrase of at least one byte; 16 bytes of rand become the salt. It takes 64 MiB of memory and
// a noticeable part of a second. Errors wrap ErrPassphrase, or are those of rand.
func EncodeSecretTextWithPassphrase(s *Secret, pass []byte, rand io.Reader) ([]byte, error) {
	if len(pass) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrPassphrase)
	}
	salt := make([]byte, protectedSalt)
	if _, err := io.ReadFull(rand, salt); err != nil {
		return nil, fmt.Errorf("protect a private key: %w", err)
	}
	c := defaultCost
	head := fmt.Sprintf("%s:%s:%d:%d:%d:%s", protectedVersion, protectedKDF,
		c.memory, c.passes, c.lanes, base64.StdEncoding.EncodeToString(salt))
	line := protectedKey{head: head, cost: c, salt: salt}
	sealed := line.seal(pass, s.key()[:KeySize])
	return []byte(head + ":" + base64.StdEncoding.EncodeToString(sealed) + "\n"), nil
}

// DecodeSecretText reads a private key file. White space around the line is permitted. If the key
// is protected the error wraps ErrPassphrase. Other errors wrap ErrSecret or ErrText and never
// repeat the text. Who asks for no passphrase need not link what opens such keys.
func DecodeSecretText(b []byte) (*Secret, error) {
	if key, err := protected(b); key != nil || err != nil {
		return nil, cmp.Or(err, errProtected)
	}
	seed, err := DecodeText(b)
	if err != nil {
		return nil, err
	}
	if len(seed) != KeySize {
		return nil, fmt.Errorf("%w: it holds %d bytes, not %d", ErrSecret, len(seed), KeySize)
	}
	return SecretFromSeed([KeySize]byte(seed)), nil
}

// OpenSecretText is DecodeSecretText for a key that may be protected, which pass opens. The error
// wraps ErrPassphrase as well if there is none, if it is wrong, or if the line was changed.
func OpenSecretText(b, pass []byte) (*Secret, error) {
	key, err := protected(b)
	switch {
	case err != nil:
		return nil, err
	case key == nil:
		return DecodeSecretText(b)
	case len(pass) == 0:
		return nil, errProtected
	}
	seed, err := key.open(pass)
	if err != nil {
		return nil, err
	}
	return SecretFromSeed(seed), nil
}

// errProtected says that nobody gave a passphrase.
var errProtected = fmt.Errorf("%w: this private key is protected by one", ErrPassphrase)

// protected reads a protected line; nil if the file has none.
func protected(b []byte) (*protectedKey, error) {
	line := bytes.TrimSpace(b)
	switch {
	case !bytes.HasPrefix(line, []byte(protectedPrefix)):
		return nil, nil
	case len(line) > MaxTextSize:
		return nil, fmt.Errorf("%w: it has %d bytes", ErrSecret, len(line))
	}
	return parseProtected(string(line))
}

// protectedKey is a parsed line.
type protectedKey struct {
	head   string // every field but the last, without the colon before it
	cost   cost
	salt   []byte
	sealed []byte
}

// parseProtected checks the form of a line; it does no costly work.
func parseProtected(line string) (*protectedKey, error) {
	fields := strings.SplitN(line, ":", protectedFields+1)
	if fields[0] != protectedVersion {
		return nil, fmt.Errorf("%w: this version of protected keys is not known here", ErrSecret)
	}
	if len(fields) != protectedFields {
		return nil, fmt.Errorf("%w: a protected key has %d fields between colons, was it cut?",
			ErrSecret, protectedFields)
	}
	if fields[1] != protectedKDF {
		return nil, fmt.Errorf("%w: its key derivation is not %s", ErrSecret, protectedKDF)
	}
	memory, okMemory := parseBounded(fields[2], maxMemory)
	passes, okPasses := parseBounded(fields[3], maxPasses)
	lanes, okLanes := parseBounded(fields[4], maxLanes)
	if !okMemory || !okPasses || !okLanes {
		return nil, fmt.Errorf("%w: its cost is out of bounds", ErrSecret)
	}
	key := &protectedKey{
		head: line[:strings.LastIndexByte(line, ':')],
		cost: cost{memory: memory, passes: passes, lanes: uint8(lanes)},
	}
	var err error
	if key.salt, err = parseField(fields[5], protectedSalt); err != nil {
		return nil, err
	}
	if key.sealed, err = parseField(fields[6], protectedSealed); err != nil {
		return nil, err
	}
	return key, nil
}

// parseBounded reads a decimal number from 1 to most, written in the one usual way.
func parseBounded(s string, most uint32) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 0 || n > uint64(most) || s[0] == '0' || s[0] == '+' {
		return 0, false
	}
	return uint32(n), true
}

// parseField reads one BASE64 field of the given size.
func parseField(s string, size int) ([]byte, error) {
	raw, err := decodeBase64(s)
	if err != nil {
		return nil, fmt.Errorf("%w: a field: %w", ErrSecret, err)
	}
	if len(raw) != size {
		return nil, fmt.Errorf("%w: a field holds %d bytes, not %d", ErrSecret, len(raw), size)
	}
	return raw, nil
}

// cipher does the costly work: it makes the cipher of this line for a passphrase.
func (k *protectedKey) cipher(pass []byte) (aead cipher.AEAD, nonce []byte) {
	key := argon2.IDKey(pass, k.salt, k.cost.passes, k.cost.memory, k.cost.lanes,
		chacha20poly1305.KeySize)
	aead, err := chacha20poly1305.New(key)
	if err != nil {
		panic("ident: ChaCha20-Poly1305: " + err.Error()) // only for keys of another size
	}
	return aead, make([]byte, chacha20poly1305.NonceSize)
}

func (k *protectedKey) seal(pass, seed []byte) []byte {
	aead, nonce := k.cipher(pass)
	return aead.Seal(nil, nonce, seed, []byte(k.head))
}

func (k *protectedKey) open(pass []byte) (seed [KeySize]byte, err error) {
	aead, nonce := k.cipher(pass)
	plain, err := aead.Open(nil, nonce, k.sealed, []byte(k.head))
	if err != nil {
		return seed, fmt.Errorf("%w: it is wrong, or the key file was changed", ErrPassphrase)
	}
	return [KeySize]byte(plain), nil
}
