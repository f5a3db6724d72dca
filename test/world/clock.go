// SPDX-License-Identifier: Apache-2.0

//go:build linux

package world

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// shiftPath is where a host keeps the file that shifts its clocks.
const shiftPath = "/run/clock"

// clockBuild builds, once, the mccd that lets a test shift its clocks. It is not among the
// programs that ship.
var clockBuild = sync.OnceValues(func() (path string, err error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	const where = "clock/mccd"
	cmd := exec.Command("go", "build", "-tags", "staex_clock",
		"-o", filepath.Join(root, "bin", where), "./cmd/mccd")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return string(out), err
	}
	return filepath.Join(programs, where), nil
})

// Clock is the clock of one host, as the programs that were started with it see it. The machine's
// own is never touched.
type Clock struct {
	h        *Host
	up, wall time.Duration
}

// ShiftedDaemon is Daemon with a clock that the test may shift.
func (h *Host) ShiftedDaemon(dir string) (*Process, *Clock) {
	h.w.t.Helper()
	program, err := clockBuild()
	if err != nil {
		h.w.t.Fatalf("build the mccd of the clock: %v: %s", err, program)
	}
	c := &Clock{h: h}
	c.write()
	return h.daemon("env", "STAEX_CLOCK="+shiftPath, program, dir), c
}

// Suspend lets the host sleep: time passes for both of its clocks, and for nobody else's.
func (c *Clock) Suspend(d time.Duration) {
	c.h.w.t.Helper()
	c.up += d
	c.wall += d
	c.write()
}

// Set changes the host's calendar time by d, forward or back.
func (c *Clock) Set(d time.Duration) {
	c.h.w.t.Helper()
	c.wall += d
	c.write()
}

// write changes the file in place: the daemon has it in its memory.
func (c *Clock) write() {
	c.h.w.t.Helper()
	b := binary.NativeEndian.AppendUint64(nil, uint64(c.up))
	b = binary.NativeEndian.AppendUint64(b, uint64(c.wall))
	f, err := os.OpenFile(c.h.path(shiftPath), os.O_WRONLY|os.O_CREATE, 0o644)
	if err == nil {
		_, err = f.WriteAt(b, 0)
		f.Close()
	}
	if err != nil {
		c.h.w.t.Fatalf("%s: clock: %v", c.h.Name, err)
	}
}
