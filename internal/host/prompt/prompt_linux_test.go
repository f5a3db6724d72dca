// SPDX-License-Identifier: Apache-2.0

package prompt_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"staex/internal/host/prompt"
)

// What the scheduler does can be seen in a program of its own only: the tests start themselves.
func TestMain(m *testing.M) {
	switch os.Getenv("PROMPT_CHILD") {
	case "":
		os.Exit(m.Run())
	case "questions":
		answerQuestions()
	case "greedy":
		neverRest()
	}
}

// child starts this test's program in one of its roles.
func child(t *testing.T, role string, extra ...string) (*exec.Cmd, io.WriteCloser, io.ReadCloser) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0])
	c.Env = append(append(os.Environ(), "PROMPT_CHILD="+role), extra...)
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c, in, out
}

// input waits for bytes of the standard input one by one.
func input() (next func() bool) {
	if err := unix.SetNonblock(0, true); err != nil {
		panic(err)
	}
	conn, err := os.NewFile(0, "input").SyscallConn()
	if err != nil {
		panic(err)
	}
	var run prompt.Run
	var b [1]byte
	return func() (more bool) {
		err := conn.Read(func(fd uintptr) bool {
			n, e := run.Read(fd, b[:])
			if e == unix.EAGAIN {
				run.Waits()
			}
			more = n > 0
			return e != unix.EAGAIN
		})
		return more && err == nil
	}
}

// output writes a byte.
func output() {
	if _, e := prompt.Write(1, []byte("!")); e != 0 {
		panic(e)
	}
}

func answerQuestions() {
	for next := input(); next(); {
		output()
	}
}

// switches is how often the threads of a program went to sleep by themselves.
func switches(t *testing.T, pid int) (sum int) {
	t.Helper()
	names, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(names) == 0 {
		t.Fatalf("no threads of %d: %v", pid, err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended meanwhile
		}
		_, text, _ = bytes.Cut(text, []byte("\nvoluntary_ctxt_switches:"))
		line, _, _ := strings.Cut(string(text), "\n")
		n, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		sum += n
	}
	return sum
}

// settled waits until no thread of a program has woken for a good while, its monitor included.
func settled(t *testing.T, pid int) {
	t.Helper()
	for last, same := -1, 0; same < 100; {
		if n := switches(t, pid); n != last {
			last, same = n, 0
		}
		same++
	}
}

func TestAQuestionWakesOneThreadOnce(t *testing.T) {
	c, in, out := child(t, "questions")
	settled(t, c.Process.Pid)
	before := switches(t, c.Process.Pid)
	const times = 20
	b := []byte{'?'}
	for range times {
		if _, err := in.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, b); err != nil {
			t.Fatal(err)
		}
		settled(t, c.Process.Pid)
	}
	per := float64(switches(t, c.Process.Pid)-before) / times
	t.Logf("%.2f switches a question", per)
	if per > 2 { // with a call of the usual kind 3 to 5: one for each look of the monitor
		t.Errorf("a question costs %.2f switches of threads, want about one", per)
	}
	_ = in.Close()
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
}

// neverRest reads on and on what is always there, on the only processor, once it was told to.
// Meanwhile another goroutine waits for a word from outside.
func neverRest() {
	fd, err := unix.Open("/dev/zero", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	next := input()
	next()
	go func() {
		next()
		os.Exit(0)
	}()
	output()
	var run prompt.Run
	for b := make([]byte, 1); ; {
		_, _ = run.Read(uintptr(fd), b)
	}
}

func TestALoopThatNeverWaitsDoesNotKeepOthersFromRunning(t *testing.T) {
	c, in, out := child(t, "greedy", "GOMAXPROCS=1")
	say := func() {
		if _, err := in.Write([]byte("!")); err != nil {
			t.Fatal(err)
		}
	}
	settled(t, c.Process.Pid)
	say()
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	say()
	// The child ends when its other goroutine comes to run; else the test's own limit ends it.
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
}
