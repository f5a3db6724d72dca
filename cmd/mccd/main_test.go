// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"staex/internal/conf"
	"staex/internal/daemon"
)

// tried is one command line and what came of it.
func tried(args ...string) (code int, out, errs string) {
	var o, e strings.Builder
	code = run(args, &o, &e)
	return code, o.String(), e.String()
}

func TestTheCommandLineHasItsExitCodes(t *testing.T) {
	empty := t.TempDir()
	wrong := t.TempDir()
	text := "parent = 192.0.2.1\nunix-enable = perhaps\n"
	if err := os.WriteFile(filepath.Join(wrong, conf.FileName), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		out  string // part of standard output
		errs string // part of standard error
	}{
		{[]string{"--version"}, 0, "mccd ", ""},
		{[]string{"-V"}, 0, "mccd ", ""},
		{[]string{"--help"}, 0, "Usage: mccd [DIR]", ""},
		{[]string{"-C"}, 0, "\nlisten-addr = :9376\n", ""},
		{[]string{"--what"}, daemon.ExitUsage, "", "unknown option --what"},
		{[]string{"a", "b"}, daemon.ExitUsage, "", "one directory is enough"},
		{[]string{""}, daemon.ExitUsage, "", "one directory is enough"},
		{[]string{"-C", "--check"}, daemon.ExitUsage, "", "exclude each other"},
		{[]string{empty}, daemon.ExitConfig, "", "there is no configuration at " + empty},
		{[]string{"--check", empty}, daemon.ExitConfig, "", "mcc init --config-dir " + empty},
		{[]string{"--check", empty}, daemon.ExitConfig, "", "touch " + empty + "/mcc.conf"},
		{[]string{wrong + "/mcc.conf"}, daemon.ExitConfig, "", "mcc.conf is a file; name the dir"},
		{[]string{"--check", wrong}, daemon.ExitConfig, "", `1: unknown key "parent", did`},
		{[]string{"--check", wrong}, daemon.ExitConfig, "", "\n      " + wrong + "/mcc.conf:2: "},
	} {
		code, out, errs := tried(c.args...)
		if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(errs, c.errs) ||
			(c.errs == "") != (errs == "") {
			t.Errorf("mccd %q: exit code %d, output %q, errors %q", c.args, code, out, errs)
		}
	}
	if code, _, errs := tried("--what"); code == 0 || !strings.Contains(errs, "Usage:") {
		t.Errorf("a wrong command line does not show the right ones: %q", errs)
	}
}

func TestOutputThatIsLostIsNoSuccess(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	defer full.Close()
	var errs strings.Builder
	if code := run([]string{"-C"}, full, &errs); code != daemon.ExitFailed ||
		!strings.Contains(errs.String(), "no space left") {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
}

func TestTheReferenceFileIsOneThatTheDaemonAccepts(t *testing.T) {
	_, out, _ := tried("-C")
	if _, err := conf.Parse([]byte(out), conf.FileName, t.TempDir()); err != nil {
		t.Error(err)
	}
}
