// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"staex/internal/api"
	"staex/internal/ident"
)

// timeLayout is how the table shows a moment: local time, milliseconds, numeric zone.
const timeLayout = "2006-01-02T15:04:05.000-0700"

// maxNodes bounds what one run holds in memory: a root of the largest network there is.
const maxNodes = 2_000_000

func (a *app) nodesCommand() *cobra.Command {
	var args api.NodesArgs
	c := a.formatted(&cobra.Command{
		Use:   "nodes",
		Short: "Show known nodes",
		Args:  takes(0, 0),
		RunE: a.do(func([]string) error {
			nodes, err := a.allNodes(args)
			if err != nil {
				return err
			}
			sortNodes(nodes)
			return a.show(api.NodesReply{Nodes: nodes}, func() {
				if a.format == formatGraphviz {
					a.printf("%s", graph(nodes))
					return
				}
				a.printf("%s", nodeTable(nodes))
			})
		}),
	}, formatGraphviz)
	c.Flags().BoolVar(&args.All, "all", false, "show relays of other networks too")
	return c
}

// allNodes asks for one piece of the list after the other.
func (a *app) allNodes(args api.NodesArgs) ([]api.Node, error) {
	c, err := api.Dial(a.socket)
	if err != nil {
		return nil, err
	}
	defer c.Close() //nolint:errcheck // everything was read
	nodes := []api.Node{}
	for {
		var r api.NodesReply
		if err := c.Call(api.OpNodes, args, &r); err != nil {
			return nil, err
		}
		nodes = append(nodes, r.Nodes...)
		if !r.More || len(r.Nodes) == 0 || len(nodes) >= maxNodes {
			return nodes, nil
		}
		args.After = r.Nodes[len(r.Nodes)-1].ID
	}
}

// sortNodes puts endpoints first, servers before clients, then this node, then its chain
// of parents from the nearest to the root, then the rest; each by id.
func sortNodes(nodes []api.Node) {
	const last = maxNodes + 3
	rank := make(map[ident.NodeID]int)
	parents := make(map[ident.NodeID]ident.NodeID)
	var self ident.NodeID
	for _, n := range nodes {
		parents[n.ID] = n.Parent
		if n.Self {
			self = n.ID
		}
	}
	for id, r := self, 2; !id.IsZero() && rank[id] == 0; id, r = parents[id], r+1 {
		rank[id] = r
	}
	rankOf := func(n api.Node) int {
		switch n.Type {
		case api.TypeServerEndpoint:
			return 0
		case api.TypeClientEndpoint:
			return 1
		}
		if r, near := rank[n.ID]; near {
			return r
		}
		return last
	}
	slices.SortStableFunc(nodes, func(x, y api.Node) int {
		if d := rankOf(x) - rankOf(y); d != 0 {
			return d
		}
		return x.ID.Compare(y.ID)
	})
}

// nodeTable is the table of the manual.
func nodeTable(nodes []api.Node) string {
	rows := [][]string{{"NODE_ID", "ADDRESS", "LAST_SEEN", "PARENT", "TAGS", "TYPE"}}
	for _, n := range nodes {
		rows = append(rows, []string{
			n.ID.String(), n.Address, moment(n.LastSeen), idOrNothing(n.Parent),
			strings.Join(n.Tags, ","), n.Type,
		})
	}
	return table(rows)
}

// moment formats a time; the zero time is empty.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(timeLayout)
}

func idOrNothing(id ident.NodeID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}

// graph is the topology for Graphviz: an edge goes from a child to its parent.
func graph(nodes []api.Node) string {
	var b strings.Builder
	b.WriteString("digraph mcc {\n")
	for _, n := range nodes {
		label := []string{n.ID.String()}
		for _, more := range []string{n.Address, strings.Join(n.Tags, ","), n.Type} {
			if more != "" {
				label = append(label, more)
			}
		}
		shape := ""
		if n.Self {
			shape = ", style=bold"
		}
		fmt.Fprintf(&b, "  %q [label=%q%s];\n", n.ID, strings.Join(label, "\n"), shape)
	}
	for _, n := range nodes {
		if !n.Parent.IsZero() {
			fmt.Fprintf(&b, "  %q -> %q;\n", n.ID, n.Parent)
		}
	}
	b.WriteString("}\n")
	return b.String()
}
