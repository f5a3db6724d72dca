// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"staex/internal/api"
	"staex/internal/clock"
	"staex/internal/host/page"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/node"
)

const (
	// metricsPath and metricsType are what Prometheus asks for and understands (its text format,
	// version 0.0.4).
	metricsPath = "/metrics"
	metricsType = "text/plain; version=0.0.4; charset=utf-8"
	// metricsTime is how long the node may take to answer a monitor.
	metricsTime = 2 * time.Second
)

// openMetrics opens the listener for monitors, where the configuration names one.
func (d *daemon) openMetrics() error {
	at := d.files.cfg.Process.Metrics
	if at == "" {
		return nil
	}
	if a, err := netip.ParseAddrPort(at); err == nil && !a.Addr().Unmap().IsLoopback() {
		d.log.Warn("configuration", "warning",
			"metrics-listen: everybody who reaches "+at+" can read the metrics")
	}
	l, err := page.Listen(at)
	switch {
	case err == nil:
		d.doors.metrics = l
		d.doors.page = &page.Server{Path: metricsPath, Type: metricsType, Text: d.metrics}
		d.later(func() error { _ = l.Close(); return nil }) // usually closed already
		return nil
	case taken(err), errors.Is(err, fs.ErrExist):
		return failf(ExitInUse, "metrics-listen: %s is in use", at).
			withHint("choose another metrics-listen in %s", d.files.path)
	case denied(err):
		return failf(ExitPermission, "metrics-listen: no permission to listen at %s", at).
			withHint("run as root, or choose another metrics-listen in %s", d.files.path)
	}
	return d.unbound("metrics-listen", err)
}

// metrics makes the page that monitors fetch.
func (d *daemon) metrics() ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), metricsTime)
	defer cancel()
	var s snapshot
	err := d.loop.ask(ctx, func(n *node.Node, now clock.Reading) { s = d.snapshot(n, now) })
	if err != nil {
		return nil, err
	}
	var e exposition
	s.write(&e)
	d.traffic.write(&e)
	return []byte(e.String()), nil
}

// snapshot is what the node's goroutine is asked for a monitor.
type snapshot struct {
	id, network string
	up          time.Duration
	root        bool
	link        node.Uplink
	attached    bool
	children    int
	known       int
	tunnels     int
	sessions    int
	drops       [drop.Count]uint64
	packets     [3]uint64 // sealed, opened, carried
}

func (d *daemon) snapshot(n *node.Node, now clock.Reading) snapshot {
	s := snapshot{
		id: n.Self().String(), network: networkName(d.files.who), up: now.Up - d.born,
		root: n.IsRoot(), children: n.Links(), known: n.Known(), tunnels: len(n.Tunnels()),
		sessions: n.Sessions(), drops: d.dropCounts(n),
	}
	if s.link, s.attached = n.Uplink(); s.attached {
		s.children--
	}
	for _, w := range d.workers {
		s.packets[0] += w.C.Sealed.Load()
		s.packets[1] += w.C.Opened.Load()
		s.packets[2] += w.C.Moved.Load()
	}
	return s
}

func (s *snapshot) write(e *exposition) {
	e.begin("mcc_info", "gauge", "Which node this is.")
	e.sample(1, "version", api.Version, "id", s.id, "network", s.network)
	e.begin("mcc_uptime_seconds", "gauge", "Seconds since the start of the daemon.")
	e.sample(s.up.Seconds())
	e.begin("mcc_parent_up", "gauge", "1 while the node has a parent or needs none, else 0.")
	e.sample(truth(s.attached || s.root))
	if s.attached {
		e.begin("mcc_parent_info", "gauge", "The active parent.")
		e.sample(1, "id", s.link.Parent.String(), "address", s.link.Addr.String())
		e.begin("mcc_hops", "gauge", "Links to the root, as far as they are known.")
		e.sample(float64(s.link.Hops))
		e.begin("mcc_keep_alive_seconds", "gauge", "How often the parent hears of this node.")
		e.sample(s.link.KeepAlive.Seconds())
	}
	if s.link.RoundTrip > 0 {
		e.begin("mcc_round_trip_seconds", "gauge", "Round trip to the parent, newest measurement.")
		e.sample(s.link.RoundTrip.Seconds())
	}
	for _, g := range []struct {
		name, help string
		value      int
	}{
		{"mcc_children", "Nodes that have this one as a parent.", s.children},
		{"mcc_nodes", "Known nodes and endpoints, this node included.", s.known},
		{"mcc_tunnels", "Tunnels that this node holds.", s.tunnels},
		{"mcc_sessions", "Sessions that have a path.", s.sessions},
	} {
		e.begin(g.name, "gauge", g.help)
		e.sample(float64(g.value))
	}
	e.begin("mcc_packets_total", "counter", "Packets of tunnels by what was done with them.")
	for i, done := range [...]string{"sealed", "opened", "carried"} {
		e.sample(float64(s.packets[i]), "done", done)
	}
	e.begin("mcc_drops_total", "counter", "Packets and frames that were dropped, by reason.")
	for i := drop.None + 1; i < drop.Count; i++ {
		e.sample(float64(s.drops[i]), "reason", i.String())
	}
}

func (t *traffic) write(e *exposition) {
	e.begin("mcc_bytes_total", "counter", "Bytes of UDP payload on the underlay.")
	for c := range classes {
		e.sample(float64(t.in[c].Load()), "direction", "in", "class", classNames[c])
		e.sample(float64(t.out[c].Load()), "direction", "out", "class", classNames[c])
	}
	e.begin("mcc_wakeups_total", "counter", "How often a goroutine was woken from outside.")
	for i, name := range wokeNames {
		e.sample(float64(t.woke[i].Load()), "of", name)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// exposition is a page in the text format of Prometheus.
type exposition struct {
	strings.Builder

	name string // of the family under way
}

// begin starts a family of samples. The help is one line without backslashes.
func (e *exposition) begin(name, kind, help string) {
	e.name = name
	e.WriteString("# HELP " + name + " " + help + "\n# TYPE " + name + " " + kind + "\n")
}

// sample adds a value of the family with labels: names and values in turn.
func (e *exposition) sample(value float64, labels ...string) {
	e.WriteString(e.name)
	open := "{"
	for i := 0; i+1 < len(labels); i += 2 {
		e.WriteString(open + labels[i] + `="` + escape(labels[i+1]) + `"`)
		open = ","
	}
	if len(labels) > 0 {
		e.WriteString("}")
	}
	e.WriteString(" " + strconv.FormatFloat(value, 'g', -1, 64) + "\n")
}

// escape makes text the value of a label: the name of a network is a person's.
func escape(text string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(
		strings.ToValidUTF8(text, "?"))
}
