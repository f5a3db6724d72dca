// SPDX-License-Identifier: Apache-2.0

package revoke

import (
	"encoding/binary"
	"fmt"

	"staex/internal/ident"
)

// version and the type bytes begin every signed statement of this package, so that one kind means
// nothing as another. They are never renumbered.
const (
	version         = 1
	typeHead        = 1
	typeResignation = 2
)

const (
	headBody = 1 + 1 + 1 + ident.KeySize + 4 + 4 + 32 + 4
	// MinHeadSize is the size in bytes of a head that the network's key has signed.
	MinHeadSize = headBody + ident.SignatureSize
	// MaxHeadSize is the size of one that a node with the role revoker has signed.
	MaxHeadSize = MinHeadSize + ident.NodeCertSize
)

// Head is the signed part of a list: which list it is, and a hash of what is in it.
//
//	 0         1        2          3             35         39        43
//	+---------+--------+----------+-------------+----------+---------+-----------+
//	| version | type 1 | signer 1 | network (32) | number 4 | count 4 | hash (32) |
//	+---------+--------+----------+-------------+----------+---------+-----------+
//	| time 4  | certificate of the signer (120), only if signer is 1             |
//	+---------+-------------------------------------------------------------------+
//	| signature of everything before it (64)                                     |
//	+------------------------------------------------------------------------------+
//
// Numbers are big endian. signer is 0 for the network's key and 1 for a node with the role revoker.
type Head struct {
	// Network is the network whose keys are revoked.
	Network ident.NetworkKey
	// Number counts the lists of a network from 1.
	Number uint32
	// Count is the number of fingerprints in the list, 1 to MaxKeys.
	Count uint32
	// Hash is BLAKE2s-256 over the fingerprints in ascending order.
	Hash [32]byte
	// Time is when the list was signed, in Unix seconds; 0 says nothing.
	Time uint32
	// Signer is the certificate of the revoker that signed, or nil: the network's own key did.
	Signer *ident.NodeCert
	// Sig is the signature, in ident.DomainRevocation.
	Sig ident.Signature
}

// Append appends the encoding of the head to dst.
func (h *Head) Append(dst []byte) []byte { return append(h.appendBody(dst), h.Sig[:]...) }

func (h *Head) appendBody(dst []byte) []byte {
	signer := byte(0)
	if h.Signer != nil {
		signer = 1
	}
	dst = append(dst, version, typeHead, signer)
	dst = append(dst, h.Network[:]...)
	dst = binary.BigEndian.AppendUint32(dst, h.Number)
	dst = binary.BigEndian.AppendUint32(dst, h.Count)
	dst = append(dst, h.Hash[:]...)
	dst = binary.BigEndian.AppendUint32(dst, h.Time)
	if h.Signer != nil {
		dst = h.Signer.Append(dst)
	}
	return dst
}

// DecodeHead reads a head that fills b exactly. It verifies nothing; the result shares nothing
// with b. Errors wrap ErrEncoding.
func DecodeHead(b []byte) (*Head, error) {
	if len(b) < MinHeadSize {
		return nil, fmt.Errorf("%w: the head was cut", ErrEncoding)
	}
	if b[0] != version || b[1] != typeHead || b[2] > 1 {
		return nil, fmt.Errorf("%w: this is not a head", ErrEncoding)
	}
	if len(b) != MinHeadSize+int(b[2])*ident.NodeCertSize {
		return nil, fmt.Errorf("%w: a head of %d bytes", ErrEncoding, len(b))
	}
	h := &Head{
		Network: ident.NetworkKey(b[3:]),
		Number:  binary.BigEndian.Uint32(b[35:]),
		Count:   binary.BigEndian.Uint32(b[39:]),
		Hash:    [32]byte(b[43:]),
		Time:    binary.BigEndian.Uint32(b[75:]),
		Sig:     ident.Signature(b[len(b)-ident.SignatureSize:]),
	}
	if h.Number == 0 || h.Count == 0 || h.Count > MaxKeys {
		return nil, fmt.Errorf("%w: number %d with %d keys", ErrEncoding, h.Number, h.Count)
	}
	if b[2] == 1 {
		cert, err := ident.DecodeNodeCert(b[headBody : headBody+ident.NodeCertSize])
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrEncoding, err)
		}
		h.Signer = cert
	}
	return h, nil
}

// Verify checks that the network's key has signed, or a member of it with the role revoker.
// Whether that member still may is for the caller to say. Errors wrap ErrSigner.
func (h *Head) Verify() error {
	pub := [ident.KeySize]byte(h.Network)
	if h.Signer != nil {
		if err := h.Signer.Verify(&ident.NetworkCert{Key: h.Network}); err != nil {
			return fmt.Errorf("%w: %w", ErrSigner, err)
		}
		if !h.Signer.Roles.Has(ident.RoleRevoker) {
			return fmt.Errorf("%w: node %s has no role revoker", ErrSigner, h.Signer.Key)
		}
		pub = h.Signer.Key
	}
	if !ident.Verify(pub, ident.DomainRevocation, h.appendBody(nil), h.Sig) {
		return fmt.Errorf("%w: the signature of list %d does not verify", ErrSigner, h.Number)
	}
	return nil
}

// ResignationSize is the size in bytes of a resignation.
const ResignationSize = 2 + ident.KeySize + ident.NodeCertSize + ident.SignatureSize

// Resignation is the statement of a member that its own key is no longer to be trusted. It needs
// nobody else, and cannot be taken back.
//
//	version 1 | type 2 | network 32 | certificate 120 | signature by the certificate's key 64
type Resignation struct {
	// Network is the network that signed Cert.
	Network ident.NetworkKey
	// Cert is the certificate of the key that resigns.
	Cert *ident.NodeCert
	// Sig is the signature of that key, in ident.DomainRevocation.
	Sig ident.Signature
}

// Resign makes the resignation of a member.
func Resign(network ident.NetworkKey, cert *ident.NodeCert, secret *ident.Secret) *Resignation {
	r := &Resignation{Network: network, Cert: cert}
	r.Sig = secret.Sign(ident.DomainRevocation, r.appendBody(nil))
	return r
}

// Append appends the encoding of the resignation to dst.
func (r *Resignation) Append(dst []byte) []byte { return append(r.appendBody(dst), r.Sig[:]...) }

func (r *Resignation) appendBody(dst []byte) []byte {
	dst = append(dst, version, typeResignation)
	return r.Cert.Append(append(dst, r.Network[:]...))
}

// DecodeResignation reads a resignation that fills b exactly, and verifies nothing. Errors wrap
// ErrEncoding.
func DecodeResignation(b []byte) (*Resignation, error) {
	if len(b) != ResignationSize || b[0] != version || b[1] != typeResignation {
		return nil, fmt.Errorf("%w: this is not a resignation", ErrEncoding)
	}
	cert, err := ident.DecodeNodeCert(b[34 : 34+ident.NodeCertSize])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	sig := ident.Signature(b[34+ident.NodeCertSize:])
	return &Resignation{Network: ident.NetworkKey(b[2:]), Cert: cert, Sig: sig}, nil
}

// Verify checks that a member of the network has signed. Errors wrap ErrSigner.
func (r *Resignation) Verify() error {
	if err := r.Cert.Verify(&ident.NetworkCert{Key: r.Network}); err != nil {
		return fmt.Errorf("%w: %w", ErrSigner, err)
	}
	if !ident.Verify(r.Cert.Key, ident.DomainRevocation, r.appendBody(nil), r.Sig) {
		return fmt.Errorf("%w: the resignation of %s does not verify", ErrSigner, r.Cert.Key)
	}
	return nil
}
