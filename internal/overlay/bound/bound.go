// SPDX-License-Identifier: Apache-2.0

// Package bound is the moment that has certainly passed in a network, whatever the clock of this
// machine says, and the signed statements that move it on. It never goes back, reads no clock, and
// never judges a certificate.
package bound

import (
	"encoding/binary"
	"errors"
	"fmt"

	"staex/internal/ident"
)

// daySeconds is how far a bound moves before it is worth another write to flash memory.
const daySeconds = 24 * 60 * 60

// Bound is a lower bound of the time in Unix seconds. The zero Bound is 1970: nothing is known.
type Bound struct {
	at     uint32
	stored uint32 // what the disk has
}

// From is the bound that was on disk.
func From(stored uint32) Bound { return Bound{at: stored, stored: stored} }

// At is the moment that has passed, in Unix seconds; 0: not known.
func (b *Bound) At() uint32 { return b.at }

// Raise moves the bound to a moment that a trusted signer stated, but never past the end of the
// signer's own certificate; 0 is a signer without end. It tells whether the bound moved.
func (b *Bound) Raise(moment, signerNotAfter uint32) bool {
	if signerNotAfter != 0 {
		moment = min(moment, signerNotAfter)
	}
	if moment <= b.at {
		return false
	}
	b.at = moment
	return true
}

// Due tells whether the bound should be written to disk now, and takes it as written. A bound that
// moves on by less than a day is not worth it: after a restart it is a day behind at most.
func (b *Bound) Due() bool {
	if b.at-b.stored < daySeconds {
		return false
	}
	b.stored = b.at
	return true
}

// ErrStatement says that a statement is malformed, or that its signer may not make it.
var ErrStatement = errors.New("not a valid statement of the time")

const (
	version = 1
	// StatementSize is the size of a statement in bytes.
	StatementSize = 1 + ident.KeySize + 4 + ident.NodeCertSize + ident.SignatureSize
)

// Statement says that a moment has passed. It is signed by a node with the role time, and stays
// true for ever, so that repeating it does no harm.
//
//	version 1 | network 32 | moment 4 | certificate 120 | signature 64
type Statement struct {
	// Network is the network that signed Cert.
	Network ident.NetworkKey
	// Moment is in Unix seconds.
	Moment uint32
	// Cert is the certificate of the signer.
	Cert *ident.NodeCert
	// Sig is the signature by the certificate's key, in ident.DomainTime.
	Sig ident.Signature
}

// State makes the statement of a node with the role time.
func State(network ident.NetworkKey, moment uint32, cert *ident.NodeCert,
	secret *ident.Secret,
) *Statement {
	s := &Statement{Network: network, Moment: moment, Cert: cert}
	s.Sig = secret.Sign(ident.DomainTime, s.appendBody(nil))
	return s
}

// Append appends the encoding of the statement to dst.
func (s *Statement) Append(dst []byte) []byte { return append(s.appendBody(dst), s.Sig[:]...) }

func (s *Statement) appendBody(dst []byte) []byte {
	dst = append(append(dst, version), s.Network[:]...)
	dst = binary.BigEndian.AppendUint32(dst, s.Moment)
	return s.Cert.Append(dst)
}

// Decode reads a statement that fills b exactly, and verifies nothing. Errors wrap ErrStatement.
func Decode(b []byte) (*Statement, error) {
	if len(b) != StatementSize || b[0] != version {
		return nil, fmt.Errorf("%w: %d bytes", ErrStatement, len(b))
	}
	cert, err := ident.DecodeNodeCert(b[37 : 37+ident.NodeCertSize])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStatement, err)
	}
	return &Statement{
		Network: ident.NetworkKey(b[1:]), Moment: binary.BigEndian.Uint32(b[33:]),
		Cert: cert, Sig: ident.Signature(b[37+ident.NodeCertSize:]),
	}, nil
}

// Verify checks that a member of the network with the role time has signed. Errors wrap
// ErrStatement.
func (s *Statement) Verify() error {
	if err := s.Cert.Verify(&ident.NetworkCert{Key: s.Network}); err != nil {
		return fmt.Errorf("%w: %w", ErrStatement, err)
	}
	if !s.Cert.Roles.Has(ident.RoleTime) {
		return fmt.Errorf("%w: node %s has no role time", ErrStatement, s.Cert.Key)
	}
	if !ident.Verify(s.Cert.Key, ident.DomainTime, s.appendBody(nil), s.Sig) {
		return fmt.Errorf("%w: the signature does not verify", ErrStatement)
	}
	return nil
}
