// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/spf13/cobra"

// rulesCommand is a command of the manual that this version does not have: it says so instead
// of being unknown, and changes nothing.
func (a *app) rulesCommand() *cobra.Command {
	return a.formatted(&cobra.Command{
		Use:   "apply-forwarding-rules FILE",
		Short: "Replace the forwarding rules (not available in this version)",
		Long: "Replace the forwarding rules by those of a file, and take them back unless a " +
			"person confirms them.\nThis version has no forwarding rules: the command changes " +
			"nothing and ends with exit code 6.\nTo reach a port of another node: " +
			"mcc create-tunnel --targets tcp:PORT there.",
		Args: takes(1, 1),
		RunE: a.do(func([]string) error {
			return failf(exitRefused, "forwarding rules are not available in this version").
				withHint("to reach a port of another node, type there: mcc create-tunnel " +
					"--targets tcp:PORT --remote-node NODE")
		}),
	})
}
