// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"slices"

	"staex/internal/ident"
)

// maxAdmissionKeys bounds the keys that one first message is tried against.
const maxAdmissionKeys = 16

// networks is a set of network keys, found by their hash.
type networks map[ident.NetworkHash]ident.NetworkKey

func (s networks) add(k ident.NetworkKey) { s[k.Hash()] = k }

// verify checks that a node certificate belongs to one of the networks.
func (s networks) verify(c *ident.NodeCert) error {
	key, ok := s[c.Network]
	if !ok {
		return fmt.Errorf("node %v: %w", c.Key, ErrForeign)
	}
	return c.Verify(&ident.NetworkCert{Key: key})
}

// Why a neighbour or an offer is refused.
var (
	ErrForeign  = errors.New("its network is neither ours nor named in the configuration")
	ErrWrongPin = errors.New("another key answered than the one pinned in parents")
	ErrWrongKey = errors.New("the certificate speaks of another key")
	ErrNotFound = errors.New("not found")
	ErrSelf     = errors.New("its remote node is this node itself, and a tunnel needs two")
	ErrProof    = errors.New("nothing proves that its private key is there")
	ErrItself   = errors.New("it is this node itself, or has its key: take it out of parents, or " +
		"make a key for each device with mcc init")
	ErrInUse = errors.New("the key is in use for something else")
	ErrFull  = errors.New("this node has as many neighbours as it can hold")
)

// networksOf splits the configured keys: admission lets children attach, trust also lets members
// agree on tunnels (product decision: admission is not trust).
func networksOf(who *ident.Identity, cfg *Config) (admitted, trusted networks) {
	admitted, trusted = networks{}, networks{}
	trusted.add(who.Network.Key)
	for _, k := range cfg.TrustNetworks {
		trusted.add(k)
	}
	for _, k := range trusted {
		admitted.add(k)
	}
	for _, k := range cfg.RelayNetworks {
		admitted.add(k)
	}
	return admitted, trusted
}

// admissionKeys are the keys a first message may be addressed with, our own first.
func (n *Node) admissionKeys() [][32]byte {
	keys := [][32]byte{n.self, n.who.Network.Key}
	if own := n.who.Network; !own.SelfSigned() {
		keys = append(keys, own.Authority)
	}
	for _, list := range [][]ident.NetworkKey{
		n.cfg.Authorities, n.cfg.TrustNetworks, n.cfg.RelayNetworks,
	} {
		for _, k := range list {
			if len(keys) < maxAdmissionKeys {
				keys = append(keys, k)
			}
		}
	}
	return keys
}

// trusts reports whether a node with this certificate may agree on tunnels with us.
func (n *Node) trusts(c *ident.NodeCert) error {
	return n.orTrusted(c, n.proven(n.trusted, c))
}

// orTrusted lets a single node of a foreign network in that the configuration names. Its key was
// proven; its network's signature cannot be checked, so it may not claim a network that we know.
func (n *Node) orTrusted(c *ident.NodeCert, err error) error {
	_, known := n.admitted[c.Network]
	if errors.Is(err, ErrForeign) && !known && slices.Contains(n.cfg.TrustNodes, c.Key) {
		return n.fitNamed(c)
	}
	return err
}

// proves checks that a handshake's static key is the one the certificate speaks of.
func proves(c *ident.NodeCert, static [32]byte) error {
	if c.Key.X25519() != static {
		return fmt.Errorf("node %v: %w", c.Key, ErrWrongKey)
	}
	return nil
}
