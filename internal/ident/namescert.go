// SPDX-License-Identifier: Apache-2.0

package ident

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
)

// MaxNamesCertSize is the size in bytes of the largest names certificate, which its names share.
const MaxNamesCertSize = 320

// NamesCert says that names and an address belong to a node. It is signed by the network's key, so
// it counts for more than what a node says of itself.
//
//	 0         1        2             10         42             46
//	+---------+--------+-------------+----------+--------------+-------------+
//	| version | type 5 | network (8) | key (32) | not before 4 | not after 4 |
//	+---------+--------+-------------+----------+--------------+-------------+
//	| serial 4 | family 1: 0, 4, 6 | static address (0, 4, 16)               |
//	+----------+-----------+-------+-----------------------------------------+
//	| names 1 | length 1, name | ... | signature of everything before it (64) |
//	+---------+----------------+-----+---------------------------------------+
//
// Numbers are big endian.
type NamesCert struct {
	// Network is the hash of the network's key.
	Network NetworkHash
	// Key is the key of the node that the names belong to.
	Key NodeID
	// Validity is when they do.
	Validity
	// Serial counts the certificates made for one key; the highest is the newest.
	Serial uint32
	// Static is the overlay address of the node; the zero Addr is none.
	Static netip.Addr
	// Names are DNS names of the node, at most MaxNames; with Static there is at least one claim.
	Names []string
	// Sig is the network key's signature, in DomainCert.
	Sig Signature
}

// DecodeNamesCert reads the one encoding of a names certificate and checks that its key is usable,
// but not its signature. Errors wrap ErrCert or ErrSize.
func DecodeNamesCert(b []byte) (*NamesCert, error) {
	r, t, err := open(b, MaxNamesCertSize, typeNames)
	if err != nil {
		return nil, err
	}
	c := &NamesCert{Network: r.hash(), Key: r.key(), Validity: r.validity(), Serial: r.uint32()}
	if c.Static, err = r.static(); err != nil {
		return nil, err
	}
	if c.Names, err = r.names(); err != nil {
		return nil, err
	}
	c.Sig = r.signature()
	if err := r.end(t); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	return c, nil
}

// Append appends the certificate's encoding to dst.
func (c *NamesCert) Append(dst []byte) []byte { return append(c.appendBody(dst), c.Sig[:]...) }

func (c *NamesCert) appendBody(dst []byte) []byte {
	dst = append(dst, certVersion, byte(typeNames))
	dst = append(dst, c.Network[:]...)
	dst = append(dst, c.Key[:]...)
	dst = c.Validity.append(dst)
	dst = binary.BigEndian.AppendUint32(dst, c.Serial)
	return appendNames(appendStatic(dst, c.Static), c.Names)
}

func (c *NamesCert) check() error {
	if err := c.Validity.check(); err != nil {
		return err
	}
	if len(c.Names) == 0 && !c.Static.IsValid() {
		return fmt.Errorf("%w: it has neither a name nor an address", ErrCert)
	}
	if err := checkNames(c.Names); err != nil {
		return err
	}
	if err := checkStatic(c.Static); err != nil {
		return err
	}
	if size := len(c.appendBody(nil)) + SignatureSize; size > MaxNamesCertSize {
		return fmt.Errorf("%w: %d bytes, a names certificate has at most %d; use shorter names",
			ErrSize, size, MaxNamesCertSize)
	}
	return checkCertKey(c.Key, "node key")
}

// SignNamesCert makes c a certificate of the network with the given private key: it sets Network
// and Sig. Errors wrap ErrCert or ErrSize and say which field cannot be certified; c is then
// unchanged.
func SignNamesCert(c *NamesCert, network *Secret) error {
	if err := c.check(); err != nil {
		return fmt.Errorf("sign names certificate: %w", err)
	}
	c.Network = network.NetworkKey().Hash()
	c.Sig = network.Sign(DomainCert, c.appendBody(nil))
	return nil
}

// VerifyBy checks that the certificate was signed by the network with this key. It does not judge
// validity. Errors wrap ErrNetwork or ErrSignature.
func (c *NamesCert) VerifyBy(network NetworkKey) error {
	if c.Network != network.Hash() {
		return fmt.Errorf("%w: names of node %s belong to %s, not to %s",
			ErrNetwork, c.Key, c.Network, network.Hash())
	}
	if !Verify(network, DomainCert, c.appendBody(nil), c.Sig) {
		return fmt.Errorf("%w: names certificate of node %s", ErrSignature, c.Key)
	}
	return nil
}

// static reads a family byte and the address behind it.
func (r *reader) static() (netip.Addr, error) {
	switch family := r.uint8(); family {
	case familyNone:
		return netip.Addr{}, nil
	case familyV4:
		return netip.AddrFrom4([4]byte(r.take(4))), nil
	case familyV6:
		return netip.AddrFrom16([16]byte(r.take(16))), nil
	default:
		return netip.Addr{}, fmt.Errorf("%w: address family %d", ErrCert, family)
	}
}

// names reads a list of at most MaxNames names; what they are is checked later.
func (r *reader) names() (list []string, err error) {
	count := int(r.uint8())
	if count > MaxNames {
		return nil, fmt.Errorf("%w: %w", ErrCert, errTooManyNames())
	}
	for range count {
		list = append(list, r.text())
	}
	return list, nil
}

func appendStatic(dst []byte, a netip.Addr) []byte {
	switch {
	case !a.IsValid():
		return append(dst, familyNone)
	case a.Is4():
		dst = append(dst, familyV4)
	default:
		dst = append(dst, familyV6)
	}
	return append(dst, a.AsSlice()...)
}

func appendNames(dst []byte, names []string) []byte {
	dst = append(dst, byte(len(names)))
	for _, name := range names {
		dst = appendText(dst, name)
	}
	return dst
}

// checkNames is called before a size is taken, so that a length never overflows its byte unnoticed.
func checkNames(names []string) error {
	if len(names) > MaxNames {
		return fmt.Errorf("%w: %w", ErrCert, errTooManyNames())
	}
	for i, name := range names {
		if err := CheckName(name); err != nil {
			return fmt.Errorf("%w: %w", ErrCert, err)
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("%w: the name %s is listed twice", ErrCert, name)
		}
	}
	return nil
}
