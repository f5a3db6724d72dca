// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netif

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
)

// setting is one kernel setting below /proc/sys with a value.
type setting struct{ path, value string }

// swapSysctl sets a value and returns the one from before.
func swapSysctl(path, value string) (before setting, err error) {
	raw, err := os.ReadFile("/proc/sys/" + path)
	if err != nil {
		return setting{}, fmt.Errorf("netif: read setting: %w", err)
	}
	before = setting{path: path, value: strings.TrimSpace(string(raw))}
	if before.value == value {
		return before, nil
	}
	return before, setting{path: path, value: value}.restore()
}

// restore writes the value. A setting that vanished with its device needs none.
func (s setting) restore() error {
	f, err := os.OpenFile("/proc/sys/"+s.path, os.O_WRONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("netif: change setting: %w", err)
	}
	_, err = f.WriteString(s.value)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("netif: set %s to %s: %w", s.path, s.value, err)
	}
	return nil
}

// Forwarding remembers on which devices this process let the kernel forward packets. The zero
// value remembers none.
type Forwarding struct {
	mu      sync.Mutex // guards changed
	changed []setting
}

// Enable lets packets that arrive on the device be forwarded, for one family, and tells whether
// they were before. When they were not, the caller owes the host a rule that keeps them from going
// anywhere new. For IPv6 the error may satisfy errors.Is(err, ErrNoForwarding).
func (f *Forwarding) Enable(device string, v6 bool) (was bool, err error) {
	if strings.ContainsAny(device, "/ ") || device == "" || device == "." || device == ".." {
		return false, fmt.Errorf("netif: device name %q: %w", device, os.ErrInvalid)
	}
	path := "net/ipv4/conf/" + device + "/forwarding"
	if v6 {
		all, err := os.ReadFile("/proc/sys/net/ipv6/conf/all/forwarding")
		if err == nil && strings.TrimSpace(string(all)) == "1" {
			return true, nil
		}
		path = "net/ipv6/conf/" + device + "/force_forwarding"
	}
	before, err := swapSysctl(path, "1")
	if v6 && errors.Is(err, os.ErrNotExist) {
		return false, fmt.Errorf("netif: forward IPv6 from %s: %w", device, ErrNoForwarding)
	}
	if err != nil {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	ours := slices.ContainsFunc(f.changed, func(s setting) bool { return s.path == path })
	if before.value == "1" && !ours {
		return true, nil
	}
	if !ours {
		f.changed = append(f.changed, before)
	}
	return false, nil
}

// Restore puts every setting back as it was before Enable.
func (f *Forwarding) Restore() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var errs []error
	for _, s := range slices.Backward(f.changed) {
		errs = append(errs, s.restore())
	}
	f.changed = nil
	return errors.Join(errs...)
}
