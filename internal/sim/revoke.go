// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"staex/internal/ident"
	"staex/internal/overlay/node"
	"staex/internal/overlay/revoke"
)

// NextList is the list of revoked keys that an operator signs with a network's key after asking
// this host for the newest one.
func (h *Host) NextList(n *Network, keys ...ident.NodeID) *revoke.List {
	known, _ := h.Node.Revocations(n.Cert.Key)
	by := revoke.Signer{Secret: n.Secret, Network: n.Cert.Key}
	l, err := revoke.Next(known, keys, by, uint32(h.w.reading().Wall.Unix()))
	must(err)
	return l
}

// Revoke takes keys of the world's own network back, as its operator does at this host.
func (h *Host) Revoke(keys ...ident.NodeID) {
	must(h.Apply(node.Revoke{List: h.NextList(h.w.network, keys...).Append(nil)}))
}

// Certify gives the host another certificate of the world's own network, changed by f, and starts
// it again with what is on its disk.
func (h *Host) Certify(f func(c *ident.NodeCert)) {
	h.Kill()
	cert := &ident.NodeCert{Key: h.ID()}
	f(cert)
	must(ident.SignNodeCert(cert, h.w.network.Secret))
	who := *h.Who
	who.Cert = cert
	h.Who = &who
	h.Start()
}
