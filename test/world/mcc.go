// SPDX-License-Identifier: Apache-2.0

//go:build linux

package world

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// daemonTime is how long mccd may take to answer its first request.
const daemonTime = 10 * time.Second

// TUN says why programs in the world can not open TUN devices, or nil if they can.
func TUN() error {
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("%w: mccd needs TUN devices; type: sudo chmod 666 /dev/net/tun", err)
	}
	return f.Close()
}

// NeedTUN skips the test aloud where TUN devices can not be opened.
func (w *World) NeedTUN() {
	w.t.Helper()
	if err := TUN(); err != nil {
		if s, ok := w.t.(interface{ Skipf(string, ...any) }); ok {
			s.Skipf("SKIPPED: %v", err)
		}
		w.t.Fatalf("%v", err)
	}
}

// Daemon starts mccd on a configuration folder of the host, such as "/etc/mcc", and returns
// when it answers `mcc id`.
func (h *Host) Daemon(dir string) *Process {
	h.w.t.Helper()
	return h.daemon("mccd", dir)
}

func (h *Host) daemon(args ...string) *Process {
	h.w.t.Helper()
	p := h.Start(args...)
	h.w.Until("mccd of "+h.Name+" answers", daemonTime, func() bool {
		if !p.Running() {
			h.w.t.Fatalf("%s: exit code %d\n%s", p.Name, p.Wait(0), p.Tail())
		}
		return h.Try("mcc", "id").OK()
	})
	return p
}

// MCC runs an mcc command that must succeed and returns what it printed, without the last
// newline.
func (h *Host) MCC(args ...string) string {
	h.w.t.Helper()
	return strings.TrimSuffix(h.Run(append([]string{"mcc"}, args...)...), "\n")
}

// MCCInput is MCC with something to read, such as a network key for --stdin.
func (h *Host) MCCInput(stdin string, args ...string) string {
	h.w.t.Helper()
	return strings.TrimSuffix(h.RunInput(stdin, append([]string{"mcc"}, args...)...), "\n")
}

// moduleDir is where a host keeps the name service module, and refreshModules what a package's
// script does after it was put there. The cache of the linker's own is the machine's: a fresh
// one lies over it meanwhile.
const (
	moduleDir      = "/var/lib/nss"
	refreshModules = `[ ! -d /var/cache/ldconfig ] || mount -t tmpfs none /var/cache/ldconfig
exec ldconfig`
)

// HasNSS says whether the name service module was built.
func HasNSS() bool {
	_, err := os.Stat(filepath.Join(programs, "libnss_mcc.so.2"))
	return err == nil
}

// NSS installs the name service module in the host, for every program that does not know about
// it. It skips the test aloud where the module was not built.
func (h *Host) NSS() {
	h.w.t.Helper()
	module, err := os.ReadFile(filepath.Join(programs, "libnss_mcc.so.2"))
	if err != nil {
		if s, ok := h.w.t.(interface{ Skipf(string, ...any) }); ok {
			s.Skipf("SKIPPED: %v; type: make nss", err)
		}
		h.w.t.Fatalf("%v", err)
	}
	h.WriteFile(moduleDir+"/libnss_mcc.so.2", string(module))
	for _, name := range []string{moduleDir, moduleDir + "/libnss_mcc.so.2"} {
		if err := os.Chmod(h.path(name), 0o755); err != nil {
			h.w.t.Fatalf("%s: %v", h.Name, err)
		}
	}
	h.WriteFile("/etc/ld.so.conf.d/mcc.conf", moduleDir+"\n")
	h.Run("sh", "-c", refreshModules)
	h.WriteFile("/etc/nsswitch.conf", "hosts: files mcc [SUCCESS=return] dns\n")
}

// WriteAt writes a script that runs a command in a host of this world, for a person at
// another terminal while the world stands: `dist/at technician ping camera1`.
func (w *World) WriteAt(path string) {
	w.t.Helper()
	sudo := ""
	if os.Getenv("SUDO_USER") != "" {
		sudo = "sudo "
	}
	script := fmt.Sprintf(`#!/bin/sh
# at HOST COMMAND...: run a command in a host of the world that stands right now.
h=$1; shift
exec %snsenter %s env PATH=%s:"$PATH":/usr/sbin:/sbin HOME=/tmp \
	ip netns exec %s"$h" sh -c '%s' sh %s/"$h" "$@"
`, sudo, sandbox.way, programs, w.prefix, strings.ReplaceAll(enter, "\n", "\n\t"), w.dir)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatalf("%v", err)
	}
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		w.t.Fatalf("%v", err)
	}
}
