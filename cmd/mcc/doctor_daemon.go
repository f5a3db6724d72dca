// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/netip"
	"strings"
	"time"

	"staex/internal/api"
)

// askDaemon learns what a running daemon says of itself and returns what is to be said about it.
func (d *doctor) askDaemon() []finding {
	const check = "daemon"
	before := d.found
	d.found = nil
	defer func() { d.found = before }()
	client, err := api.Dial(d.app.socket)
	if err != nil {
		f := asFailure(err)
		d.down = f.exit == exitNoDaemon
		d.problem(check, f.message, f.hint)
		return d.found
	}
	defer client.Close() //nolint:errcheck // nothing is left to be read
	var status api.StatusReply
	if err := client.Call(api.OpStatus, nil, &status); err != nil {
		f := asFailure(err)
		d.problem(check, f.message, f.hint)
		return d.found
	}
	d.status = &status
	if d.dir == "" {
		d.dir = status.Dir
	}
	if status.Version != api.Version {
		d.warn(check, "mccd is "+status.Version+", mcc is "+api.Version,
			"restart the daemon after an update: systemctl restart mcc")
	}
	if client.Path() == api.FallbackPath {
		d.warn(check, "its socket is at "+api.FallbackPath+": it could not make "+api.DefaultPath,
			"start it as root, or by its service")
	}
	d.ok(check, "mccd %s at %s, up %v", status.Version, client.Path(),
		status.Uptime.Truncate(time.Second))
	d.lookAtHealth(client)
	var tunnels api.TunnelsReply
	if err := client.Call(api.OpTunnels, nil, &tunnels); err != nil {
		d.problem(check, asFailure(err).message, "")
	}
	d.tunnels, d.endless = tunnels.Tunnels, tunnels.Endless
	return d.found
}

// lookAtHealth repeats what the daemon finds wrong with itself.
func (d *doctor) lookAtHealth(client *api.Client) {
	var health api.HealthReply
	if err := client.Call(api.OpHealth, nil, &health); err != nil {
		d.problem("health", asFailure(err).message, "")
		return
	}
	for _, p := range health.Problems {
		d.problem("health", p, "its log says more: journalctl -u mcc")
	}
	for _, w := range health.Warnings {
		d.warn("health", w, "")
	}
}

func (d *doctor) lookAtParent() {
	const check = "parent"
	switch {
	case d.status.Parent.Address != "":
		d.ok(check, "%s", d.status.Parent.Address)
		return
	case d.cfg == nil:
		return
	case len(d.cfg.Link.Parents) == 0:
		d.ok(check, "none is configured: this node is a root")
		return
	}
	var names []string
	for _, p := range d.cfg.Link.Parents {
		names = append(names, p.String())
		if _, err := netip.ParseAddr(p.Host); err == nil {
			continue
		}
		if err := d.machine.lookup(p.Host); err != nil {
			d.problem(check, "the host name "+p.Host+" is not found: "+err.Error(),
				"mend parents in "+d.configPath()+", or this machine's resolver")
		}
	}
	d.problem(check, "no parent answers: "+strings.Join(names, ", "),
		"is mccd running there, is its UDP port open, and may members of this network join it? "+
			"Here, nothing may block outgoing UDP")
}

// advice is what each state of a tunnel that carries nothing asks for.
var advice = map[string]struct{ state, text, hint string }{
	api.StateOffered: {
		findingWarning, "is offered by another node and waits for you", "mcc accept-tunnel NAME",
	},
	api.StatePending: {
		findingWarning, "waits for the other node, which has not accepted it yet",
		"is that node connected (mcc nodes)? Where accept-tunnels = manual, somebody has to " +
			"accept it there",
	},
	api.StateRejected: {
		findingWarning, "was rejected by the other node", "mcc delete-tunnel NAME",
	},
	api.StateExpired: {
		findingProblem, "has expired",
		"mcc delete-tunnel NAME, then make it again on the server side",
	},
	api.StateDisabled: {findingWarning, "is disabled", "mcc enable-tunnel NAME"},
}

func (d *doctor) lookAtTunnels() {
	const check = "tunnels"
	active := 0
	for _, t := range d.tunnels {
		about, known := advice[t.State]
		if !known {
			active++
			continue
		}
		name := t.Name
		if name == "" {
			name = t.ID.String()
		}
		text, hint := "tunnel "+name+" "+about.text, strings.Replace(about.hint, "NAME", name, 1)
		if t.State == api.StateDisabled && t.DisabledThere && !t.DisabledHere {
			text, hint = "tunnel "+name+" is disabled at its other end", "have it enabled there"
		}
		d.found = append(d.found, finding{check, about.state, text, hint})
	}
	d.ok(check, "%d of %d active", active, len(d.tunnels))
}
