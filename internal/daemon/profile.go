// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"math"
	"runtime/debug"

	"staex/internal/host/memory"
	"staex/internal/host/udp"
)

// profile is how much of the machine a daemon takes: the bounds and buffers that cost memory. What
// protocols and other nodes see is the same in all.
type profile struct {
	name string
	// collectAt lets the heap grow by this share before it is collected, as GOGC: an idle node has
	// little garbage, and a device has little memory.
	collectAt int
	// heapMost is the heap in bytes from which the collector works harder instead, 0 for none.
	heapMost int64
	// socketBytes is what each socket may hold in each direction; the kernel has it, not us.
	socketBytes int
	// labelBits makes room for rows, which take memory only when they are used.
	labelBits uint8
	// parcels is how many messages of the fast path wait for the node: several full batches. What
	// is lost when it is full is repeated by its sender.
	parcels int
	// packets is how many packets of the host wait for the node. A packet may have 64 KiB.
	packets int
	// records is how many signed records stay in memory, about half a kilobyte each. What a device
	// has below it fits, so that its flash is left alone; a large relay's does not.
	records int
}

// profiles are those that the key profile names.
//
//	small   a device with 64 MB: 4,096 rows, 256 KiB a socket
//	normal  65,536 rows: a relay with some ten thousand sessions through it
//	relay   a million rows, for the root of a large network
var profiles = [...]profile{
	{"small", 25, 8 << 20, 256 << 10, 12, 128, 8, 200},
	{"normal", 50, 0, udp.DefaultBufferBytes, 16, 512, 32, 1000},
	{"relay", 100, 0, 4 << 20, 20, 2048, 64, 20000},
}

// smallMachine is the memory in bytes up to which auto means small.
const smallMachine = 128 << 20

// profileOf is the profile of that name; auto follows the machine's memory, 0 when that is not
// known. A relay is not known by its machine, so auto never means that.
func profileOf(name string, machine uint64) profile {
	if name == "auto" {
		name = "normal"
		if machine > 0 && machine <= smallMachine {
			name = "small"
		}
	}
	for _, p := range profiles {
		if p.name == name {
			return p
		}
	}
	return profiles[1] // the configuration names no other
}

// choose applies the profile to what is the program's own.
func (d *daemon) choose() error {
	d.profile = profileOf(d.files.cfg.Process.Profile, memory.Machine())
	startStill()
	return nil
}

// maxLanes bounds how many goroutines carry packets each way. One carries what a 10 Gbit/s
// interface brings; each takes about half a megabyte.
const maxLanes = 4

// lanes is how many there are with so many processors: a packet meets one of them at the device
// and one at a socket.
func (p *profile) lanes(processors int) int {
	if p.name == "small" {
		return 1
	}
	return min(max(processors/2, 1), maxLanes)
}

// collect sets the collector to work.
func (p *profile) collect() {
	debug.SetGCPercent(p.collectAt)
	if p.heapMost > 0 {
		debug.SetMemoryLimit(p.heapMost)
		return
	}
	debug.SetMemoryLimit(math.MaxInt64)
}
