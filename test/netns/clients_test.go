// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"staex/test/world"
)

// Programs that nobody here wrote, over tunnels. They come from Debian: scripts/need clients.

const (
	// bulk is the size of the files in bytes.
	bulk = 50_000_000
	// patience is what a program may take on a machine with two busy cores.
	patience = 90 * time.Second
	// soon is what a service may take to answer for the first time.
	soon = 20 * time.Second
)

// clients is a story of its own, beside those of other tests, in which the programs exist.
func clients(t *testing.T, programs ...string) *net {
	t.Helper()
	t.Parallel()
	n := story(t)
	n.w.NeedPrograms(programs...)
	return n
}

// regular makes a tunnel from the technician to services on the gateway itself.
func (n *net) regular(name, targets string) {
	n.t.Helper()
	n.home.Tunnel(n.w.Host("gateway"), n.w.Host("technician"), name, n.ids["technician"],
		"--targets", targets)
}

// external makes a tunnel from the technician to services of the camera beside the gateway.
func (n *net) external(name, targets string) {
	n.t.Helper()
	n.home.Tunnel(n.w.Host("gateway"), n.w.Host("technician"), name, n.ids["technician"],
		"--targets", targets, "--external-ip-address", "192.168.1.10")
}

// at runs a program that must succeed on a host and returns what it printed.
func (n *net) at(host string, args ...string) string {
	n.t.Helper()
	return n.fed(host, "", args...)
}

// fed is at with something to read.
func (n *net) fed(host, stdin string, args ...string) string {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	r := n.w.Host(host).TryContext(ctx, stdin, args...)
	if !r.OK() {
		n.t.Fatalf("%s: %s: exit code %d\n%s%s\n%s", host, strings.Join(args, " "), r.Code,
			r.Stdout, r.Stderr, n.drops())
	}
	return r.Stdout
}

// serves waits until a TCP port of a host answers on its own loopback.
func (n *net) serves(p *world.Process, host, port string) {
	n.t.Helper()
	n.w.Until(host+" serves port "+port, soon, func() bool {
		if !p.Running() {
			n.t.Fatalf("%s ended: %s", p.Name, p.Tail())
		}
		conn, err := n.w.Host(host).DialContext(n.t.Context(), "tcp", "127.0.0.1:"+port)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// file makes a file of random bytes on a host and returns its hash.
func (n *net) file(host, path string, size int) string {
	n.t.Helper()
	n.at(host, "sh", "-c", fmt.Sprintf("head -c %d /dev/urandom >%s", size, path))
	return n.hash(host, path)
}

func (n *net) hash(host, path string) string {
	n.t.Helper()
	return strings.Fields(n.at(host, "sha256sum", path))[0]
}

// drops is what every node has dropped, for the text of a failure.
func (n *net) drops() string {
	var b strings.Builder
	for name := range n.run {
		fmt.Fprintf(&b, "%s: %s\n%s", name, n.w.Host(name).Try("mcc", "status").Stdout,
			n.run[name].Tail())
	}
	return b.String()
}

// addresses are what the name of a regular tunnel means to the technician.
func (n *net) addresses(name string) (v4, v6 string) {
	n.t.Helper()
	return n.address("technician", name).String(), n.address6(name)
}

// address6 is the IPv6 address of a name at the technician.
func (n *net) address6(name string) string {
	n.t.Helper()
	six := strings.Fields(n.at("technician", "getent", "ahostsv6", name))[0]
	if a, err := netip.ParseAddr(six); err != nil || a.Is4In6() {
		n.t.Fatalf("getent ahostsv6 %s: %q", name, six)
	}
	return six
}

// report logs what a transfer cost: figures to read, not to judge.
func (n *net) report(what string, bytes int, took time.Duration) {
	n.t.Helper()
	n.t.Logf("%s: %.2f Gbit/s", what, float64(bytes)*8/took.Seconds()/1e9)
	for name, p := range n.run {
		n.t.Logf("  mccd of %s: %.1f MiB resident, %v of CPU", name,
			float64(p.Resident())/(1<<20), cpu(p.PID()))
	}
}

// cpu is the time that a process has run, in user mode and in the kernel.
func cpu(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The second field is a name that may hold anything; the rest is numbers.
	f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	const user, system, tick = 11, 12, 10 * time.Millisecond
	var total time.Duration
	for _, i := range []int{user, system} {
		n, err := strconv.Atoi(f[i])
		if err != nil {
			return 0
		}
		total += time.Duration(n) * tick
	}
	return total
}
