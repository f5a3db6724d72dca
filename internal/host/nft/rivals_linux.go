// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nft

import (
	"fmt"

	"github.com/google/nftables"
)

// Rivals names the chains of other programs that drop what is forwarded unless a rule of theirs
// accepts it. Packets need the consent of every table, so such a chain can close what the table
// own (the name given to Open) opens. Chains of the older iptables are not seen.
func Rivals(own string) ([]string, error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("nft: list chains: %w", err)
	}
	chains, err := conn.ListChains()
	if err != nil {
		return nil, fmt.Errorf("nft: list chains: %w", err)
	}
	var rivals []string
	for _, c := range chains {
		if c.Table == nil || c.Table.Name == own || c.Hooknum == nil || c.Policy == nil ||
			*c.Hooknum != *nftables.ChainHookForward || *c.Policy != nftables.ChainPolicyDrop {
			continue
		}
		family := map[nftables.TableFamily]string{
			nftables.TableFamilyIPv4: "ip", nftables.TableFamilyIPv6: "ip6",
			nftables.TableFamilyINet: "inet",
		}[c.Table.Family]
		if family != "" {
			rivals = append(rivals, family+" "+c.Table.Name+" "+c.Name)
		}
	}
	return rivals, nil
}
