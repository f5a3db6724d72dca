// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"strings"

	"github.com/spf13/cobra"

	"staex/internal/api"
)

func (a *app) tunnelsCommand() *cobra.Command {
	return a.formatted(&cobra.Command{
		Use:   "tunnels",
		Short: "Show this node's tunnels and the ones offered to it",
		Args:  takes(0, 0),
		RunE: a.do(func([]string) error {
			r := api.TunnelsReply{Tunnels: []api.Tunnel{}}
			if err := a.ask(api.OpTunnels, nil, &r); err != nil {
				return err
			}
			return a.show(r, func() {
				a.printf("%s", tunnelTable(r.Tunnels))
				if r.Endless > 0 {
					a.notef("the clock of this machine is not synchronised, so it is not "+
						"believed: tunnels that do not end when EXPIRES says: %d\n     %s",
						r.Endless, clockHint)
				}
			})
		}),
	})
}

func tunnelTable(tunnels []api.Tunnel) string {
	rows := [][]string{{
		"NAME", "TUNNEL_ID", "SIDE", "STATE", "TARGETS", "REMOTE_NODE", "ADDRESS", "EXPIRES",
	}}
	for _, t := range tunnels {
		address := ""
		if t.IPv4.IsValid() {
			address = t.IPv4.String()
		}
		targets := make([]string, len(t.Targets))
		for i, target := range t.Targets {
			targets[i] = target.String()
		}
		rows = append(rows, []string{
			t.Name, t.ID.String(), t.Side, t.State, strings.Join(targets, ","),
			idOrNothing(t.RemoteNode), address, moment(t.Expires),
		})
	}
	return table(rows)
}

const deleting = "Either node of a tunnel can delete it, and no other: the other one is told " +
	"over their session, or when\nit is back. Where the tunnel was created its files move to " +
	"deleted in the tunnels directory, whichever\nend deleted it, and the client keeps a mark: " +
	"files that are moved back do not bring the tunnel back,\nand mcc create-tunnel makes a new " +
	"one. mcc disable-tunnel stops the traffic and deletes nothing."

// switches are the commands that change one tunnel by name or id.
var switches = []switching{
	{api.OpAcceptTunnel, "Accept a tunnel that another node offers", "accepted"},
	{api.OpRejectTunnel, "Reject a tunnel that another node offers", "rejected"},
	{api.OpDisableTunnel, "Stop a tunnel's traffic at once and keep the tunnel", "disabled"},
	{api.OpEnableTunnel, "Let a disabled tunnel's traffic pass again", "enabled"},
	{api.OpDeleteTunnel, "Delete a tunnel at both ends", "deleted"},
}

// A switching is one of them: the operation, what it does, and the word for what is done.
type switching struct{ op, short, done string }

func (s switching) long() string {
	text := s.short + ". TUNNEL is its name or its id as mcc tunnels shows them."
	if s.op == api.OpDeleteTunnel {
		text += "\n" + deleting
	}
	return text
}

func (a *app) switchCommands() []*cobra.Command {
	var all []*cobra.Command
	for _, s := range switches {
		all = append(all, a.formatted(&cobra.Command{
			Use:   s.op + " TUNNEL",
			Short: s.short,
			Long:  s.long(),
			Args:  takes(1, 1),
			RunE: a.do(func(words []string) error {
				var r api.TunnelReply
				if err := a.ask(s.op, api.TunnelArgs{Tunnel: words[0]}, &r); err != nil {
					return err
				}
				return a.show(r, func() { a.printSwitched(r, s.done) })
			}),
			ValidArgsFunction: a.tunnelNames(s.op),
		}))
	}
	return all
}

// tunnelNames completes the names of the tunnels that an operation is for. Without a daemon there
// are none.
func (a *app) tunnelNames(op string) cobra.CompletionFunc {
	only := map[string]string{
		api.OpAcceptTunnel: api.StateOffered, api.OpRejectTunnel: api.StateOffered,
		api.OpEnableTunnel: api.StateDisabled,
	}[op]
	return func(_ *cobra.Command, args []string, start string) (
		[]cobra.Completion, cobra.ShellCompDirective,
	) {
		var r api.TunnelsReply
		if len(args) > 0 || a.ask(api.OpTunnels, nil, &r) != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []cobra.Completion
		for _, t := range r.Tunnels {
			if name := cmp.Or(t.Name, t.ID.String()); strings.HasPrefix(name, start) &&
				(only == "" || only == t.State) {
				names = append(names, cobra.CompletionWithDesc(name, t.State))
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

func (a *app) printSwitched(r api.TunnelReply, done string) {
	name := r.Name
	if name == "" {
		name = r.ID.String()
	}
	a.printf("tunnel %s: %s", name, done)
	if r.State != "" && r.State != done {
		a.printf(", %s", r.State)
	}
	a.printf("\n")
}
