// SPDX-License-Identifier: Apache-2.0

package ident

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

// MaxIssuerLength is the longest address of an issuer in bytes. With it, two certificates and a
// chain of parents still fit into the smallest datagram that every path carries.
const MaxIssuerLength = 128

// MaxNetworkCertSize is the size in bytes of the largest network certificate.
const MaxNetworkCertSize = 3 + 3*KeySize + 14 + 1 + MaxNameLength + 1 + MaxIssuerLength +
	SignatureSize

// Bits of the flags byte of a network certificate. Other bits are refused: they would change the
// layout.
const (
	flagAuthority = 1 << 0
	flagSuccessor = 1 << 1
	knownFlags    = flagAuthority | flagSuccessor
)

// NetworkCert says that a key is a network. It is signed by the network's own key, or by that of
// an authority, which puts a third tier above nodes and networks.
//
//	 0         1        2             3          35
//	+---------+--------+-------------+----------+--------------------------+
//	| version | type 1 | 0 ... 0 s a | key (32) | authority (32), only if a |
//	+---------+--------+-------------+----------+--------------------------+
//	| successor (32), only if s | not before 4 | not after 4 | serial 4    |
//	+---------+----------------+---------------------+---------------------+
//	| roles 2 | name length 1  | name | issuer length 1 | issuer           |
//	+---------+----------------+---------------------+---------------------+
//	| signature of everything before it (64)                               |
//	+-----------------------------------------------------------------------+
//
// Numbers are big endian. A self-signed certificate has no authority field, so that each
// certificate has one encoding.
type NetworkCert struct {
	// Key is the network's public key.
	Key NetworkKey
	// Authority is the key that signed this certificate; it equals Key if that is self-signed.
	Authority NetworkKey
	// Successor is the key that will follow Key, or zero.
	Successor NetworkKey
	// Validity is when the certificate holds; self-made networks have no limits.
	Validity
	// Serial counts the certificates made for one key; the highest is the newest.
	Serial uint32
	// Roles is what the authority permits to the network's nodes.
	Roles Role
	// Name is what people call the network: a name that CheckName accepts, or empty.
	Name string
	// Issuer is the host:port at which certificates are renewed, or empty.
	Issuer string
	// Sig is the authority's signature, in DomainCert.
	Sig Signature
}

// DecodeNetworkCert reads the one encoding of a network certificate and checks that its keys are
// usable, but not its signature. Errors wrap ErrCert or ErrSize.
func DecodeNetworkCert(b []byte) (*NetworkCert, error) {
	r, t, err := open(b, MaxNetworkCertSize, typeNetwork)
	if err != nil {
		return nil, err
	}
	flags := r.uint8()
	if flags&^knownFlags != 0 {
		return nil, fmt.Errorf("%w: its flags %#x are not known here", ErrCert, flags)
	}
	c := &NetworkCert{Key: r.key()}
	c.Authority = c.Key
	if flags&flagAuthority != 0 {
		c.Authority = r.key()
	}
	if flags&flagSuccessor != 0 {
		c.Successor = r.key()
	}
	c.Validity = r.validity()
	c.Serial = r.uint32()
	c.Roles = Role(r.uint16())
	c.Name = r.text()
	c.Issuer = r.text()
	c.Sig = r.signature()
	if err := r.end(t); err != nil {
		return nil, err
	}
	if c.flags() != flags {
		return nil, fmt.Errorf("%w: it spells out a key that must be left out", ErrCert)
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	return c, nil
}

// Append appends the certificate's encoding to dst.
func (c *NetworkCert) Append(dst []byte) []byte { return append(c.appendBody(dst), c.Sig[:]...) }

func (c *NetworkCert) appendBody(dst []byte) []byte {
	flags := c.flags()
	dst = append(dst, certVersion, byte(typeNetwork), flags)
	dst = append(dst, c.Key[:]...)
	if flags&flagAuthority != 0 {
		dst = append(dst, c.Authority[:]...)
	}
	if flags&flagSuccessor != 0 {
		dst = append(dst, c.Successor[:]...)
	}
	dst = c.Validity.append(dst)
	dst = binary.BigEndian.AppendUint32(dst, c.Serial)
	dst = binary.BigEndian.AppendUint16(dst, uint16(c.Roles))
	dst = appendText(dst, c.Name)
	return appendText(dst, c.Issuer)
}

func (c *NetworkCert) flags() (flags byte) {
	if c.Authority != c.Key {
		flags |= flagAuthority
	}
	if !c.Successor.IsZero() {
		flags |= flagSuccessor
	}
	return flags
}

func (c *NetworkCert) check() error {
	if err := c.Validity.check(); err != nil {
		return err
	}
	if c.Name != "" {
		if err := CheckName(c.Name); err != nil {
			return fmt.Errorf("%w: network name: %w", ErrCert, err)
		}
	}
	if c.Issuer != "" && !isHostPort(c.Issuer) {
		return fmt.Errorf("%w: issuer %q is not a host:port of at most %d characters",
			ErrCert, clip(c.Issuer), MaxIssuerLength)
	}
	if err := checkCertKey(c.Key, "network key"); err != nil {
		return err
	}
	if c.Authority != c.Key {
		if err := checkCertKey(c.Authority, "authority"); err != nil {
			return err
		}
	}
	if c.Successor.IsZero() {
		return nil
	}
	if c.Successor == c.Key {
		return fmt.Errorf("%w: it names itself as its successor", ErrCert)
	}
	return checkCertKey(c.Successor, "successor")
}

// IssuerNode is the key at which certificates are renewed inside the network, if the first label of
// Issuer is one: then there is a road to it for nodes whose certificate has expired. A host of the
// internet needs none.
func (c *NetworkCert) IssuerNode() (NodeID, bool) {
	host, _, _ := strings.Cut(c.Issuer, ":")
	label, _, _ := strings.Cut(host, ".")
	id, err := ParseNodeID(label)
	return id, err == nil
}

// isHostPort accepts a lower-case DNS name or an IP address with a port.
func isHostPort(s string) bool {
	if len(s) > MaxIssuerLength {
		return false
	}
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 {
		return false
	}
	if _, ok := parsePort(s[colon+1:]); !ok {
		return false
	}
	if addr, err := netip.ParseAddrPort(s); err == nil {
		return addr.Addr().Zone() == "" && addr.String() == s
	}
	for label := range strings.SplitSeq(s[:colon], ".") {
		if !isHostLabel(label) {
			return false
		}
	}
	return true
}

func isHostLabel(label string) bool {
	if label == "" || len(label) > MaxNameLength ||
		label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for i := range len(label) {
		if !isLabelByte(label[i]) {
			return false
		}
	}
	return true
}

// SignNetworkCert signs c with the private key of its authority, or of the network itself: it sets
// Authority and Sig. Errors wrap ErrCert and say which field cannot be certified; Sig is then
// unchanged.
func SignNetworkCert(c *NetworkCert, authority *Secret) error {
	c.Authority = authority.NetworkKey()
	if err := c.check(); err != nil {
		return fmt.Errorf("sign network certificate: %w", err)
	}
	c.Sig = authority.Sign(DomainCert, c.appendBody(nil))
	return nil
}

// SelfSigned tells whether the network vouches for itself.
func (c *NetworkCert) SelfSigned() bool { return c.Authority == c.Key }

// Verify checks the signature by the key that the certificate names as its authority. It says
// nothing about whether to trust that authority, and does not judge validity. Errors wrap
// ErrSignature.
func (c *NetworkCert) Verify() error {
	if !Verify(c.Authority, DomainCert, c.appendBody(nil), c.Sig) {
		return fmt.Errorf("%w: certificate of network %s", ErrSignature, c.Key)
	}
	return nil
}
