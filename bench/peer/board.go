// SPDX-License-Identifier: Apache-2.0

//go:build linux

package peer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"staex/test/world"
)

// boardBytes is the memory of a small board. A program that wants more is ended by the kernel.
const boardBytes = 64 << 20

// groups are where the kernel has control groups for memory, and the file that bounds one
// (cgroups(7): version 1 and 2).
var groups = []struct{ root, limit string }{
	{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"},
	{"/sys/fs/cgroup", "memory.max"},
}

// group makes a control group with the memory of a small board and returns its directory.
func group(name string) (dir string, err error) {
	for _, g := range groups {
		dir = filepath.Join(g.root, fmt.Sprintf("staex-bench-%d-%s", os.Getpid(), name))
		failed := os.Mkdir(dir, 0o755)
		if failed == nil {
			failed = tell(filepath.Join(dir, g.limit), boardBytes)
			if failed == nil {
				return dir, nil
			}
			_ = os.Remove(dir) // it is empty, and another may do
		}
		err = errors.Join(err, failed)
	}
	return "", err
}

// Bounded is the error of a machine that cannot hold a program to the memory of a small board.
func Bounded() error {
	dir, err := group("try")
	if err != nil {
		return err
	}
	return os.Remove(dir)
}

// tell writes a number into a file of a control group.
func tell(file string, n int) error {
	return os.WriteFile(file, []byte(strconv.Itoa(n)), 0)
}

// paused is what a program is started with so that it waits for its group before it begins.
const paused = `kill -STOP $$; exec "$@"`

// hold puts a program that waits into a group of its own and lets it begin. Where there can be none
// it begins all the same: the report says so.
func (c *chain) hold(p *world.Process) {
	c.w.Until(p.Name+" waits for its group", startTime, func() bool {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
		return err == nil && strings.Contains(string(b), ") T ")
	})
	dir, err := group(strconv.Itoa(p.PID()))
	if err == nil {
		c.groups = append(c.groups, dir)
		err = tell(filepath.Join(dir, "cgroup.procs"), p.PID())
	} else if Bounded() != nil {
		err = nil
	}
	if err = errors.Join(err, unix.Kill(p.PID(), unix.SIGCONT)); err != nil {
		panic(failure(err.Error()))
	}
}
