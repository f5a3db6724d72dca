// SPDX-License-Identifier: Apache-2.0

package ident

import (
	"encoding/binary"
	"fmt"
)

// NodeCertSize is the size in bytes of every node certificate.
const NodeCertSize = 120

// NodeCert says that a key is a member of a network. It is signed by the network's key.
//
//	 0         1        2             10         42             46
//	+---------+--------+-------------+----------+--------------+-------------+
//	| version | type 2 | network (8) | key (32) | not before 4 | not after 4 |
//	+---------+--------+-------------+----------+--------------+-------------+
//	| serial 4 | roles 2 | signature of everything before it (64)            |
//	+----------+---------+---------------------------------------------------+
//	 50         54        56                                                120
//
// Numbers are big endian. The type bytes are: 1 network, 2 node, 3 server endpoint, 4 client
// endpoint.
type NodeCert struct {
	// Network is the hash of the network's key.
	Network NetworkHash
	// Key is the member's public key.
	Key NodeID
	// Validity is when the certificate holds; nodes of a self-made network have no limits.
	Validity
	// Serial counts the certificates made for one key; the highest is the newest.
	Serial uint32
	// Roles is what the member may do beyond being one.
	Roles Role
	// Sig is the network key's signature, in DomainCert.
	Sig Signature
}

// DecodeNodeCert reads the one encoding of a node certificate and checks that its key is usable,
// but not its signature. Errors wrap ErrCert or ErrSize.
func DecodeNodeCert(b []byte) (*NodeCert, error) {
	r, t, err := open(b, NodeCertSize, typeNode)
	if err != nil {
		return nil, err
	}
	c := &NodeCert{
		Network:  r.hash(),
		Key:      r.key(),
		Validity: r.validity(),
		Serial:   r.uint32(),
		Roles:    Role(r.uint16()),
		Sig:      r.signature(),
	}
	if err := r.end(t); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	return c, nil
}

// Append appends the certificate's encoding to dst.
func (c *NodeCert) Append(dst []byte) []byte { return append(c.appendBody(dst), c.Sig[:]...) }

func (c *NodeCert) appendBody(dst []byte) []byte {
	dst = append(dst, certVersion, byte(typeNode))
	dst = append(dst, c.Network[:]...)
	dst = append(dst, c.Key[:]...)
	dst = c.Validity.append(dst)
	dst = binary.BigEndian.AppendUint32(dst, c.Serial)
	return binary.BigEndian.AppendUint16(dst, uint16(c.Roles))
}

func (c *NodeCert) check() error {
	if err := c.Validity.check(); err != nil {
		return err
	}
	return checkCertKey(c.Key, "node key")
}

// SignNodeCert makes c a certificate of the network with the given private key: it sets Network
// and Sig. Errors wrap ErrCert and say which field cannot be certified; c is then unchanged.
func SignNodeCert(c *NodeCert, network *Secret) error {
	if err := c.check(); err != nil {
		return fmt.Errorf("sign node certificate: %w", err)
	}
	c.Network = network.NetworkKey().Hash()
	c.Sig = network.Sign(DomainCert, c.appendBody(nil))
	return nil
}

// Verify checks that the certificate was signed by the network n, whose own certificate is not
// looked into. It does not judge validity. Errors wrap ErrNetwork or ErrSignature.
func (c *NodeCert) Verify(n *NetworkCert) error {
	if c.Network != n.Key.Hash() {
		return fmt.Errorf("%w: node %s belongs to %s, not to %s",
			ErrNetwork, c.Key, c.Network, n.Key.Hash())
	}
	if !Verify(n.Key, DomainCert, c.appendBody(nil), c.Sig) {
		return fmt.Errorf("%w: certificate of node %s", ErrSignature, c.Key)
	}
	return nil
}
