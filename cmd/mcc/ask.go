// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"staex/internal/api"
)

func (a *app) idCommand() *cobra.Command {
	return a.formatted(&cobra.Command{
		Use:   "id",
		Short: "Show this node's id",
		Args:  takes(0, 0),
		RunE: a.do(func([]string) error {
			var r api.IDReply
			if err := a.ask(api.OpID, nil, &r); err != nil {
				return err
			}
			return a.show(r, func() { a.printf("%s\n", r.ID) })
		}),
	})
}

func (a *app) parentCommand() *cobra.Command {
	return a.formatted(&cobra.Command{
		Use:   "parent",
		Short: "Show the address of the parent in use",
		Long: "Show the address (ip:port) of the parent in use. " +
			"A root has none and shows nothing.",
		Args: takes(0, 0),
		RunE: a.do(func([]string) error {
			var r api.ParentReply
			if err := a.ask(api.OpParent, nil, &r); err != nil {
				return err
			}
			return a.show(r, func() {
				if r.Address != "" {
					a.printf("%s\n", r.Address)
				}
			})
		}),
	})
}

func (a *app) healthCommand() *cobra.Command {
	return a.formatted(&cobra.Command{
		Use:   "health",
		Short: "Tell whether the daemon is well",
		Long: "Tell whether the daemon is well: exit code 0 if it is, even with warnings, " +
			"1 if it is not, 3 if it does not run.",
		Args: takes(0, 0),
		RunE: a.do(func([]string) error {
			var r api.HealthReply
			if err := a.ask(api.OpHealth, nil, &r); err != nil {
				return err
			}
			if err := a.show(r, func() { a.printHealth(r) }); err != nil {
				return err
			}
			if !r.OK {
				return failf(exitFailed, "the node is not healthy")
			}
			return nil
		}),
	})
}

func (a *app) printHealth(r api.HealthReply) {
	if r.OK {
		a.printf("healthy\n")
	}
	for _, p := range r.Problems {
		a.printf("problem: %s\n", p)
	}
	for _, w := range r.Warnings {
		a.printf("warning: %s\n", w)
	}
}

func (a *app) statusCommand() *cobra.Command {
	return a.formatted(&cobra.Command{
		Use:   "status",
		Short: "Show the node at a glance",
		Long: "Show the node at a glance: who it is, its parent, its tunnels, and what it has " +
			"dropped for\nwhich reason since its start. Times in JSON are nanoseconds.",
		Args: takes(0, 0),
		RunE: a.do(func([]string) error {
			var r api.StatusReply
			if err := a.ask(api.OpStatus, nil, &r); err != nil {
				return err
			}
			return a.show(r, func() { a.printStatus(r) })
		}),
	})
}

func (a *app) printStatus(r api.StatusReply) {
	parent := r.Parent.Address
	if parent == "" {
		parent = "none"
	}
	rows := [][]string{
		{"id", r.ID.String()},
		{"network", r.Network},
		{"version", r.Version},
		{"uptime", r.Uptime.Truncate(time.Second).String()},
		{"directory", r.Dir},
		{"device", r.Device},
		{"parent", parent},
		{"children", strconv.Itoa(r.Children)},
		{"nodes", strconv.Itoa(r.Nodes)},
		{"tunnels", strconv.Itoa(r.Tunnels)},
		{"sessions", strconv.Itoa(r.Sessions)},
	}
	var drops []string
	for _, d := range r.Drops {
		drops = append(drops, d.Reason+" "+strconv.FormatUint(d.Count, 10))
	}
	if len(drops) > 0 {
		rows = append(rows, []string{"dropped", strings.Join(drops, ", ")})
	}
	a.printf("%s", table(rows))
	a.printHealth(r.Health)
}
