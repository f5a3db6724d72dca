// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"staex/internal/api"
	"staex/internal/ident"
)

func (a *app) resolveCommand() *cobra.Command {
	args := api.ResolveArgs{Target: api.FormatIPv4}
	c := a.formatted(&cobra.Command{
		Use:   "resolve ADDRESS",
		Short: "Translate between node ids, IP addresses and MAC addresses",
		Args:  takes(1, 1),
		RunE: a.do(func(words []string) error {
			args.Address = words[0]
			var r api.ResolveReply
			if err := a.ask(api.OpResolve, args, &r); err != nil {
				return err
			}
			return a.show(r, func() { a.printf("%s\n", r.Address) })
		}),
	})
	addChoice(c, &args.Target, "target-format", "t", "what to translate into",
		[]string{api.FormatIPv4, api.FormatIPv6, api.FormatMAC6, api.FormatNodeID})
	return c
}

// nodeID reads a node's id, or has the daemon find the node that has a name or an address.
func (a *app) nodeID(word string) (ident.NodeID, error) {
	id, err := ident.ParseNodeID(word)
	switch {
	case err == nil:
		return id, nil
	case len(word) == len(id.String()) && !strings.Contains(word, "."):
		return id, usagef("%s: %v", word, err) // mistyped
	}
	var r api.ResolveReply
	args := api.ResolveArgs{Address: word, Target: api.FormatNodeID}
	if err := a.ask(api.OpResolve, args, &r); err != nil {
		f := asFailure(err)
		f.message = word + " is no node id, and names and addresses are for the daemon to find: " +
			f.message
		return id, f
	}
	return ident.ParseNodeID(r.Address)
}

func (a *app) routeCommand() *cobra.Command {
	return a.formatted(&cobra.Command{
		Use:   "route DESTINATION [SOURCE]",
		Short: "Show the way to a node",
		Long: "Show the ids of the nodes on the way to a node, one a line, the source first. " +
			"Without a source it is this node.",
		Args: takes(1, 2),
		RunE: a.do(func(words []string) error {
			var args api.RouteArgs
			for i, word := range words {
				id, err := a.nodeID(word)
				if err != nil {
					return err
				}
				*[]*ident.NodeID{&args.Destination, &args.Source}[i] = id
			}
			var r api.RouteReply
			if err := a.ask(api.OpRoute, args, &r); err != nil {
				return err
			}
			return a.show(r, func() {
				for _, id := range r.Path {
					a.printf("%s\n", id)
				}
			})
		}),
	})
}

// A pinging is what mcc ping was asked for and what came back.
type pinging struct {
	node     string
	count    int
	interval time.Duration
	timeout  time.Duration

	asked int
	trips []time.Duration
}

func (a *app) pingCommand() *cobra.Command {
	p := &pinging{}
	c := a.formatted(&cobra.Command{
		Use:   "ping NODE",
		Short: "Ask a node for answers and measure the time",
		Long: "Ask a node for answers and measure the time. JSON has one object for each answer, " +
			"with times in nanoseconds.",
		Args: takes(1, 1),
		RunE: a.do(func(words []string) error {
			p.node = words[0]
			if p.count < 1 || p.interval < 0 || p.timeout <= 0 {
				return usagef("count and timeout have to be positive")
			}
			return a.ping(p)
		}),
	})
	c.Flags().IntVarP(&p.count, "count", "c", 4, "how many answers to ask for")
	c.Flags().DurationVarP(&p.interval, "interval", "i", time.Second, "time between two")
	c.Flags().DurationVarP(&p.timeout, "timeout", "W", 5*time.Second, "how long to wait for one")
	return c
}

// ping asks again and again and shows each answer as it comes, until it is interrupted.
func (a *app) ping(p *pinging) error {
	client, err := api.Dial(a.socket)
	if err != nil {
		return err
	}
	defer client.Close() //nolint:errcheck // nothing is left to be read
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	defer context.AfterFunc(ctx, func() { _ = client.Close() })() // ends a call
	for p.asked < p.count && ctx.Err() == nil {
		if p.asked > 0 && !paused(ctx, p.interval) {
			break
		}
		if err := a.pingOnce(client, p, p.asked+1); err == nil {
			p.asked++
		} else if ctx.Err() == nil {
			return err
		}
	}
	if a.format == formatTable {
		a.printf("%s\n", p.summary())
	}
	if len(p.trips) == 0 {
		return failf(exitNotFound, "no answer from %s", p.node).
			withHint("only nodes of the same network answer: is it connected? See mcc nodes at a " +
				"parent of both")
	}
	return nil
}

// paused waits, and tells whether it was left to.
func paused(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (a *app) pingOnce(client *api.Client, p *pinging, number int) error {
	var r api.PingReply
	err := client.Call(api.OpPing, api.PingArgs{Node: p.node, Timeout: p.timeout}, &r)
	if e, ok := errors.AsType[*api.Error](err); ok && e.Code == api.CodeNoAnswer {
		if a.format == formatTable {
			a.printf("%d: no answer\n", number)
		}
		return nil
	}
	if err != nil {
		return err
	}
	p.trips = append(p.trips, r.RoundTrip)
	return a.show(r, func() {
		a.printf("%d: %s hops=%d time=%s\n", number, r.ID, r.Hops, milliseconds(r.RoundTrip))
	})
}

// summary is the last line of a ping.
func (p *pinging) summary() string {
	text := fmt.Sprintf("%d of %d answered", len(p.trips), p.asked)
	if len(p.trips) == 0 {
		return text
	}
	least, most, sum := p.trips[0], p.trips[0], time.Duration(0)
	for _, t := range p.trips {
		least, most, sum = min(least, t), max(most, t), sum+t
	}
	return text + fmt.Sprintf(", least/mean/most %s/%s/%s", milliseconds(least),
		milliseconds(sum/time.Duration(len(p.trips))), milliseconds(most))
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.3f ms", float64(d)/float64(time.Millisecond))
}
