// SPDX-License-Identifier: Apache-2.0

//go:build linux

package meter

import (
	"os"
	"testing"
	"time"
)

func TestTheTimesOfAProcessAreReadWhateverItsNameIs(t *testing.T) {
	const rest = " S 1 1 1 0 -1 4194560 100 200 0 0 12 34 5 6 20 0 1 0 100 1000 200\n"
	for _, name := range []string{"(mccd)", "(a b)", "(a) R 1 (b) )", "()"} {
		got, err := parseStat("42 " + name + rest)
		if err != nil || got.own != 460*time.Millisecond || got.children != 110*time.Millisecond {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for _, bad := range []string{
		"", "1 (a)", "1 (a) S 1 2 3", "1 (a) S 1 1 1 0 -1 4 1 2 0 0 x 3 5 6 7",
	} {
		if _, err := parseStat(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestBusyIsEverythingButIdleAndWaiting(t *testing.T) {
	got, err := parseBusy("cpu  1 2 4 1000 1000 8 16 32 64 128\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
	if err != nil || got != 630*time.Millisecond {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "cpu0 1 2 3 4 5 6 7 8 9", "cpu 1 2 3", "cpu 1 2 3 4 5 6 7 x"} {
		if _, err := parseBusy(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestMemoryIsReadInBytes(t *testing.T) {
	const text = "Name:\tx\nVmHWM:\t   20 kB\nVmRSS:\t   12 kB\n"
	if got, err := parseMemory(text, "VmRSS"); err != nil || got != 12288 {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "VmRSS: 12 MB\n", "VmRSS: x kB\n"} {
		if _, err := parseMemory(bad, "VmRSS"); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestThisProcessCanBeMeasured(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("no /proc here")
	}
	if used, err := CPU(os.Getpid()); err != nil || used <= 0 {
		t.Errorf("%v, %v", used, err)
	}
	if n, err := Wakes(os.Getpid()); err != nil || n <= 0 {
		t.Errorf("%d, %v", n, err)
	}
	now, peak, err := Memory(os.Getpid())
	if err != nil || now <= 0 || peak < now {
		t.Errorf("%d, %d, %v", now, peak, err)
	}
	f, err := NewForeign("/proc")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Since(); err != nil {
		t.Error(err)
	}
}
