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
	return rivals(own, *nftables.ChainHookForward, map[nftables.TableFamily]string{
		nftables.TableFamilyIPv4: "ip", nftables.TableFamilyIPv6: "ip6",
		nftables.TableFamilyINet: "inet",
	})
}

// Guards is Rivals for chains that drop IPv6 packets to this machine itself, as those to a proxy
// for a link-local address are.
func Guards(own string) ([]string, error) {
	return rivals(own, *nftables.ChainHookInput, map[nftables.TableFamily]string{
		nftables.TableFamilyIPv6: "ip6", nftables.TableFamilyINet: "inet",
	})
}

// rivals names the chains of a hook in tables of these families that drop by default.
func rivals(own string, hook nftables.ChainHook, families map[nftables.TableFamily]string,
) ([]string, error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("nft: list chains: %w", err)
	}
	chains, err := conn.ListChains()
	if err != nil {
		return nil, fmt.Errorf("nft: list chains: %w", err)
	}
	var list []string
	for _, c := range chains {
		if c.Table == nil || c.Table.Name == own || c.Hooknum == nil || c.Policy == nil ||
			*c.Hooknum != hook || *c.Policy != nftables.ChainPolicyDrop {
			continue
		}
		if family := families[c.Table.Family]; family != "" {
			list = append(list, family+" "+c.Table.Name+" "+c.Name)
		}
	}
	return list, nil
}
