// SPDX-License-Identifier: Apache-2.0

package figure

import (
	"fmt"
	"slices"
	"strings"
)

// The names of values.
const (
	Gbps     = "gbps"
	Ends     = "ends"   // processor time of both ends
	Relays   = "relays" // processor time of all relays
	Packets  = "pps"
	Lost     = "lost"
	Median   = "median"
	P99      = "p99"
	Resident = "resident"
	Peak     = "peak"
	OfRelay  = "-relay" // is put behind a value of a relay
	WireOf   = "wire%d"
	WireTen  = "wire10"
	Message  = "mqtt"
	Idle     = "idle"
	IdleCPU  = "idle-cpu"
	Wakes    = "wakes"
	Fill     = "fill" // datagrams to a wake-up of the relay
	Start    = "start"
	Size     = "size"
)

// Significant in place of a number of digits means three of them, wherever the point is.
const Significant = -1

// Column is one value of a test in the report.
type Column struct {
	Value  string
	Title  string // with the unit
	Digits int    // behind the point, or Significant
	// Account: the value comes from the kernel's account of processor time, to which a busy
	// machine adds little; every run counts, not only the quiet ones.
	Account bool
	// Ratio: the column is followed by its ratio to the reference.
	Ratio bool
}

// Table is what the report shows of one test.
type Table struct {
	Test, Title string
	Columns     []Column
}

// Tables are all tests in the order of the report.
func Tables() []Table {
	return []Table{
		{"tcp1", "TCP, one stream", bulk()},
		{"tcp4", "TCP, four streams", bulk()},
		{"udp64", "UDP, 64 bytes, as many as arrive", small()},
		{"udp200", "UDP, 200 bytes, as many as arrive", small()},
		{"paced64", "UDP, 64 bytes, 20,000 a second", []Column{
			{Value: Ends, Title: "both ends, µs/packet", Digits: 1, Account: true, Ratio: true},
			{Value: Relays, Title: "relays, µs/packet", Digits: 2, Account: true},
			{Value: Lost, Title: "lost", Digits: 3},
		}},
		{"queue1200", "UDP, 1,200 bytes in bursts of 50, a queue before the relay", []Column{
			{Value: Relays, Title: "relay, s/GB", Digits: 3, Account: true, Ratio: true},
			fill(),
			{Value: Ends, Title: "both ends, s/GB", Digits: 2, Account: true},
			{Value: Gbps, Title: "Gbit/s while there is a queue", Digits: Significant, Ratio: true},
			{Value: Lost, Title: "lost", Digits: 3},
		}},
		{"queue64", "UDP, 64 bytes in bursts of 64, a queue before the relay", queue()},
		{"queue8", "UDP, 64 bytes in bursts of 8, a queue before the relay", queue()},
		{"rtt", "Round trip of a datagram", []Column{
			{Value: Median, Title: "median, µs", Ratio: true},
			{Value: P99, Title: "99 %, µs"},
		}},
		{"wire", "Bytes of IP on the wire, both directions", []Column{
			{Value: WireTen, Title: "UDP 10 B"},
			{Value: fmt.Sprintf(WireOf, 16), Title: "UDP 16 B"},
			{Value: fmt.Sprintf(WireOf, 100), Title: "UDP 100 B"},
			{Value: Message, Title: "MQTT 20 B and its ACK"},
		}},
		{"idle", "Idle", []Column{
			{Value: Idle, Title: "KiB/h", Digits: 1},
			{Value: IdleCPU, Title: "processor, ms/min", Digits: 1},
			{Value: Wakes, Title: "wake-ups/min"},
		}},
		{"memory", "Memory, idle", []Column{
			{Value: Resident, Title: "end, MiB", Digits: 1},
			{Value: Resident + OfRelay, Title: "relay, MiB", Digits: 1},
		}},
		{"peak", "Memory, most during all of the above", []Column{
			{Value: Peak, Title: "end, MiB", Digits: 1},
			{Value: Peak + OfRelay, Title: "relay, MiB", Digits: 1},
		}},
		{"start", "Start of the program to the first answer", []Column{
			{Value: Start, Title: "ms", Digits: 1},
		}},
		{"size", "Program", []Column{{Value: Size, Title: "MB", Digits: 2}}},
	}
}

func bulk() []Column {
	return []Column{
		{Value: Gbps, Title: "Gbit/s", Digits: Significant, Ratio: true},
		{Value: Ends, Title: "both ends, s/GB", Digits: 2, Account: true, Ratio: true},
		{Value: Relays, Title: "relays, s/GB", Digits: 2, Account: true, Ratio: true},
	}
}

func small() []Column {
	return []Column{
		{Value: Packets, Title: "packets/s", Ratio: true},
		{Value: Ends, Title: "both ends, µs/packet", Digits: 1, Account: true, Ratio: true},
		{Value: Relays, Title: "relays, µs/packet", Digits: 2, Account: true},
	}
}

func queue() []Column {
	return []Column{
		{Value: Relays, Title: "relay, µs/packet", Digits: 2, Account: true, Ratio: true},
		fill(),
		{Value: Ends, Title: "both ends, µs/packet", Digits: 2, Account: true},
		{Value: Packets, Title: "packets/s while there is a queue", Ratio: true},
		{Value: Lost, Title: "lost", Digits: 3},
	}
}

func fill() Column {
	return Column{Value: Fill, Title: "datagrams to a wake-up", Digits: 1, Account: true}
}

// Show writes values in one line, sorted by name.
func Show(values map[string]float64) string {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "%s %.4g  ", name, values[name])
	}
	return b.String()
}
