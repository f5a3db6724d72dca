// SPDX-License-Identifier: Apache-2.0

// Package ident is who somebody is: public keys that are addresses, the private keys behind them,
// and the certificates that chain authority, network, node and endpoint together.
// It never reads a file, a clock or the machine's randomness, and never decides whom to trust.
//
// A chain has three tiers. A network certificate is signed by its own key or by an authority; a
// node certificate by the network key; an endpoint certificate by the network key (server end of
// a tunnel) or by a node key (client end).
package ident

import (
	"errors"
	"fmt"
)

// KeySize is the size in bytes of every public key, and of the seed of every private key.
const KeySize = 32

// The sentinels of this package. Every error returned wraps one of them, followed by a sentence
// for a person; a certificate's error may wrap that of its field as well. No error repeats secret
// key material or the content of a key file.
var (
	// ErrNodeID says that a text is not a node id.
	ErrNodeID = errors.New("not a node id")
	// ErrNetworkKey says that a text is not a network public key.
	ErrNetworkKey = errors.New("not a network public key")
	// ErrKey says that bytes are not a usable Ed25519 public key.
	ErrKey = errors.New("not a usable public key")
	// ErrCert says that bytes are not the canonical encoding of a certificate, or that a
	// certificate to be signed holds something that cannot be encoded.
	ErrCert = errors.New("not a valid certificate")
	// ErrSize says that a certificate would be larger than certificates of its kind may be.
	ErrSize = errors.New("certificate too large")
	// ErrSignature says that a certificate was not signed by the expected key.
	ErrSignature = errors.New("signature does not verify")
	// ErrNetwork says that a certificate belongs to another network.
	ErrNetwork = errors.New("certificate of another network")
	// ErrName says that a text is not a permitted name.
	ErrName = errors.New("not a permitted name")
	// ErrTarget says that a text or value is not a tunnel target.
	ErrTarget = errors.New("not a target")
	// ErrRole says that a text is not a role.
	ErrRole = errors.New("not a role")
	// ErrText says that a key or certificate file is not one line of BASE64.
	ErrText = errors.New("not a BASE64 text")
	// ErrSecret says that a text is not a private or names key, or that a secret was asked to
	// become text.
	ErrSecret = errors.New("not a usable secret")
	// ErrPassphrase says that a private key needs a passphrase or that the given one is wrong.
	ErrPassphrase = errors.New("passphrase")
)

// Identity is who a node is: its private key, its certificate, and the network it belongs to.
type Identity struct {
	// Secret is the node's private key, never nil.
	Secret *Secret
	// Cert is the node's own certificate, for the key of Secret.
	Cert *NodeCert
	// Network is the certificate of the network that signed Cert.
	Network *NetworkCert
	// Names is the network's names key; it means something only if HasNames.
	Names NamesKey
	// HasNames tells whether the node holds its network's names key.
	HasNames bool
}

// Check tells whether the parts fit together: the certificate is for the private key, and its
// chain of signatures holds. It does not judge validity, nor the trust in an authority. Errors wrap
// ErrKey, ErrNetwork or ErrSignature.
func (i *Identity) Check() error {
	if id := i.Secret.ID(); i.Cert.Key != id {
		return fmt.Errorf("%w: the node certificate is for %s, the private key is of %s",
			ErrKey, i.Cert.Key, id)
	}
	if err := i.Network.Verify(); err != nil {
		return err
	}
	return i.Cert.Verify(i.Network)
}
