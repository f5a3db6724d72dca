// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package meter reads what the kernel writes down about processes: processor time, wake-ups and
// memory. It never changes anything.
package meter

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of processor time in /proc, the same on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// errForm means that the kernel's text is not of the form that proc(5) describes.
var errForm = errors.New("not of the form that proc(5) describes")

// times are the processor times of one process.
type times struct{ own, children time.Duration }

// parseStat reads /proc/PID/stat. The program's name may hold spaces and parentheses.
func parseStat(text string) (times, error) {
	_, rest, ok := cutLast(text, ") ")
	f := strings.Fields(rest)
	const user, system, childUser, childSystem = 11, 12, 13, 14
	if !ok || len(f) <= childSystem {
		return times{}, errForm
	}
	var v [4]time.Duration
	for i, at := range []int{user, system, childUser, childSystem} {
		n, err := strconv.ParseInt(f[at], 10, 64)
		if err != nil {
			return times{}, fmt.Errorf("%w: %w", errForm, err)
		}
		v[i] = time.Duration(n) * tick
	}
	return times{own: v[0] + v[1], children: v[2] + v[3]}, nil
}

func cutLast(text, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(text, sep); i >= 0 {
		return text[:i], text[i+len(sep):], true
	}
	return text, "", false
}

// parseBusy reads the first line of /proc/stat: the time that the processors were not idle.
func parseBusy(text string) (time.Duration, error) {
	line, _, _ := strings.Cut(text, "\n")
	f := strings.Fields(line)
	const name, idle, wait, steal = 0, 4, 5, 8
	if len(f) <= steal || f[name] != "cpu" {
		return 0, errForm
	}
	var busy time.Duration
	for i := 1; i <= steal; i++ {
		n, err := strconv.ParseInt(f[i], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%w: %w", errForm, err)
		}
		if i != idle && i != wait {
			busy += time.Duration(n) * tick
		}
	}
	return busy, nil
}

// parseMemory reads a line of /proc/PID/status, such as VmRSS, in bytes.
func parseMemory(text, name string) (int64, error) {
	kib, err := parseCount(strings.ReplaceAll(text, " kB\n", "\n"), name)
	return kib << 10, err
}

// parseCount reads a line of /proc/PID/status that holds a number.
func parseCount(text, name string) (int64, error) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			return strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
		}
	}
	return 0, fmt.Errorf("%w: no %s", errForm, name)
}

// CPU is the processor time that a process has used, with what the kernel did in its name and with
// that of threads that have ended, by the nanosecond.
func CPU(pid int) (time.Duration, error) {
	const scheduled = 2 // CPUCLOCK_SCHED of the kernel: what the scheduler has counted
	var t unix.Timespec
	if err := unix.ClockGettime(^int32(pid)<<3|scheduled, &t); err != nil {
		return 0, fmt.Errorf("processor time of %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// Wakes is how often a process has waited for something that then woke one of its threads.
func Wakes(pid int) (int64, error) {
	names, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended meanwhile
		}
		n, err := parseCount(string(text), "voluntary_ctxt_switches")
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		sum += n
	}
	return sum, nil
}

func stat(dir string) (times, error) {
	text, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return times{}, err
	}
	return parseStat(string(text))
}

// Memory is what a process holds in RAM now and held at most, in bytes.
func Memory(pid int) (resident, peak int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	if resident, err = parseMemory(string(text), "VmRSS"); err != nil {
		return 0, 0, err
	}
	peak, err = parseMemory(string(text), "VmHWM")
	return resident, peak, err
}

// Foreign tells how much of the machine others use: it is everything that the processors do
// without the processes that this one sees and without the kernel's threads for packets.
type Foreign struct {
	machine string   // the machine's own /proc
	kernel  []string // folders of those threads
	busy    time.Duration
	own     time.Duration
	at      time.Time
}

// NewForeign begins to watch. machine is where the machine's own /proc is; the /proc of this
// process may show fewer processes, and all of them are ours.
func NewForeign(machine string) (*Foreign, error) {
	names, err := filepath.Glob(machine + "/[1-9]*/comm")
	if err != nil {
		return nil, err
	}
	f := &Foreign{machine: machine}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err == nil && strings.HasPrefix(string(text), "ksoftirqd/") {
			f.kernel = append(f.kernel, filepath.Dir(name))
		}
	}
	_, err = f.Since()
	return f, err
}

// Since is how many cores others kept busy, on average, since it was asked last.
func (f *Foreign) Since() (float64, error) {
	text, err := os.ReadFile(f.machine + "/stat")
	if err != nil {
		return 0, err
	}
	busy, err := parseBusy(string(text))
	if err != nil {
		return 0, err
	}
	own, err := f.Ours()
	if err != nil {
		return 0, err
	}
	now := time.Now()
	others := (busy - f.busy) - (own - f.own)
	cores := others.Seconds() / now.Sub(f.at).Seconds()
	f.busy, f.own, f.at = busy, own, now
	return max(0, cores), nil
}

// Ours is the processor time so far of every process that we see, with the children it has waited
// for, and of the kernel's threads.
func (f *Foreign) Ours() (time.Duration, error) {
	all, err := filepath.Glob("/proc/[1-9]*")
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, dir := range all {
		t, err := stat(dir)
		if errors.Is(err, os.ErrNotExist) {
			continue // it has ended meanwhile
		}
		sum += t.own + t.children // a process that cannot be read counts as idle
	}
	for _, dir := range f.kernel {
		t, err := stat(dir)
		if err != nil {
			return 0, err
		}
		sum += t.own
	}
	return sum, nil
}
