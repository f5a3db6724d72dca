// SPDX-License-Identifier: Apache-2.0

package ident

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// MaxEndpointCertSize is the size in bytes of the largest endpoint certificate; targets and names
// share it.
const MaxEndpointCertSize = 320

// MaxNames is the largest number of names of one endpoint.
const MaxNames = 8

// EndpointKind tells the two ends of a tunnel apart.
type EndpointKind uint8

// The kinds of endpoints.
const (
	// ServerEndpoint is the end that offers the targets.
	ServerEndpoint EndpointKind = 1
	// ClientEndpoint is the end that uses them.
	ClientEndpoint EndpointKind = 2
)

// String is server or client.
func (k EndpointKind) String() string {
	switch k {
	case ServerEndpoint:
		return "server"
	case ClientEndpoint:
		return "client"
	default:
		return fmt.Sprintf("endpoint kind %d", uint8(k))
	}
}

// Values of the family byte before a static address.
const (
	familyNone = 0
	familyV4   = 4
	familyV6   = 6
)

// EndpointCert says that a key is one end of a tunnel, and what the tunnel is. A server endpoint's
// is signed by the network's key, a client endpoint's by the client's node key; the second kind
// ends after the serial number.
//
//	 0         1          2             10         42          74
//	+---------+----------+-------------+----------+-----------+--------------+
//	| version | type 3,4 | network (8) | key (32) | peer (32) | not before 4 |
//	+---------+----------+-------------+----------+-----------+--------------+
//	| not after 4 | serial 4 | family 1: 0, 4, 6 | static address (0, 4, 16) |
//	+-------------+----------+-------------------+----------------------------+
//	| targets 1 | protocol 1, port 2 | ... | names 1 | length 1, name | ...    |
//	+-----------+--------------------+-----+---------+----------------+--------+
//	| signature of everything before it (64)                                  |
//	+--------------------------------------------------------------------------+
//
// Numbers are big endian.
type EndpointCert struct {
	// Kind is which end this is.
	Kind EndpointKind
	// Network is the hash of the key of the network that the endpoint's host belongs to.
	Network NetworkHash
	// Key is the endpoint's public key.
	Key NodeID
	// Peer is the remote node for a server endpoint, the server endpoint for a client endpoint.
	Peer NodeID
	// Validity is when the tunnel holds.
	Validity
	// Serial counts the certificates made for one key; the highest is the newest.
	Serial uint32
	// Targets are the services of a server endpoint, 1 to MaxTargets, in the order that index
	// bytes on the wire refer to. A client endpoint has none.
	Targets []Target
	// Names are the DNS names of a server endpoint, at most MaxNames. A client endpoint has none.
	Names []string
	// Static is the overlay address asked for by a server endpoint; the zero Addr is none.
	Static netip.Addr
	// Sig is the signature by the network's or the node's key, in DomainCert.
	Sig Signature
}

// DecodeEndpointCert reads the one encoding of an endpoint certificate of either kind and checks
// that its keys are usable, but not its signature. Errors wrap ErrCert or ErrSize.
func DecodeEndpointCert(b []byte) (*EndpointCert, error) {
	r, t, err := open(b, MaxEndpointCertSize, typeServerEndpoint, typeClientEndpoint)
	if err != nil {
		return nil, err
	}
	c := &EndpointCert{
		Kind:     ClientEndpoint,
		Network:  r.hash(),
		Key:      r.key(),
		Peer:     r.key(),
		Validity: r.validity(),
		Serial:   r.uint32(),
	}
	if t == typeServerEndpoint {
		c.Kind = ServerEndpoint
		if err := c.decodeService(r); err != nil {
			return nil, err
		}
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

// decodeService reads what only a server endpoint's certificate has.
func (c *EndpointCert) decodeService(r *reader) (err error) {
	if c.Static, err = r.static(); err != nil {
		return err
	}
	targets := int(r.uint8())
	if targets > MaxTargets {
		return fmt.Errorf("%w: %w", ErrCert, errTooManyTargets())
	}
	for range targets {
		c.Targets = append(c.Targets, Target{Proto: r.uint8(), Port: r.uint16()})
	}
	c.Names, err = r.names()
	return err
}

// Append appends the certificate's encoding to dst.
func (c *EndpointCert) Append(dst []byte) []byte { return append(c.appendBody(dst), c.Sig[:]...) }

func (c *EndpointCert) appendBody(dst []byte) []byte {
	t := typeServerEndpoint
	if c.Kind == ClientEndpoint {
		t = typeClientEndpoint
	}
	dst = append(dst, certVersion, byte(t))
	dst = append(dst, c.Network[:]...)
	dst = append(dst, c.Key[:]...)
	dst = append(dst, c.Peer[:]...)
	dst = c.Validity.append(dst)
	dst = binary.BigEndian.AppendUint32(dst, c.Serial)
	if t == typeServerEndpoint {
		dst = c.appendService(dst)
	}
	return dst
}

func (c *EndpointCert) appendService(dst []byte) []byte {
	dst = appendStatic(dst, c.Static)
	dst = append(dst, byte(len(c.Targets)))
	for _, t := range c.Targets {
		dst = append(dst, t.Proto)
		dst = binary.BigEndian.AppendUint16(dst, t.Port)
	}
	return appendNames(dst, c.Names)
}

func (c *EndpointCert) check() error {
	if err := c.Validity.check(); err != nil {
		return err
	}
	switch c.Kind {
	case ServerEndpoint:
		if err := c.checkService(); err != nil {
			return err
		}
	case ClientEndpoint:
		if len(c.Targets) != 0 || len(c.Names) != 0 || c.Static.IsValid() {
			return fmt.Errorf("%w: a client endpoint has no targets, names or static address",
				ErrCert)
		}
	default:
		return fmt.Errorf("%w: %s", ErrCert, c.Kind)
	}
	if err := checkCertKey(c.Key, "endpoint key"); err != nil {
		return err
	}
	return checkCertKey(c.Peer, "remote key")
}

// checkService checks what only a server endpoint's certificate has. Names and targets are
// bounded before the size is taken, so a length never overflows its byte unnoticed.
func (c *EndpointCert) checkService() error {
	if err := checkTargets(c.Targets); err != nil {
		return fmt.Errorf("%w: %w", ErrCert, err)
	}
	if err := checkNames(c.Names); err != nil {
		return err
	}
	if err := checkStatic(c.Static); err != nil {
		return err
	}
	if size := len(c.appendBody(nil)) + SignatureSize; size > MaxEndpointCertSize {
		return fmt.Errorf("%w: %d bytes, an endpoint certificate has at most %d; "+
			"use fewer targets or shorter names", ErrSize, size, MaxEndpointCertSize)
	}
	return nil
}

// checkStatic accepts no address, or one that a single host can have.
func checkStatic(a netip.Addr) error {
	if !a.IsValid() {
		return nil
	}
	if a.Is4In6() || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() {
		return fmt.Errorf("%w: %s cannot be a static address", ErrCert, a)
	}
	return nil
}

func errTooManyNames() error {
	return fmt.Errorf("%w: an endpoint has at most %d names", ErrName, MaxNames)
}

// SignEndpointCert signs c: a server endpoint's with the network's private key, which also sets
// Network, a client endpoint's with the private key of the client node, whose network the caller
// has set. Errors wrap ErrCert or ErrSize and say which field cannot be certified; c is then
// unchanged.
func SignEndpointCert(c *EndpointCert, signer *Secret) error {
	if err := c.check(); err != nil {
		return fmt.Errorf("sign endpoint certificate: %w", err)
	}
	if c.Kind == ServerEndpoint {
		c.Network = signer.NetworkKey().Hash()
	}
	c.Sig = signer.Sign(DomainCert, c.appendBody(nil))
	return nil
}

// VerifyBy checks that the certificate was signed by pub: the network's key for a server
// endpoint, the client's node key for a client endpoint. It does not judge validity. Errors wrap
// ErrNetwork or ErrSignature.
func (c *EndpointCert) VerifyBy(pub [KeySize]byte) error {
	if c.Kind == ServerEndpoint && c.Network != NetworkKey(pub).Hash() {
		return fmt.Errorf("%w: endpoint %s belongs to %s", ErrNetwork, c.Key, c.Network)
	}
	if !Verify(pub, DomainCert, c.appendBody(nil), c.Sig) {
		return fmt.Errorf("%w: certificate of %s endpoint %s", ErrSignature, c.Kind, c.Key)
	}
	return nil
}
