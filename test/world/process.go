// SPDX-License-Identifier: Apache-2.0

//go:build linux

package world

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// stopTime is how long a program may take to end after it was asked to.
const stopTime = 10 * time.Second

// Process is a program that keeps running in a host.
type Process struct {
	Name string
	h    *Host
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when the process has ended and was waited for
}

// Start runs a program in the host until it ends, Kill, Stop or the end of the world. What
// it prints goes to a file that Log reads.
func (h *Host) Start(args ...string) *Process {
	h.w.t.Helper()
	p := &Process{Name: h.Name + ": " + filepath.Base(args[0]), h: h, done: make(chan struct{})}
	p.log = fmt.Sprintf("%s/%s-%d.log", h.dir, filepath.Base(args[0]), cables.Add(1))
	log, err := os.Create(p.log)
	if err != nil {
		h.w.t.Fatalf("%s: %v", p.Name, err)
	}
	p.cmd = h.Command(h.w.ctx, args...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	err = p.cmd.Start()
	log.Close()
	if err != nil {
		h.w.t.Fatalf("%s: %v", p.Name, err)
	}
	go func() {
		_ = p.cmd.Wait() // the state tells
		close(p.done)
	}()
	h.w.mu.Lock()
	h.w.running = append(h.w.running, p)
	h.w.mu.Unlock()
	return p
}

// Running says whether the process has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// PID is the process number inside the sandbox.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill ends the process with SIGKILL, as a power cut would, and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // gone already is as good
	<-p.done
}

// Stop asks the process to end with SIGTERM and returns its exit code. It fails the test if
// the process does not comply within 10 s.
func (p *Process) Stop() int {
	p.h.w.t.Helper()
	_ = p.cmd.Process.Signal(unix.SIGTERM) // gone already is as good
	return p.Wait(stopTime)
}

// Wait waits for the end of the process and returns its exit code, -1 after a signal.
func (p *Process) Wait(limit time.Duration) int {
	p.h.w.t.Helper()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		p.h.w.t.Fatalf("%s: still running after %v\n%s", p.Name, limit, p.Tail())
	}
	return p.cmd.ProcessState.ExitCode()
}

// Log is everything that the process has printed.
func (p *Process) Log() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Tail is the end of Log, short enough to stand in an error.
func (p *Process) Tail() string {
	const lines = 40
	all := strings.SplitAfter(p.Log(), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "")
}

// Resident is the memory of the process that is in RAM, in bytes; 0 when it has ended.
func (p *Process) Resident() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				return 0
			}
			return kib * 1024
		}
	}
	return 0
}
