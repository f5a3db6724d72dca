// SPDX-License-Identifier: Apache-2.0

//go:build linux

package priv_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"staex/internal/host/priv"
)

// TestMain is the process that gives up its rights when told so.
func TestMain(m *testing.M) {
	if user := os.Getenv("PRIV_TEST_USER"); user != "" {
		if err := become(user); err != nil {
			fmt.Println(err)
			if errors.Is(err, errors.ErrUnsupported) {
				os.Exit(43)
			}
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// become drops rights with many threads running, and says what is wrong afterwards.
func become(user string) error {
	stop, running := make(chan struct{}), make(chan struct{})
	for range 8 {
		go func() {
			runtime.LockOSThread()
			running <- struct{}{}
			<-stop
		}()
		<-running
	}
	defer close(stop)
	who, err := priv.Find(user, "")
	if err != nil {
		return err
	}
	if err := errors.Join(priv.MayBecome(who), priv.Become(who, priv.NetAdmin)); err != nil {
		return err
	}
	if err := priv.MayBecome(who); !errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("still may become somebody else: %w", err)
	}
	ids := func(n int) string { return fmt.Sprintf("%d\t%d\t%d\t%d", n, n, n, n) }
	want := map[string]string{
		"Uid": ids(who.UID), "Gid": ids(who.GID), "Groups": fmt.Sprint(who.GID),
		"CapInh": "0000000000000000", "CapPrm": "0000000000001000",
		"CapEff": "0000000000001000", "CapBnd": "0000000000001000",
		"CapAmb": "0000000000000000", "NoNewPrivs": "1",
	}
	threads, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil || len(threads) < 8 {
		return fmt.Errorf("%d threads: %w", len(threads), err)
	}
	for _, path := range threads {
		if err := compare(path, want); err != nil {
			return err
		}
	}
	return tryRights()
}

func compare(path string, want map[string]string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(raw)) {
		name, value, _ := strings.Cut(line, ":")
		w, ok := want[name]
		if ok && strings.TrimSpace(value) != w {
			return fmt.Errorf("%s: %s is %q, want %q", path, name, strings.TrimSpace(value), w)
		}
	}
	return nil
}

// tryRights uses what was kept and what was not.
func tryRights() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req); err != nil {
		return fmt.Errorf("bring up a device: %w", err)
	}
	if err := syscall.Setuid(0); err == nil {
		return errors.New("became root again")
	}
	if _, err := os.ReadFile("/etc/shadow"); !errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("read /etc/shadow: %w", err)
	}
	return nil
}

func TestAllThreadsLoseAllRightsButThoseToKeep(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root has rights to give up; type: sudo -E go test ./internal/host/priv")
	}
	if _, err := priv.Find("nobody", ""); err != nil {
		t.Skip("the system has no user nobody; type: useradd --system nobody")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "PRIV_TEST_USER=nobody")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == 43 {
		t.Skip("this test was built with cgo; type: CGO_ENABLED=0 go test ./internal/host/priv")
	}
	if errors.Is(err, syscall.EPERM) {
		t.Skip("no network namespaces here; run this test on a machine of your own")
	}
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestAccountsAreFoundByNameAndNumber(t *testing.T) {
	root := priv.Account{}
	for _, names := range [][2]string{{"root", ""}, {"0", ""}, {"root", "root"}, {"root", "0"}} {
		if got, err := priv.Find(names[0], names[1]); err != nil || got != root {
			t.Errorf("%q: %v (%v), want root", names, got, err)
		}
	}
	for _, names := range [][2]string{{"no-such-user", ""}, {"root", "no-such-group"}, {"", ""}} {
		if _, err := priv.Find(names[0], names[1]); !errors.Is(err, priv.ErrNoAccount) {
			t.Errorf("%q: %v, want ErrNoAccount", names, err)
		}
	}
}

func TestWhatIsGivenBelongsToTheAccountAndLinksStay(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: only root can give files away; type: sudo -E go test ./internal/host/priv")
	}
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"one", "other", "twice"} {
		if err := os.WriteFile(in(name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	err := errors.Join(os.Link(in("twice"), in("again")), os.Symlink(in("other"), in("link")))
	if err != nil {
		t.Fatal(err)
	}
	to := priv.Account{UID: 4321, GID: 4322}
	if err := priv.MayBecome(to); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	err = priv.GiveFiles(dir, to, func(name string) bool { return name == "one" })
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]priv.Account{".": to, "one": to, "other": {}, "twice": {}} {
		if got, err := priv.Owner(in(name)); err != nil || got != want {
			t.Errorf("%s belongs to %v (%v), want %v", name, got, err, want)
		}
	}
	for _, name := range []string{"twice", "link"} {
		if err := priv.Give(in(name), to); !errors.Is(err, priv.ErrLinked) {
			t.Errorf("%s: %v, want ErrLinked", name, err)
		}
	}
	err = errors.Join(priv.Give(in("none"), to), priv.GiveFiles(in("none"), to, nil),
		priv.Give(in("one"), to))
	if err != nil {
		t.Errorf("nothing to do: %v", err)
	}
	if got, err := priv.Owner(in("other")); err != nil || got != (priv.Account{}) {
		t.Errorf("behind the link: %v, %v", got, err)
	}
}
