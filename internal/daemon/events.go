// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"log/slog"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/node"
)

// lines is how each kind of event is logged.
var lines = map[node.EventKind]struct {
	level slog.Level
	text  string
}{
	node.EventParentUp:       {slog.LevelInfo, "parent up"},
	node.EventParentDown:     {slog.LevelWarn, "parent down"},
	node.EventParentSilent:   {slog.LevelWarn, "parent does not answer"},
	node.EventParentRefused:  {slog.LevelWarn, "parent refused"},
	node.EventChildUp:        {slog.LevelInfo, "child up"},
	node.EventChildDown:      {slog.LevelInfo, "child down"},
	node.EventChildRefused:   {slog.LevelWarn, "child refused"},
	node.EventTunnelOffered:  {slog.LevelWarn, "tunnel offered, waits for mcc accept-tunnel"},
	node.EventTunnelUp:       {slog.LevelInfo, "tunnel up"},
	node.EventTunnelRefused:  {slog.LevelWarn, "tunnel refused"},
	node.EventTunnelChanged:  {slog.LevelInfo, "tunnel changed"},
	node.EventSessionUp:      {slog.LevelDebug, "session up"},
	node.EventSessionDown:    {slog.LevelDebug, "session down"},
	node.EventProbe:          {slog.LevelDebug, "probe done"},
	node.EventLookup:         {slog.LevelDebug, "lookup done"},
	node.EventExternals:      {levelTrace, "externals changed"},
	node.EventRevoked:        {slog.LevelWarn, "keys revoked"},
	node.EventWithheld:       {slog.LevelWarn, "a list of revoked keys is withheld"},
	node.EventSessionMoved:   {slog.LevelDebug, "session moved"},
	node.EventSessionRefused: {slog.LevelWarn, "session refused"},
	node.EventKeepAlive:      {slog.LevelInfo, "keep-alive period learned"},
	node.EventCloned:         {slog.LevelWarn, "a key is used by two devices"},
	node.EventNameClash:      {slog.LevelWarn, "a name is claimed twice"},
	node.EventTunnelDeleted:  {slog.LevelWarn, "tunnel deleted by the other end"},
}

// event writes an event's line.
func (b *logbook) event(e node.Event) {
	line, known := lines[e.Kind]
	if !known {
		b.Warn("event", "kind", int(e.Kind))
		return
	}
	ctx := context.Background()
	if !b.Enabled(ctx, line.level) {
		return
	}
	var attrs []slog.Attr
	add := func(there bool, name, value string) {
		if there {
			attrs = append(attrs, slog.String(name, value))
		}
	}
	add(e.Key != ident.NodeID{}, "key", e.Key.String())
	add(e.Tunnel != ident.NodeID{}, "tunnel", e.Tunnel.String())
	add(e.Addr.IsValid(), "address", e.Addr.String())
	add(e.Text != "", "detail", e.Text)
	add(e.Kind == node.EventKeepAlive, "period", e.Took.String())
	b.LogAttrs(ctx, line.level, line.text, attrs...) //nolint:sloglint // constants of the table
}

// report acts on the events of one call. It runs in the node's goroutine.
func (l *loop) report(now clock.Reading, events []node.Event) {
	externals := false
	for _, e := range events {
		l.d.log.event(e)
		l.remind(now, e)
		switch e.Kind {
		case node.EventProbe, node.EventLookup:
			l.probed(e)
		case node.EventExternals:
			externals = true
		case node.EventParentSilent, node.EventParentDown:
			l.d.parents.lookAgain(lookupRetry)
		case node.EventTunnelRefused:
			l.refused[e.Tunnel] = e.Text
		case node.EventTunnelUp, node.EventTunnelChanged:
			delete(l.refused, e.Tunnel)
		case node.EventTunnelDeleted:
			delete(l.refused, e.Tunnel)
			l.d.log.problem("moving the files of a deleted tunnel",
				shelve(l.d.files.cfg, e.Tunnel, e.Text))
		default:
			// the line in the log is all there is to do
		}
	}
	if externals {
		l.followExternals(now)
	}
}
