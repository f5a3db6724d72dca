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

func readSysctl(path string) (setting, error) {
	raw, err := os.ReadFile("/proc/sys/" + path)
	if err != nil {
		return setting{}, fmt.Errorf("netif: read setting: %w", err)
	}
	return setting{path: path, value: strings.TrimSpace(string(raw))}, nil
}

// swapSysctl sets a value and returns the one from before.
func swapSysctl(path, value string) (before setting, err error) {
	before, err = readSysctl(path)
	if err != nil || before.value == value {
		return before, err
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

// Before tells whether the device forwarded packets of one family before this process asked. When
// it did not, the caller owes the host a rule, in force before Enable, that keeps packets from
// going anywhere new. For IPv6 the error may satisfy errors.Is(err, ErrNoForwarding).
func (f *Forwarding) Before(device string, v6 bool) (bool, error) {
	path, err := forwardingPath(device, v6)
	if err != nil || path == "" {
		return err == nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.changed {
		if s.path == path {
			return false, nil
		}
	}
	now, err := readSysctl(path)
	return now.value == "1", err
}

// Enable lets packets of one family that arrive on the device be forwarded. The errors are those
// of Before.
func (f *Forwarding) Enable(device string, v6 bool) error {
	path, err := forwardingPath(device, v6)
	if err != nil || path == "" {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	before, err := swapSysctl(path, "1")
	if err != nil {
		return err
	}
	known := slices.ContainsFunc(f.changed, func(s setting) bool { return s.path == path })
	if before.value != "1" && !known {
		f.changed = append(f.changed, before)
	}
	return nil
}

// forwardingPath names the switch of one device; it is empty when the whole machine forwards.
func forwardingPath(device string, v6 bool) (string, error) {
	if strings.ContainsAny(device, "/ ") || device == "" || device == "." || device == ".." {
		return "", fmt.Errorf("netif: device name %q: %w", device, os.ErrInvalid)
	}
	if !v6 {
		return "net/ipv4/conf/" + device + "/forwarding", nil
	}
	if all, err := readSysctl("net/ipv6/conf/all/forwarding"); err == nil && all.value == "1" {
		return "", nil
	}
	path := "net/ipv6/conf/" + device + "/force_forwarding"
	if _, err := readSysctl(path); errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("netif: forward IPv6 from %s: %w", device, ErrNoForwarding)
	}
	return path, nil
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
