// SPDX-License-Identifier: Apache-2.0

// Package packaging is tests only: what packages bring to a machine beside the programs.
package packaging

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"staex/internal/api"
	"staex/internal/conf"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// nsswitch runs the script on a file with the text and returns the file's text after it.
func nsswitch(t *testing.T, what, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nsswitch.conf")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("sh", "scripts/nsswitch", what, path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if left, err := filepath.Glob(path + "?*"); err != nil || len(left) > 0 {
		t.Errorf("files were left behind: %v, %v", left, err)
	}
	return read(t, path)
}

func TestTheModuleComesBehindFilesAndGoesWithoutATrace(t *testing.T) {
	for before, after := range map[string]string{
		"hosts: files dns\n":  "hosts: files mcc [SUCCESS=return] dns\n",
		"hosts:\t\tfiles dns": "hosts:\t\tfiles mcc [SUCCESS=return] dns\n",
		"hosts: files\n":      "hosts: files mcc [SUCCESS=return]\n",
		"hosts:files dns\n":   "hosts:files mcc [SUCCESS=return] dns\n",
		"hosts: dns\n":        "hosts: mcc [SUCCESS=return] dns\n",
		"hosts: files dns # mcc is not here\n": "hosts: files mcc [SUCCESS=return] dns" +
			" # mcc is not here\n",
		"passwd: files\n# hosts: files\nhosts: files dns\nnetworks: files\n": "passwd: files\n" +
			"# hosts: files\nhosts: files mcc [SUCCESS=return] dns\nnetworks: files\n",
		"hosts: files [NOTFOUND=continue] myhostname resolve [!UNAVAIL=return] dns\n": "hosts: " +
			"files [NOTFOUND=continue] mcc [SUCCESS=return] myhostname resolve" +
			" [!UNAVAIL=return] dns\n",
		"hosts: mdns4_minimal [NOTFOUND=return] files dns\n": "hosts: mdns4_minimal " +
			"[NOTFOUND=return] files mcc [SUCCESS=return] dns\n",
	} {
		if got := nsswitch(t, "add", before); got != after {
			t.Errorf("%q became %q, want %q", before, got, after)
		}
		if got := nsswitch(t, "add", after); got != after {
			t.Errorf("twice: %q became %q", after, got)
		}
		if got := nsswitch(t, "remove", after); got != strings.TrimSuffix(before, "\n")+"\n" {
			t.Errorf("removed: %q, want %q", got, before)
		}
	}
	for _, text := range []string{"", "passwd: files\n", "hosts: files mcc dns\n"} {
		if got := nsswitch(t, "add", text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
	got := nsswitch(t, "remove", "hosts: files mcc dns mccx\n")
	if got != "hosts: files dns mccx\n" {
		t.Errorf("a line of somebody else's making became %q", got)
	}
}

func TestALinkedNsswitchIsChangedBehindItsLink(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	err := errors.Join(os.WriteFile(target, []byte("hosts: files dns\n"), 0o640),
		os.Symlink(target, link))
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("sh", "scripts/nsswitch", "add", link).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	info, err := os.Lstat(link)
	if err != nil || info.Mode().Type() != os.ModeSymlink {
		t.Errorf("the link is %v now: %v", info.Mode(), err)
	}
	behind, err := os.Stat(target)
	if err != nil || behind.Mode().Perm() != 0o640 || !strings.Contains(read(t, target), "mcc") {
		t.Errorf("%v, %v: %s", behind.Mode(), err, read(t, target))
	}
	missing := exec.Command("sh", "scripts/nsswitch", "add", filepath.Join(dir, "none"))
	if out, err := missing.CombinedOutput(); err != nil {
		t.Errorf("a system without the file: %v: %s", err, out)
	}
}

func TestEveryScriptIsOneForEveryShell(t *testing.T) {
	for _, path := range []string{
		"scripts/nsswitch", "scripts/installed", "scripts/removing", "openwrt/mcc.init",
		"openrc/mcc.init",
	} {
		for _, shell := range [][]string{{"sh"}, {"dash"}, {"busybox", "ash"}} {
			if _, err := exec.LookPath(shell[0]); err != nil {
				continue
			}
			cmd := exec.Command(shell[0], append(slices.Clone(shell[1:]), "-n", path)...)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s", path, err, out)
			}
		}
	}
}

// TestPackagesMakeTheUserWhereSystemdDoesNot runs the script with commands that only note how they
// were called.
func TestPackagesMakeTheUserWhereSystemdDoesNot(t *testing.T) {
	if strings.Contains(read(t, "/etc/passwd")+read(t, "/etc/group"), "\nmcc") {
		t.Skip("SKIPPED: this machine has the user or its groups already")
	}
	bin := t.TempDir()
	calls := filepath.Join(bin, "calls")
	note := "#!/bin/sh\necho \"${0##*/} $*\" >>" + calls + "\n"
	for _, name := range []string{"groupadd", "useradd", "systemctl", "ldconfig"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(note), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"sh", "grep", "sed"} {
		path, err := exec.LookPath(name)
		if err == nil {
			err = os.Symlink(path, filepath.Join(bin, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	script := exec.Command(filepath.Join(bin, "sh"), "scripts/installed", "configure")
	script.Env = []string{"PATH=" + bin}
	if out, err := script.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{
		"groupadd --system " + api.ReadGroup + "\n", "groupadd --system " + api.ChangeGroup + "\n",
		"useradd --system --gid " + api.ReadGroup + " --home-dir /var/lib/mcc --no-create-home " +
			"--shell /bin/false " + api.DaemonUser + "\n",
	} {
		if got := read(t, calls); !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// unit is a copy of the systemd unit whose programs are on every machine, because systemd looks.
func unit(t *testing.T) (systemd, path string) {
	t.Helper()
	systemd, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	text := strings.ReplaceAll(read(t, "systemd/mcc.service"), "/usr/sbin/mccd", "/bin/sh")
	path = filepath.Join(t.TempDir(), "mcc.service")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return systemd, path
}

func TestSystemdUnderstandsTheUnitAndFindsItWellProtected(t *testing.T) {
	systemd, path := unit(t)
	out, err := exec.Command(systemd, "verify", "--man=no", path).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "mcc.service") {
			t.Errorf("%v: %s", err, line)
		}
	}
	// The scale is 0 to 100; an unprotected service of root has 96.
	out, err = exec.Command(systemd, "security", "--offline=yes", "--threshold=45", "--no-pager",
		path).CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestPlacesAndNamesAreThoseOfTheProgram(t *testing.T) {
	for path, wants := range map[string][]string{
		"systemd/mcc.service": {
			"ExecStart=/usr/sbin/mccd " + conf.DefaultDir + "\n", "Type=notify\n", "WatchdogSec=",
			// What it takes to become the user, and what is left then.
			"CapabilityBoundingSet=CAP_NET_ADMIN ",
			"=CAP_CHOWN CAP_SETUID CAP_SETGID CAP_SETPCAP\n",
			"ConditionPathExists=|" + filepath.Join(conf.DefaultDir, conf.FileName) + "\n",
		},
		"systemd/sysusers.conf": {
			"\nu " + api.DaemonUser + " ", "\ng " + api.ChangeGroup + " ",
		},
		"systemd/tmpfiles.conf": {"\nd " + filepath.Dir(api.DefaultPath) + " 0755 root root -\n"},
		"openwrt/mcc.init": {
			"procd_set_param command /usr/sbin/mccd " + conf.DefaultDir + "\n",
		},
		"openwrt/keep": {conf.DefaultDir + "\n"},
		"openrc/mcc.init": {
			"command=\"/usr/sbin/mccd\"\n", "command_args=\"" + conf.DefaultDir + "\"\n",
		},
		"launchd/io.staex.mcc.plist": {
			"<string>io.staex.mcc</string>", "<string>/Library/Logs/mcc.log</string>",
			"<string>" + conf.DefaultDir + "</string>",
		},
	} {
		text := read(t, path)
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not contain %q", path, want)
			}
		}
	}
	if api.ReadGroup != api.DaemonUser {
		t.Error("sysusers.conf makes the group of readers together with the user")
	}
}

func TestTheServiceFileOfMacOSIsWellFormed(t *testing.T) {
	d := xml.NewDecoder(strings.NewReader(read(t, "launchd/io.staex.mcc.plist")))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestEverySourceOfAPackageExists(t *testing.T) {
	found := 0
	text := read(t, "nfpm.yaml")
	for _, m := range regexp.MustCompile(`(?:src:|postinstall:|preremove:) (\S+?)[,}\n]`).
		FindAllStringSubmatch(text, -1) {
		if strings.Contains(m[1], "dist/") {
			continue // scripts/packages makes it
		}
		found++
		if _, err := os.Stat(filepath.Join("..", m[1])); err != nil {
			t.Error(err)
		}
	}
	if found < 10 {
		t.Errorf("only %d sources were found in nfpm.yaml", found)
	}
}
