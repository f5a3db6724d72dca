// SPDX-License-Identifier: Apache-2.0

package conf

import (
	"fmt"
	"slices"
)

// A missing entry names a key whose feature this version does not have.
// Building the feature removes the line and nothing else.
type missing struct {
	key  string
	what string   // the feature, as the start of "... is not available in this version"
	off  []string // values beside the default that ask for nothing, and so are true
}

// unbuilt lists every key that may only stand at its default for now.
var unbuilt = []missing{
	{key: "compression", what: "compression of tunnelled packets"},
	{key: "direct-paths", what: "the direct path between nodes"},
	{key: "cert-update-addr", what: "automatic renewal of certificates"},
	{key: "cert-update-enable", what: "automatic renewal of certificates", off: []string{"false"}},
	{key: "cert-update-period", what: "automatic renewal of certificates"},
	{key: "exit-node", what: "the exit node"},
	{key: "gateway", what: "the gateway"},
	{key: "gateway-post-add-hook", what: "the gateway"},
	{key: "gateway-post-delete-hook", what: "the gateway"},
	{key: "kill-switch", what: "the kill switch"},
	{key: "nat-table-expiry", what: "the exit node's address translation"},
	{key: "reroute-dns", what: "rerouting of DNS"},
	{key: "reroute-ntp", what: "rerouting of NTP"},
	{key: "ssl-install", what: "the distribution of SSL certificates"},
	{key: "ssl-manage-script", what: "the distribution of SSL certificates"},
	{key: "ssl-certificates", what: "the distribution of SSL certificates"},
	{key: "ssl-publishers", what: "the distribution of SSL certificates"},
	{key: "ssl-storage-timeout", what: "the distribution of SSL certificates"},
	{key: "ssl-storage-cleanup-period", what: "the distribution of SSL certificates"},
	{key: "ssl-certificates-ttl", what: "the distribution of SSL certificates"},
	{key: "ssl-update-batch-size", what: "the distribution of SSL certificates"},
	{key: "ssl-update-send-period", what: "the distribution of SSL certificates"},
}

// covers tells whether a canonical value asks for the missing feature.
func (m missing) covers(value string) bool {
	return !slices.Contains(m.off, value)
}

// sentence tells a person what is missing and what to write instead.
func (m missing) sentence(name, def string) string {
	return fmt.Sprintf("%s is not available in this version; remove the line or write \"%s\"",
		m.what, line(name, def))
}
