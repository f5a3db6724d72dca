// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"staex/internal/wire"
)

// tellLinks is how many links the end of a story names; the busiest come first.
const tellLinks = 20

func addrPort(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }

// describeFrame is what somebody who sees a frame can read of it.
func describeFrame(b []byte) string {
	h, n, err := wire.ParseDataHeader(b)
	if err != nil {
		return fmt.Sprintf("%d bytes", len(b))
	}
	sealed := b[n:]
	return fmt.Sprintf("label %06x, epoch %d, counter %d, %d sealed bytes: %x...",
		uint32(h.Label), h.Epoch, h.Counter, len(sealed), sealed[:min(8, len(sealed))])
}

// Tell writes how a story ended: what the links carried, what was checked, and what was wrong.
// It reports whether all is well.
func (s Scenario) Tell(out io.Writer, w *World, r *Result) bool {
	p := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	p("\nBytes per link (IPv4 and UDP headers included):")
	total := 0
	links := slices.SortedFunc(maps.Keys(w.bytes), func(a, b string) int {
		return cmp.Or(cmp.Compare(w.bytes[b], w.bytes[a]), cmp.Compare(a, b))
	})
	for i, name := range links {
		total += w.bytes[name]
		if i < tellLinks {
			from, to, _ := strings.Cut(name, ">")
			p("  %-14s > %-14s %12d", from, to, w.bytes[name])
		}
	}
	if len(links) > tellLinks {
		p("  and %d more", len(links)-tellLinks)
	}
	p("  all %d links %22d", len(links), total)
	p("\nInvariants, checked at every frame and packet:")
	for _, text := range Invariants() {
		p("  %s", text)
	}
	p("\n%s in %v of its own time: %d frames arrived, %d were lost, parents and sessions",
		s.Name, w.Now, w.Frames, w.Lost)
	p("changed %d times, %d questions were answered. Trace %x", r.Changes, r.Answers, r.Trace[:8])
	bad := slices.Concat(w.Wrong(), r.Failed, s.missed(r.Counts))
	for _, text := range bad {
		p("WRONG: %s", text)
	}
	if len(bad) == 0 {
		p("All is well.")
	}
	return len(bad) == 0
}

// missed lists the counts that stayed below what the story needs to prove anything.
func (s Scenario) missed(c Counts) []string {
	var list []string
	for _, x := range []struct {
		what       string
		has, least int
	}{
		{"frames", c.Frames, s.Least.Frames},
		{"changes", c.Changes, s.Least.Changes},
		{"answers", c.Answers, s.Least.Answers},
	} {
		if x.has < x.least {
			list = append(list, fmt.Sprintf("%d %s, at least %d", x.has, x.what, x.least))
		}
	}
	return list
}
