// SPDX-License-Identifier: Apache-2.0

//go:build staex_clock

package uptime

import (
	"encoding/binary"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// This file is in no program that ships. It lets a test suspend a machine and set its clock
// without touching the machine's own: the environment names a file by which the clocks are
// shifted, and whoever writes it is obeyed at once.
//
//	0          8          16
//	+----------+----------+
//	| up, ns   | wall, ns |   as the machine writes numbers
//	+----------+----------+
const (
	shiftEnv  = "STAEX_CLOCK"
	shiftSize = 16
	// shiftPoll is how often Wait looks, where the kernel would tell.
	shiftPoll = 10 * time.Millisecond
)

// shiftFile is the file in memory, nil without one.
var shiftFile = sync.OnceValue(func() []byte {
	f, err := os.Open(os.Getenv(shiftEnv))
	if err != nil {
		return nil
	}
	defer f.Close()
	b, err := unix.Mmap(int(f.Fd()), 0, shiftSize, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil
	}
	return b
})

func shift() (up, wall time.Duration) {
	b := shiftFile()
	if b == nil {
		return 0, 0
	}
	return time.Duration(binary.NativeEndian.Uint64(b)),
		time.Duration(binary.NativeEndian.Uint64(b[8:]))
}

// Jumps hears when the file changes.
type Jumps struct {
	closed   chan struct{}
	up, wall time.Duration
}

// NewJumps begins to listen.
func NewJumps() (*Jumps, error) {
	j := &Jumps{closed: make(chan struct{})}
	j.up, j.wall = shift()
	return j, nil
}

// Wait waits for a change.
func (j *Jumps) Wait() error {
	tick := time.NewTicker(shiftPoll)
	defer tick.Stop()
	for {
		select {
		case <-j.closed:
			return os.ErrClosed
		case <-tick.C:
		}
		if up, wall := shift(); up != j.up || wall != j.wall {
			j.up, j.wall = up, wall
			return nil
		}
	}
}

// Close ends a waiting Wait.
func (j *Jumps) Close() error {
	close(j.closed)
	return nil
}
