// SPDX-License-Identifier: Apache-2.0

//go:build linux

package world

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// commandTime bounds a command that was given no context. Commands of a test talk to
// programs that may hang; none has reason to take longer.
const commandTime = 30 * time.Second

// Host is one machine of the world.
type Host struct {
	Name string

	w     *World
	netns string
	dir   string
	zone  int               // of the connection table, see Forget
	far   map[string]string // interface to the bridge's end of its cable
}

// private lists what every host has for itself. Below the host's folder they have the same
// names.
var private = []string{"/etc", "/run", "/tmp", "/var/lib"}

// basics are the files of the machine's /etc that programs can not do without.
var basics = []string{
	"passwd", "group", "nsswitch.conf", "services", "protocols", "host.conf", "gai.conf",
	"ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime",
}

// enter is the way into a host, for /bin/sh: $1 is the folder of the host, the rest the
// command. `ip netns exec` has already made a mount namespace, so this binds and is gone.
const enter = `d=$1; shift
for p in etc run tmp var/lib; do mount --bind "$d/$p" "/$p" || exit 125; done
exec "$@"`

// furnish makes the private folders.
func (h *Host) furnish() {
	h.w.t.Helper()
	for _, dir := range private {
		mode := os.FileMode(0o755)
		if dir == "/tmp" {
			mode = 0o1777
		}
		if err := os.MkdirAll(filepath.Join(h.dir, dir), mode); err != nil {
			h.w.t.Fatalf("%s: %v", h.Name, err)
		}
	}
	args := []string{"-dR", "--preserve=mode", "--"}
	for _, name := range basics {
		path := filepath.Join("/etc", name)
		if _, err := os.Lstat(path); err == nil {
			args = append(args, path)
		}
	}
	args = append(args, filepath.Join(h.dir, "etc"))
	if out, err := exec.Command("cp", args...).CombinedOutput(); err != nil {
		h.w.t.Fatalf("%s: copy of /etc: %v: %s", h.Name, err, out)
	}
	for _, file := range []string{"/etc/passwd", "/etc/group"} {
		h.WriteFile(file, without(h.ReadFile(file), "mcc:", "mcc-admin:"))
	}
	h.WriteFile("/etc/hostname", h.Name+"\n")
	h.WriteFile("/etc/hosts", "127.0.0.1 localhost\n127.0.1.1 "+h.Name+"\n::1 localhost\n")
	h.WriteFile("/etc/resolv.conf", "")
}

// without is a text less the lines that begin with a word: a machine on which this product is
// installed has its accounts, and a world has them only where a test makes them.
func without(text string, words ...string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(line, w) }) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// Account makes a user and a group of one name and number in the host.
func (h *Host) Account(name string, id int) {
	h.w.t.Helper()
	h.WriteFile("/etc/passwd", h.ReadFile("/etc/passwd")+
		fmt.Sprintf("%s:x:%d:%d::/var/lib/%s:/usr/sbin/nologin\n", name, id, id, name))
	h.WriteFile("/etc/group", h.ReadFile("/etc/group")+fmt.Sprintf("%s:x:%d:\n", name, id))
}

// path is where a file of the host is in the sandbox.
func (h *Host) path(name string) string {
	for _, dir := range private {
		if name == dir || strings.HasPrefix(name, dir+"/") {
			return filepath.Join(h.dir, name)
		}
	}
	h.w.t.Fatalf("%s: %s is not below one of %v, so it would be the machine's own file",
		h.Name, name, private)
	return ""
}

// Path is where this program, inside the sandbox, finds a file of the host below /etc, /run, /tmp
// or /var/lib.
func (h *Host) Path(name string) string { return h.path(name) }

// WriteFile writes a file of the host (mode 0600, folders as needed). The path must be below
// /etc, /run, /tmp or /var/lib.
func (h *Host) WriteFile(name, text string) {
	h.w.t.Helper()
	path := h.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.w.t.Fatalf("%s: %v", h.Name, err)
	}
	mode := os.FileMode(0o600)
	if strings.HasPrefix(name, "/etc/") && !strings.HasPrefix(name, "/etc/mcc/") {
		mode = 0o644
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		h.w.t.Fatalf("%s: %v", h.Name, err)
	}
}

// ReadFile reads a file that WriteFile could write; a missing one is "".
func (h *Host) ReadFile(name string) string {
	h.w.t.Helper()
	text, err := os.ReadFile(h.path(name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		h.w.t.Fatalf("%s: %v", h.Name, err)
	}
	return string(text)
}

// Join lays a cable from the host to a segment. iface is the cable's name at the host, cidr
// its address there, such as "192.168.1.2/24".
func (h *Host) Join(segment, iface, cidr string) {
	h.w.t.Helper()
	bridge := h.w.bridge(segment)
	if h.far == nil {
		h.far = map[string]string{}
	}
	far := fmt.Sprintf("v%d", cables.Add(1))
	h.w.ip("link", "add", far, "type", "veth", "peer", "name", iface, "netns", h.netns)
	h.w.quiet(far)
	h.far[iface] = far
	if err := h.Do(func() error { h.w.quiet(iface); return nil }); err != nil {
		h.w.t.Fatalf("%v", err)
	}
	h.w.ip("link", "set", far, "master", bridge, "up")
	h.w.ip("-n", h.netns, "addr", "add", cidr, "dev", iface, "nodad") // nobody else has it
	h.w.ip("-n", h.netns, "link", "set", iface, "up")
}

// Cable joins two hosts without a segment in between. Each end has the interface's name at its
// host and its address there, and knows the other's hardware address, so that nobody asks.
func (h *Host) Cable(iface, cidr string, far *Host, farIface, farCIDR string) {
	h.w.t.Helper()
	h.w.ip("link", "add", iface, "netns", h.netns, "type", "veth",
		"peer", "name", farIface, "netns", far.netns)
	n := cables.Add(1)
	type end struct {
		h                   *Host
		iface, mac, address string
	}
	ends := [2]end{{h, iface, "02:00", cidr}, {far, farIface, "02:01", farCIDR}}
	for i := range ends {
		ends[i].mac += fmt.Sprintf(":%02x:%02x:%02x:%02x", n>>24&255, n>>16&255, n>>8&255, n&255)
		e := ends[i]
		if err := e.h.Do(func() error { h.w.quiet(e.iface); return nil }); err != nil {
			h.w.t.Fatalf("%v", err)
		}
		h.w.ip("-n", e.h.netns, "link", "set", e.iface, "address", e.mac, "up")
		if e.address != "" {
			h.w.ip("-n", e.h.netns, "addr", "add", e.address, "dev", e.iface)
		}
	}
	for i, e := range ends {
		other := ends[1-i]
		if address, _, ok := strings.Cut(other.address, "/"); ok {
			h.w.ip("-n", e.h.netns, "neigh", "replace", address, "lladdr", other.mac,
				"dev", e.iface, "nud", "permanent")
		}
	}
}

// Narrow makes a cable take packets of at most mtu bytes, in both directions; longer ones that
// come from the segment vanish without a word, as on many a line.
func (h *Host) Narrow(iface string, mtu int) {
	h.w.t.Helper()
	h.w.ip("-n", h.netns, "link", "set", iface, "mtu", strconv.Itoa(mtu))
	// One by one: what is not cut yet passes a veth pair at any size.
	h.w.ip("link", "set", h.far[iface], "mtu", strconv.Itoa(mtu), "gso_max_segs", "1")
}

// Route sends what goes to dest ("default" or a prefix) to a neighbour.
func (h *Host) Route(dest, via string) {
	h.w.t.Helper()
	h.w.ip("-n", h.netns, "route", "replace", dest, "via", via)
}

// Plug pulls the cable of an interface (false) or puts it back (true). Routes through it
// are gone after that: the caller sets them again.
func (h *Host) Plug(iface string, in bool) {
	h.w.t.Helper()
	state := "down"
	if in {
		state = "up"
	}
	h.w.ip("-n", h.netns, "link", "set", iface, state)
}

// Result is how a command ended.
type Result struct {
	Stdout, Stderr string
	// Code is the exit code; -1 if a signal or the time limit ended the command.
	Code int
}

// OK means that the command ended with exit code 0.
func (r Result) OK() bool { return r.Code == 0 }

// Command prepares a command in the host. The caller sets Stdin and the rest, and starts it.
func (h *Host) Command(ctx context.Context, args ...string) *exec.Cmd {
	all := append([]string{"netns", "exec", h.netns, "sh", "-c", enter, "sh", h.dir}, args...)
	cmd := exec.CommandContext(ctx, "ip", all...)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "PATH="+programs+":"+os.Getenv("PATH"), "LC_ALL=C",
		"HOME=/tmp")
	return cmd
}

// TryContext runs a command in the host and tells how it ended. An error of ours (no such
// program is exit code 127) fails the test.
func (h *Host) TryContext(ctx context.Context, stdin string, args ...string) Result {
	h.w.t.Helper()
	cmd := h.Command(ctx, args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.WaitDelay = time.Second // a grandchild may hold the pipes open
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) && ctx.Err() == nil {
		h.w.t.Fatalf("%s: %s: %v", h.Name, strings.Join(args, " "), err)
	}
	code := -1
	if cmd.ProcessState != nil {
		code = cmd.ProcessState.ExitCode()
	}
	return Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: code}
}

// Try is TryContext with nothing to read and half a minute.
func (h *Host) Try(args ...string) Result {
	h.w.t.Helper()
	ctx, cancel := context.WithTimeout(h.w.ctx, commandTime)
	defer cancel()
	return h.TryContext(ctx, "", args...)
}

// Run runs a command that must succeed and returns what it printed.
func (h *Host) Run(args ...string) string {
	h.w.t.Helper()
	return h.RunInput("", args...)
}

// RunInput is Run with something to read.
func (h *Host) RunInput(stdin string, args ...string) string {
	h.w.t.Helper()
	ctx, cancel := context.WithTimeout(h.w.ctx, commandTime)
	defer cancel()
	r := h.TryContext(ctx, stdin, args...)
	if !r.OK() {
		h.w.t.Fatalf("%s: %s: exit code %d\n%s%s", h.Name, strings.Join(args, " "), r.Code,
			r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// Do calls f on a thread that is in the host's network. Sockets that f opens stay there;
// goroutines that f starts do not.
func (h *Host) Do(f func() error) error {
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer here.Close()
	there, err := os.Open("/run/netns/" + h.netns)
	if err != nil {
		return err
	}
	defer there.Close()

	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter %s: %w", h.Name, err)
			return // still locked: the runtime throws the thread away
		}
		err := f()
		if back := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET); back == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// DialContext opens a connection from the host. The address is numeric: names are the
// business of the programs under test.
func (h *Host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	var conn net.Conn
	err := h.Do(func() (err error) {
		conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}
