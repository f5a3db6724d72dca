// SPDX-License-Identifier: Apache-2.0

//go:build linux

package world

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// stageEnv tells the second start of a program that it is the second.
	stageEnv = "STAEX_WORLD_STAGE"
	// The value of stageEnv is a list of what the sandbox has for itself.
	stageUsers     = "users"
	stageProcesses = "processes"
	// requireEnv set to "require" makes a missing sandbox a failure.
	requireEnv = "STAEX_WORLD"

	// readyFD is where the second start reports how its set-up went.
	readyFD = 3
	// top is where worlds live inside the sandbox: a place that no host hides.
	top = "/mnt"
)

// ErrNoSandbox means that this machine lets us make no network namespaces. Its text says
// what to type.
var ErrNoSandbox = errors.New("no network namespaces here")

const advice = `type one of these:
    sudo make test                                              (as root everything works)
    sudo sysctl kernel.unprivileged_userns_clone=1              (Debian)
    sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0  (Ubuntu 24.04 and later)`

// sandbox is what Enter found out about this process, written once, before any world is made.
var sandbox struct {
	inside bool
	way    string // how nsenter gets here from outside
	// machine is the machine's own /proc, for who measures: that of the sandbox hides the
	// kernel's threads.
	machine *os.File
	why     string // why there is no sandbox
}

// Runner is what Main needs of a *testing.M.
type Runner interface{ Run() int }

// Main is the whole TestMain of a package whose tests make worlds. It builds the programs
// into bin, enters the sandbox and runs the tests in it. Where there can be no sandbox the
// tests run outside and each New skips aloud; with STAEX_WORLD=require that is a failure.
func Main(m Runner) {
	if os.Getenv(stageEnv) == "" {
		if err := buildPrograms(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if err := Enter(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s\n", err, advice)
		if os.Getenv(requireEnv) == "require" {
			os.Exit(1)
		}
		sandbox.why = err.Error()
	}
	os.Exit(m.Run())
}

// Enter returns nil when the program runs inside a sandbox. Called outside, it runs the same
// program inside one, passes signals on, and ends the process with the same exit code: what
// stands after Enter runs inside only. The error, which is ErrNoSandbox, means that there
// can be no sandbox on this machine.
func Enter() error {
	path := os.Getenv("PATH") + ":/usr/sbin:/sbin" // Debian hides ip and nft from users
	if err := os.Setenv("PATH", path); err != nil {
		return err
	}
	if stage := os.Getenv(stageEnv); stage != "" {
		err := setUp(stage)
		report := os.NewFile(readyFD, "ready")
		if err != nil {
			fmt.Fprint(report, err)
			os.Exit(1)
		}
		fmt.Fprint(report, "ready")
		sandbox.inside = true
		// What we start may make worlds of its own.
		return errors.Join(report.Close(), os.Unsetenv(stageEnv))
	}

	var failures []error
	for _, p := range plans() {
		code, err := p.run()
		if err == nil {
			os.Exit(code)
		}
		failures = append(failures, err)
	}
	return fmt.Errorf("%w: %w", ErrNoSandbox, errors.Join(failures...))
}

// plan is one way to make a sandbox.
type plan struct {
	users     bool // a user namespace in which the caller is root
	processes bool // process numbers of its own, so that nothing outlives the sandbox
}

func plans() []plan {
	all := []plan{
		{users: false, processes: true},
		{users: false, processes: false},
		{users: true, processes: true},
		{users: true, processes: false},
	}
	if os.Geteuid() != 0 {
		return all[2:]
	}
	return all
}

// stage tells the second start which plan it is part of.
func (p plan) stage() string {
	stage := []string{"net", "mount"}
	if p.users {
		stage = append(stage, stageUsers)
	}
	if p.processes {
		stage = append(stage, stageProcesses)
	}
	return strings.Join(stage, ",")
}

func (p plan) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET,
		Pdeathsig:  unix.SIGKILL,
	}
	if p.processes {
		attr.Cloneflags |= unix.CLONE_NEWPID
	}
	if p.users {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	return attr
}

// run starts the program again inside and waits for its end. An error means that the set-up
// failed and that another plan may do better.
func (p plan) run() (code int, err error) {
	// Pdeathsig speaks of the thread that started the child, so it has to stay.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	ready, report, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer ready.Close()
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{report}
	cmd.Env = append(os.Environ(), stageEnv+"="+p.stage())
	cmd.SysProcAttr = p.attributes()
	err = cmd.Start()
	report.Close()
	if err != nil {
		return 0, fmt.Errorf("start in namespaces: %w", err)
	}

	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	defer signal.Stop(signals)
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case s := <-signals:
				_ = cmd.Process.Signal(s) // it may have ended already
			case <-done:
				return
			}
		}
	}()

	said, err := io.ReadAll(ready)
	if err != nil {
		return 0, err
	}
	_ = cmd.Wait() // the exit code says it
	if string(said) != "ready" {
		return 0, fmt.Errorf("set up the sandbox: %s", said)
	}
	return cmd.ProcessState.ExitCode(), nil
}

// setUp gives the sandbox its own /proc, /run and /mnt and brings its loopback up.
func setUp(stage string) error {
	outside, err := os.Readlink("/proc/self")
	if err != nil {
		return err
	}
	processes := strings.Contains(stage, stageProcesses)
	sandbox.way = "--net --mount --root"
	if processes {
		sandbox.way += " --pid"
	}
	if strings.Contains(stage, stageUsers) {
		sandbox.way += " --user --preserve-credentials"
	}
	sandbox.way += " --target " + outside
	if err := ownMounts(); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if sandbox.machine, err = os.Open("/proc"); err != nil {
		return err
	}
	const safe = unix.MS_NOSUID | unix.MS_NODEV
	if processes {
		if err := unix.Mount("proc", "/proc", "proc", safe|unix.MS_NOEXEC, ""); err != nil {
			return fmt.Errorf("mount /proc: %w", err)
		}
	}
	for _, dir := range []string{"/run", top} {
		if err := unix.Mount("tmpfs", dir, "tmpfs", safe, "mode=755"); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		return err
	}
	if err := bindPrograms(); err != nil {
		return err
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("ip link set lo up: %w: %s", err, out)
	}
	return nil
}

// programs is where the repository's programs are found inside the sandbox.
const programs = top + "/bin"

// Machine is where this process, inside a sandbox, finds the machine's own /proc.
func Machine() string {
	if sandbox.machine == nil {
		return "/proc"
	}
	return fmt.Sprintf("/proc/self/fd/%d", sandbox.machine.Fd())
}

// Program is where the hosts find a file of the repository's bin.
func Program(name string) string { return filepath.Join(programs, name) }

// bindPrograms shows the repository's bin at a place that no host's /tmp can hide.
func bindPrograms() error {
	if err := os.MkdirAll(programs, 0o755); err != nil {
		return err
	}
	root, err := Root()
	if err != nil {
		return err
	}
	bin := filepath.Join(root, "bin")
	if _, err := os.Stat(bin); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := unix.Mount(bin, programs, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("show %s in the sandbox: %w", bin, err)
	}
	return nil
}

// buildPrograms makes the programs under test as fresh as the test itself.
func buildPrograms() error {
	root, err := Root()
	if err != nil {
		return err
	}
	for _, args := range [][]string{{"scripts/build", "bin"}, {"scripts/nss", "--if-possible"}} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	return nil
}

// Root is the top folder of the repository: the nearest one upwards from the working
// directory that holds the product's go.mod.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), "module staex\n") {
			return dir, nil
		}
	}
	return "", errors.New("run this inside the repository: no go.mod of staex upwards from here")
}
