// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"
)

// missing are commands of the manual that this version does not have. They answer with a
// sentence instead of "unknown command".
var missing = []struct{ use, short, instead string }{
	{
		"generate-dependent-node-certificate", "Deprecated: use create-tunnel",
		"use mcc create-tunnel --external-ip-address",
	},
	{
		"apply-forwarding-rules", "Not available in this version",
		"use mcc create-tunnel to reach a port of another node",
	},
}

func (a *app) missingCommands() []*cobra.Command {
	var all []*cobra.Command
	for _, m := range missing {
		all = append(all, &cobra.Command{
			Use:                m.use,
			Short:              m.short,
			Hidden:             true,
			DisableFlagParsing: true,
			RunE: a.do(func([]string) error {
				return failf(exitRefused, "%s is not available in this version", m.use).
					withHint("%s", m.instead)
			}),
		})
	}
	return all
}
