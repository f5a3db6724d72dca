// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"staex/test/world"
)

// accountID is the number of the user mcc in these tests.
const accountID = 977

// rights fails the test unless every thread of a process has the account and the one capability
// that a daemon keeps, which is CAP_NET_ADMIN.
func rights(t *testing.T, pid int) {
	t.Helper()
	ids := fmt.Sprintf("%[1]d\t%[1]d\t%[1]d\t%[1]d", accountID)
	want := map[string]string{
		"Uid": ids, "Gid": ids, "Groups": fmt.Sprint(accountID), "NoNewPrivs": "1",
		"CapInh": "0000000000000000", "CapPrm": "0000000000001000", "CapEff": "0000000000001000",
		"CapBnd": "0000000000001000", "CapAmb": "0000000000000000",
	}
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(threads) < 3 {
		t.Fatalf("%d threads, %v", len(threads), err)
	}
	for _, path := range threads {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // a thread that has ended
		}
		found := 0
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(line, ":")
			if w, asked := want[name]; asked {
				found++
				if strings.TrimSpace(value) != w {
					t.Errorf("%s: %s is %q, want %q", path, name, strings.TrimSpace(value), w)
				}
			}
		}
		if found != len(want) {
			t.Errorf("%s has %d of %d lines", path, found, len(want))
		}
	}
}

// accounts is a story whose gateway has the user mcc.
func accounts(t *testing.T) (*net, *world.Host) {
	t.Helper()
	if text, err := os.ReadFile("/proc/self/uid_map"); err != nil ||
		!strings.Contains(string(text), "4294967295") {
		t.Skip("SKIPPED: only root can become another user; type: sudo -E go test ./test/netns")
	}
	n := sites(t)
	w := n.w
	h := w.Host("gateway")
	h.Account("mcc", accountID)
	n.node("public", "")
	n.node("gateway", "203.0.113.1", "log-file = /var/lib/mcc.log",
		"metrics-listen = /run/mcc/metrics.sock")
	n.node("technician", "203.0.113.1")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the gateway:\n%s", h.ReadFile("/var/lib/mcc.log"))
		}
	})
	return n, h
}

func TestADaemonThatGaveUpItsRightsDoesEverythingAsBefore(t *testing.T) {
	t.Parallel()
	n, h := accounts(t)
	pid := n.run["gateway"].PID()
	rights(t, pid)
	n.camera("gateway", "camera1") // root makes its files, the daemon reads them
	n.opens("http://camera1/", world.Marker1, 10*time.Second)
	if got := h.Run("stat", "-c", "%u:%g", "/var/lib/mcc", "/etc/mcc/tunnels", "/run/mcc",
		"/run/mcc/mcc.sock", "/run/mcc/metrics.sock", "/var/lib/mcc.log",
		"/etc/mcc/tunnels/camera1-private-key.txt"); strings.Count(got, "977:977") != 7 {
		t.Errorf("owners are\n%s", got)
	}
	if got := h.Run("stat", "-c", "%u %a", "/etc/mcc/node-private-key.txt"); got != "0 600\n" {
		t.Errorf("the node's key: %s", got)
	}
	if got := h.Run("sh", "-c", "find /var/lib/mcc ! -user 977"); got != "" {
		t.Errorf("of the data directory belongs to somebody else:\n%s", got)
	}

	// It reads its files again.
	h.WriteFile("/etc/mcc/mcc.conf", h.ReadFile("/etc/mcc/mcc.conf")+"log-level = debug\n")
	if err := unix.Kill(pid, unix.SIGHUP); err != nil {
		t.Fatal(err)
	}
	n.w.Until("the files are read again", 10*time.Second, func() bool {
		return strings.Contains(h.ReadFile("/var/lib/mcc.log"), "configuration reloaded")
	})
	h.Run("mccd", "--check", "/etc/mcc")

	// It makes its device again.
	h.Run("ip", "link", "delete", "mcc0")
	n.opens("http://camera1/", world.Marker1, 20*time.Second)

	// It closes and opens devices behind it, which needs the filter and forwarding.
	h.MCC("disable-tunnel", "camera1")
	if strings.Contains(n.page("technician", "http://camera1/"), world.Marker1) {
		t.Error("disabled, the page still opens")
	}
	h.MCC("enable-tunnel", "camera1")
	n.opens("http://camera1/", world.Marker1, 20*time.Second)
	rights(t, pid)
	if r := h.Try("curl", "-sS", "--unix-socket", "/run/mcc/metrics.sock",
		"http://node/metrics"); metric(r.Stdout, "mcc_parent_up") != 1 {
		t.Errorf("metrics: %s%s", r.Stdout, r.Stderr)
	}
	if r := h.Try("mcc", "doctor"); r.Code != 0 {
		t.Errorf("mcc doctor: exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	if log := h.ReadFile("/var/lib/mcc.log"); strings.Contains(log, "level=WARN msg=problem") {
		t.Errorf("the log tells of problems:\n%s", log)
	}
}

func TestADaemonThatGaveUpItsRightsLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	n, h := accounts(t)
	n.camera("gateway", "camera1")
	n.opens("http://camera1/", world.Marker1, 10*time.Second)
	if code := n.run["gateway"].Stop(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, n.run["gateway"].Tail())
	}
	for what, command := range map[string]string{
		"a device": "ip link show mcc0", "a table": "nft list tables | grep .",
		"a socket":   "ls /run/mcc | grep .",
		"a route":    "ip route; ip -6 route | grep mcc0",
		"forwarding": "grep 1 /proc/sys/net/ipv4/conf/all/forwarding",
	} {
		r := h.Try("sh", "-c", command)
		if what == "a route" {
			if strings.Contains(r.Stdout, "mcc0") {
				t.Errorf("left behind: %s", r.Stdout)
			}
			continue
		}
		if r.OK() {
			t.Errorf("left behind: %s: %s", what, r.Stdout)
		}
	}
	n.start("gateway") // the files are the user's by now
	n.attached("gateway")
	n.opens("http://camera1/", world.Marker1, 45*time.Second)
	n.run["gateway"].Kill()
	n.start("gateway")
	n.opens("http://camera1/", world.Marker1, 45*time.Second)
	h.MCC("delete-tunnel", "camera1")
	h.Run("sh", "-c", "ls /etc/mcc/tunnels/deleted | grep camera1")
}

func TestAUserWhomNobodyCanBecomeIsNamed(t *testing.T) {
	t.Parallel()
	n, h := accounts(t)
	n.run["gateway"].Stop()
	conf := h.ReadFile("/etc/mcc/mcc.conf")
	for _, c := range []struct{ line, says string }{
		{"user = nosuch", `no such account: user "nosuch"`},
		{"group = nosuch", `no such account: group "nosuch"`},
	} {
		h.WriteFile("/etc/mcc/mcc.conf", conf+c.line+"\n")
		for _, args := range [][]string{{"mccd", "--check"}, {"mccd"}} {
			r := h.Try(args...)
			if r.Code != 10 || !strings.Contains(r.Stderr, c.says) {
				t.Errorf("%s: exit code %d: %s", c.line, r.Code, r.Stderr)
			}
		}
	}
	h.WriteFile("/etc/mcc/mcc.conf", conf)
	h.Run("mkdir", "/var/lib/mcc/album") // it may be the directory of somebody else
	if r := h.Try("mccd"); r.Code != 14 || !strings.Contains(r.Stderr, "holds album") {
		t.Errorf("exit code %d: %s", r.Code, r.Stderr)
	}
	h.Run("rmdir", "/var/lib/mcc/album")
	h.WriteFile("/etc/mcc/mcc.conf", conf+"user = root\n")
	n.start("gateway")
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.run["gateway"].PID()))
	if err != nil || !strings.Contains(string(text), "Uid:\t0\t0\t0\t0") {
		t.Errorf("with user = root: %v\n%s", err, text)
	}
}
