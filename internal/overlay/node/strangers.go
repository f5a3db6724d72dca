// SPDX-License-Identifier: Apache-2.0

package node

import (
	"slices"
	"time"

	"staex/internal/clock"
	"staex/internal/ident"
)

// strangerEvery is how often a call is answered that proves membership of no network we know: the
// members of a trusted network do not have our names key, and each answer costs computing.
const strangerEvery = time.Second

// hearsStrangers reports whether such a call may be answered now. It is off unless the
// configuration trusts somebody outside the own network; who calls is checked after the handshake.
func (n *Node) hearsStrangers(now clock.Reading) bool {
	if len(n.cfg.TrustNetworks)+len(n.cfg.TrustNodes) == 0 {
		return false
	}
	if n.heard != 0 && now.Up-n.heard < strangerEvery {
		return false
	}
	n.heard = now.Up
	return true
}

// issuerOf is the network key that must have signed an offered endpoint: that of a trusted network,
// or, from a node that is trusted by itself, the one that it brings along.
func (n *Node) issuerOf(c *conversation, cert *ident.EndpointCert, network []byte,
) (ident.NetworkKey, bool) {
	if key, ok := n.trusted[cert.Network]; ok {
		return key, true
	}
	if !slices.Contains(n.cfg.TrustNodes, c.key.remote) {
		return ident.NetworkKey{}, false
	}
	brought, err := ident.DecodeNetworkCert(network)
	if err != nil || brought.Key.Hash() != cert.Network {
		return ident.NetworkKey{}, false
	}
	return brought.Key, true
}
