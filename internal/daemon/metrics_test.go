// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/node"
	"staex/internal/overlay/plane"
	"staex/internal/wire"
)

// The lines of Prometheus' text format, version 0.0.4.
var (
	helpLine   = regexp.MustCompile(`^# HELP ([a-z_][a-z0-9_]*) [^\\]+$`)
	typeLine   = regexp.MustCompile(`^# TYPE ([a-z_][a-z0-9_]*) (counter|gauge)$`)
	sampleLine = regexp.MustCompile(`^([a-z_][a-z0-9_]*)` +
		`(\{[a-z_][a-z0-9_]*="([^"\\\n]|\\[\\"n])*"` +
		`(,[a-z_][a-z0-9_]*="([^"\\\n]|\\[\\"n])*")*\})?` +
		` ([^ ]+)$`)
)

// checkExposition fails unless every line of a page is one of the format's, every sample stands in
// its family, and no sample and no family comes twice.
func checkExposition(t *testing.T, page string) {
	t.Helper()
	if !strings.HasSuffix(page, "\n") {
		t.Error("the last line does not end")
	}
	family, kind, seen := "", "", map[string]bool{}
	for line := range strings.SplitSeq(strings.TrimSuffix(page, "\n"), "\n") {
		if m := helpLine.FindStringSubmatch(line); m != nil && !seen[m[1]] {
			family, kind, seen[m[1]] = m[1], "", true
			continue
		}
		if m := typeLine.FindStringSubmatch(line); m != nil && m[1] == family && kind == "" {
			kind = m[2]
			continue
		}
		m := sampleLine.FindStringSubmatch(line)
		if m == nil || m[1] != family || kind == "" || seen[m[1]+m[2]+" "] {
			t.Errorf("not a line of %s: %q", family, line)
			continue
		}
		seen[m[1]+m[2]+" "] = true
		if v, err := strconv.ParseFloat(m[6], 64); err != nil || v < 0 {
			t.Errorf("%q has no value: %v", line, err)
		}
		if strings.HasSuffix(family, "_total") != (kind == "counter") {
			t.Errorf("%s is a %s", family, kind)
		}
	}
}

func TestEveryLineForAMonitorIsOfTheFormat(t *testing.T) {
	full := snapshot{
		id: "x", network: "a \"b\" \\ c\nd \xff", up: 90 * time.Minute, attached: true,
		link: node.Uplink{Hops: 2, RoundTrip: time.Millisecond, KeepAlive: 30 * time.Second},
	}
	full.drops[drop.NoTunnel] = 1 << 60
	var d daemon
	d.traffic.in[classData].Add(3)
	for _, s := range []snapshot{{}, full} {
		var e exposition
		s.write(&e)
		d.traffic.write(&e)
		checkExposition(t, e.String())
		for i := drop.None + 1; i < drop.Count; i++ {
			if want := `mcc_drops_total{reason="` + i.String() + `"} `; !strings.Contains(
				e.String(), want) {
				t.Errorf("no line %s", want)
			}
		}
	}
	var e exposition
	full.write(&e)
	if want := `network="a \"b\" \\ c\nd ?"`; !strings.Contains(e.String(), want) {
		t.Errorf("no %s in\n%s", want, e.String())
	}
}

func TestBytesAreCountedByWhatTheyWereFor(t *testing.T) {
	link := func(long bool, plain int) []byte {
		h := wire.DataHeader{Type: wire.TypeLink, Long: long}
		return append(h.Append(nil), make([]byte, plain+wire.TagSize)...)
	}
	for _, c := range []struct {
		b    []byte
		want class
	}{
		{link(false, 0), classKeepAlive},
		{link(true, wire.EchoSize), classKeepAlive},
		{link(false, 8), classControl}, // the least that a control packet has
		{link(true, 8), classControl},
		{link(false, 1000), classControl},
		{[]byte{wire.TypeNATProbe << 4}, classKeepAlive},
		{[]byte{wire.TypeNudge << 4}, classKeepAlive},
		{[]byte{wire.TypeHello1 << 4}, classHandshake},
		{[]byte{wire.TypePathHandshake << 4}, classHandshake},
		{[]byte{wire.TypeTicket << 4}, classHandshake},
		{[]byte{wire.TypeData << 4}, classData},
	} {
		if got := classOf(c.b); got != c.want {
			t.Errorf("%d bytes of type %d are %s, want %s", len(c.b), wire.PeekType(c.b),
				classNames[got], classNames[c.want])
		}
	}
	var traffic traffic
	traffic.received(1000, []plane.Control{{B: link(false, 0)}, {B: link(true, 8)}})
	for i, want := range [classes]uint64{1000 - 22 - 32, 32, 22, 0} {
		if got := traffic.in[i].Load(); got != want {
			t.Errorf("%d bytes of %s, want %d", got, classNames[i], want)
		}
	}
}
