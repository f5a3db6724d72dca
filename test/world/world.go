// SPDX-License-Identifier: Apache-2.0

//go:build linux

package world

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// T is what a world needs of a *testing.T, and what the demo gives it instead.
// Fatalf must not return.
type T interface {
	Helper()
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(f func())
}

// World is one set of hosts and the bridges between them. Make one with New.
type World struct {
	t      T
	ctx    context.Context //nolint:containedctx // a world is a life time: it ends with its test
	dir    string
	prefix string // of namespace names: empty for the first world of a program

	mu       sync.Mutex // guards hosts, segments, running
	hosts    map[string]*Host
	segments map[string]string // name of a segment to its bridge
	running  []*Process
}

// worlds and cables count what this program made, to give each its own name.
var worlds, cables atomic.Int64

// New makes an empty world. It ends, with every process in it, when t cleans up.
// Without a sandbox it skips the test aloud, if t can skip, else it fails.
func New(t T) *World {
	t.Helper()
	if !sandbox.inside {
		why := sandbox.why
		if why == "" {
			why = "world.Main was not called from TestMain (a program calls world.Enter)"
		}
		if s, ok := t.(interface{ Skipf(string, ...any) }); ok {
			s.Skipf("SKIPPED: %s\n%s", why, advice)
		}
		t.Fatalf("world: %s\n%s", why, advice)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &World{t: t, ctx: ctx, hosts: map[string]*Host{}, segments: map[string]string{}}
	n := worlds.Add(1)
	if n > 1 {
		w.prefix = fmt.Sprintf("w%d-", n)
	}
	w.dir = fmt.Sprintf("%s/%d", top, n)
	if err := os.MkdirAll(w.dir, 0o755); err != nil {
		t.Fatalf("world: %v", err)
	}
	t.Cleanup(func() {
		cancel()
		w.close()
	})
	return w
}

// close ends every process, then takes hosts and bridges away. Nobody is asked politely.
func (w *World) close() {
	w.mu.Lock()
	running := slices.Clone(w.running)
	hosts := make([]*Host, 0, len(w.hosts))
	for _, h := range w.hosts {
		hosts = append(hosts, h)
	}
	bridges := make([]string, 0, len(w.segments))
	for _, bridge := range w.segments {
		bridges = append(bridges, bridge)
	}
	w.mu.Unlock()
	for _, p := range running {
		p.Kill()
	}
	for _, h := range hosts {
		w.sweep("ip", "netns", "delete", h.netns)
	}
	for _, bridge := range bridges {
		w.sweep("ip", "link", "delete", bridge)
	}
}

// sweep runs a command whose failure is worth a line and no more.
func (w *World) sweep(args ...string) {
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		w.t.Logf("world: %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// Dir is the world's own folder inside the sandbox; it vanishes with the sandbox.
func (w *World) Dir() string { return w.dir }

// Host returns the host of that name and makes it if there is none. A new host has nothing
// but a loopback: give it a cable with Join.
func (w *World) Host(name string) *Host {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if h, ok := w.hosts[name]; ok {
		return h
	}
	h := &Host{Name: name, w: w, netns: w.prefix + name, dir: filepath.Join(w.dir, name)}
	h.furnish()
	w.ip("netns", "add", h.netns)
	w.ip("-n", h.netns, "link", "set", "lo", "up")
	w.hosts[name] = h
	return h
}

// Hosts lists the hosts by name.
func (w *World) Hosts() []*Host {
	w.mu.Lock()
	defer w.mu.Unlock()
	hosts := make([]*Host, 0, len(w.hosts))
	for _, h := range w.hosts {
		hosts = append(hosts, h)
	}
	slices.SortFunc(hosts, func(a, b *Host) int { return strings.Compare(a.Name, b.Name) })
	return hosts
}

// bridge returns the bridge of a segment and makes it if there is none. It lives in the
// sandbox's own namespace, where no host sees it.
func (w *World) bridge(segment string) string {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if bridge, ok := w.segments[segment]; ok {
		return bridge
	}
	bridge := fmt.Sprintf("br%d", cables.Add(1))
	w.ip("link", "add", bridge, "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
	w.quiet(bridge)
	w.ip("link", "set", bridge, "up")
	w.segments[segment] = bridge
	return bridge
}

// quiet keeps an interface of the thread's network from giving itself an IPv6 address and
// talking about it, so that captures and counters hold what the hosts say and no more.
func (w *World) quiet(iface string) {
	w.t.Helper()
	const none = "1" // IN6_ADDR_GEN_MODE_NONE
	err := os.WriteFile("/proc/sys/net/ipv6/conf/"+iface+"/addr_gen_mode", []byte(none), 0)
	if err != nil && !errors.Is(err, os.ErrNotExist) { // a kernel without IPv6 is quiet
		w.t.Fatalf("world: %v", err)
	}
}

// ip runs one ip command in the sandbox's own namespace.
func (w *World) ip(args ...string) {
	w.t.Helper()
	if out, err := exec.CommandContext(w.ctx, "ip", args...).CombinedOutput(); err != nil {
		w.t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// Until waits for a condition, asking for it 50 times a second, and fails the test with
// what was waited for when it has not come true in time.
func (w *World) Until(what string, within time.Duration, ok func() bool) {
	w.t.Helper()
	if !w.Within(within, ok) {
		w.t.Fatalf("not within %v: %s", within, what)
	}
}

// Within is Until that tells instead of failing.
func (w *World) Within(limit time.Duration, ok func() bool) bool {
	end := time.NewTimer(limit)
	defer end.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-end.C:
			return ok()
		case <-w.ctx.Done():
			return false
		}
	}
	return true
}
