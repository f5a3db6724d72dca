// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// disk is a small file system of one host, at a place that all hosts see.
type disk struct {
	n    *net
	path string
}

func (n *net) disk(name string) disk {
	n.t.Helper()
	d := disk{n, filepath.Join(n.w.Dir(), name)}
	if err := os.MkdirAll(d.path, 0o755); err != nil {
		n.t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", d.path, "tmpfs", 0, "size=256k,mode=755"); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = unix.Unmount(d.path, unix.MNT_DETACH) })
	return d
}

// fill leaves no room for anything.
func (d disk) fill() {
	d.n.t.Helper()
	f, err := os.Create(d.ballast())
	if err != nil {
		d.n.t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, unix.ENOSPC) {
		d.n.t.Fatal(err)
	}
}

func (d disk) drain() {
	d.n.t.Helper()
	if err := os.Remove(d.ballast()); err != nil {
		d.n.t.Fatal(err)
	}
}

func (d disk) ballast() string { return filepath.Join(d.path, "ballast") }

// files lists what is on the disk.
func (d disk) files() string {
	d.n.t.Helper()
	var all []string
	err := filepath.WalkDir(d.path, func(path string, _ os.DirEntry, err error) error {
		all = append(all, strings.TrimPrefix(path, d.path))
		return err
	})
	if err != nil {
		d.n.t.Fatal(err)
	}
	return strings.Join(all, "\n")
}

// TestAFullDiskStopsNothingAndLosesNothing fills the disk that a gateway keeps its data and its
// tunnels on.
func TestAFullDiskStopsNothingAndLosesNothing(t *testing.T) {
	t.Parallel()
	n := story(t)
	n.run["gateway"].Stop()
	d := n.disk("small")
	gateway := n.w.Host("gateway")
	gateway.WriteFile("/etc/mcc/mcc.conf", gateway.ReadFile("/etc/mcc/mcc.conf")+
		"data-dir = "+d.path+"/data\ntunnels = "+d.path+"/tunnels\n")
	n.start("gateway")
	n.attached("gateway")
	n.external("recorder", "tcp:8000")
	n.regular("meter", "tcp:80")
	f := n.transfer("recorder", "camera", "8000", n.address("technician", "recorder").String())

	const fails, works = "the data directory cannot be written", "can be written again"
	conf := d.path + "/conf"
	again := []string{"mcc", "init", "--stdin", "-y", "-C", conf, n.home.Cert}
	gateway.RunInput(n.home.Key+"\n", again...)
	key := n.hash("gateway", conf+"/node-private-key.txt")
	d.fill()
	before := d.files()
	if r := gateway.TryContext(t.Context(), n.home.Key+"\n", again...); r.OK() {
		t.Error("a node was made without room for it")
	}
	if now := n.hash("gateway", conf+"/node-private-key.txt"); now != key {
		t.Error("a key was lost")
	}
	if r := gateway.TryContext(t.Context(), n.home.Key+"\n", "mcc", "create-tunnel", "--stdin",
		"--remote-node", n.ids["technician"], "--targets", "tcp:1", "--name", "toomuch",
	); r.OK() || !strings.Contains(r.Stderr, "no space left") {
		t.Errorf("a tunnel without room for it: exit code %d: %s", r.Code, r.Stderr)
	}
	if now := d.files(); now != before {
		t.Errorf("half a tunnel is left; before\n%s\nnow\n%s", before, now)
	}
	for _, op := range []string{"disable-tunnel", "enable-tunnel", "disable-tunnel"} {
		r := gateway.Try("mcc", op, "meter")
		if r.OK() || !strings.Contains(r.Stderr, "not stored") {
			t.Errorf("%s on a full disk: exit code %d: %s", op, r.Code, r.Stderr)
		}
	}
	if r := gateway.Try("mcc", "health"); r.OK() {
		t.Errorf("a node with a full disk calls itself healthy: %s", r.Stdout)
	}
	n.run["public"].Kill() // new links want to store things
	n.start("public")
	f.flows("after the relay came back to a node with a full disk")
	t.Logf("longest gap %v", f.longest())
	n.saysOnce("gateway", fails, 0)

	d.drain()
	n.saysOnce("gateway", works, 0)
	gateway.MCC("health")
	d.fill()
	if r := gateway.Try("mcc", "enable-tunnel", "meter"); r.OK() {
		t.Error("a change was stored on a full disk")
	}
	n.saysOnce("gateway", fails, 1)
	d.drain()
	gateway.MCC("disable-tunnel", "meter") // now it can be stored, and so can what waited
	n.saysOnce("gateway", works, 1)

	tunnels := gateway.MCC("tunnels")
	if !strings.Contains(tunnels, "disabled") {
		t.Errorf("no tunnel is disabled:\n%s", tunnels)
	}
	n.run["gateway"].Kill()
	n.start("gateway")
	f.flows("after the gateway was killed")
	t.Logf("longest gap %v", f.longest())
	if now := gateway.MCC("tunnels"); now != tunnels {
		t.Errorf("after the restart the gateway shows\n%s\nbefore\n%s", now, tunnels)
	}
	if id := gateway.MCC("id"); id != n.ids["gateway"] {
		t.Errorf("the gateway is %s now, was %s", id, n.ids["gateway"])
	}
	f.finish()
}
