// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"html"
	"strings"

	"staex/bench/figure"
)

// panel is one chart of the picture: a value of all peers on a line.
type panel struct{ line, test, value, title string }

// panels are what the picture shows.
func panels() []panel {
	return []panel{
		{"direct", "tcp1", figure.Gbps, "TCP, direct, Gbit/s (more is better)"},
		{"direct", "tcp1", figure.Ends, "TCP, direct, processor s/GB (less is better)"},
		{"relay", "tcp1", figure.Gbps, "TCP over a relay, Gbit/s (more is better)"},
		{"relay", "tcp1", figure.Relays, "the relay's processor, s/GB (less is better)"},
		{"direct", "udp64", figure.Packets, "UDP of 64 bytes, packets/s (more is better)"},
		{"direct", "rtt", figure.Median, "round trip, direct, µs (less is better)"},
		{"direct", "wire", figure.WireTen, "IP bytes for 10 of UDP (less is better)"},
		{"direct", "peak", figure.Peak, "memory at most, MiB (less is better)"},
	}
}

// The picture's measures, in pixels.
const (
	panelWidth, barHeight = 440, 18
	labelWidth, numWidth  = 110, 60
	titleHeight, margin   = 26, 14
)

// yardsticks are shown in another colour and do not set the scale: no peer reaches them.
var yardsticks = map[string]bool{"veth": true, "bound": true}

// Picture draws medians as bars. What was not measured is left out.
func Picture(r *figure.Report) string {
	var body strings.Builder
	x, y, rowHeight := 0, 0, 0
	for _, p := range panels() {
		bars, height := draw(r, p)
		if bars == "" {
			continue
		}
		fmt.Fprintf(&body, "<g transform=\"translate(%d,%d)\">\n%s</g>\n", x, y, bars)
		rowHeight = max(rowHeight, height)
		if x += panelWidth; x >= 2*panelWidth {
			x, y, rowHeight = 0, y+rowHeight, 0
		}
	}
	return fmt.Sprintf("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "+
		"font-family=\"sans-serif\" font-size=\"12\">\n"+
		"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n%s</svg>\n",
		2*panelWidth, y+rowHeight, body.String())
}

// draw makes one panel; "" if nobody has the value.
func draw(r *figure.Report, p panel) (text string, height int) {
	account := p.value == figure.Ends || p.value == figure.Relays
	type bar struct {
		peer  string
		value float64
	}
	var bars []bar
	most := 0.0
	for _, peer := range names(r, func(run figure.Run) string { return run.Peer }) {
		s := r.Cell(figure.Key{Line: p.line, Test: p.test, Peer: peer, Value: p.value}, account)
		if s.Count == 0 {
			continue
		}
		bars = append(bars, bar{peer, s.Median})
		if !yardsticks[peer] {
			most = max(most, s.Median)
		}
	}
	if most == 0 {
		return "", 0
	}
	var b strings.Builder
	fmt.Fprintf(&b, "<text x=\"%d\" y=\"18\" font-weight=\"bold\">%s</text>\n", margin,
		html.EscapeString(p.title))
	const room = panelWidth - margin - labelWidth - numWidth
	for i, bar := range bars {
		y := titleHeight + i*barHeight
		colour := "#9aa5b1"
		switch {
		case strings.HasPrefix(bar.peer, "staex"):
			colour = "#1f6feb"
		case yardsticks[bar.peer]:
			colour = "#e3e7ec"
		}
		width := min(1, bar.value/most) * room
		fmt.Fprintf(&b, "<text x=\"%d\" y=\"%d\">%s</text>\n"+
			"<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n"+
			"<text x=\"%.1f\" y=\"%d\">%s</text>\n",
			margin, y+13, html.EscapeString(bar.peer),
			margin+labelWidth, y+2, width, barHeight-4, colour,
			margin+labelWidth+width+4, y+13, cell(figure.Of([]float64{bar.value}),
				figure.Significant))
	}
	return b.String(), titleHeight + len(bars)*barHeight + margin
}
