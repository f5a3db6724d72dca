// SPDX-License-Identifier: Apache-2.0

// Command staex-mutants removes each security check in turn from a copy of the module and shows
// which test goes red. A check that can go without a red test is a test that is missing.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// stages are what a mutant has to survive, the quickest first. The first one is completed with
// the names of the tests that attack.
var stages = [][]string{
	{"./internal/sim", "-run"},
	{"./internal/overlay/...", "./internal/ident", "./internal/wire"},
	{"./internal/sim"},
}

func main() {
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: staex-mutants [REGEXP]   (in the root of the module)")
	}
	flag.Parse()
	only, err := regexp.Compile(flag.Arg(0))
	if err == nil {
		err = run(only)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "staex-mutants: %v\n", err)
		os.Exit(1)
	}
}

// run plays every mutant whose name matches and reports those that no test noticed.
func run(only *regexp.Regexp) error {
	dir, err := os.MkdirTemp("", "staex-mutants-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := copyModule(dir); err != nil {
		return err
	}
	attacks, err := attackTests()
	if err != nil {
		return err
	}
	stages[0] = append(stages[0], attacks)
	if red, err := test(dir); err != nil || red != "" {
		return fmt.Errorf("without any mutant: %s is red: %w", red, err)
	}
	var bad []string
	played := 0
	for _, m := range mutants {
		if !only.MatchString(m.name) {
			continue
		}
		played++
		red, err := m.play(dir)
		switch {
		case err != nil:
			bad = append(bad, m.name)
			red = "ERROR: " + err.Error()
		case red == "":
			bad = append(bad, m.name)
			red = "SURVIVES"
		}
		fmt.Printf("%-34s %s\n", m.name, red)
	}
	if len(bad) > 0 {
		return fmt.Errorf("%d of %d were not noticed: %s",
			len(bad), played, strings.Join(bad, ", "))
	}
	return nil
}

// play applies a mutant to the copy, runs the tests, and takes it back. It returns the test that
// went red, or "".
func (m mutant) play(dir string) (red string, err error) {
	path := filepath.Join(dir, filepath.FromSlash(m.file))
	before, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the file to change: %w", err)
	}
	if n := strings.Count(string(before), m.old); n != 1 {
		return "", fmt.Errorf("%s: the check is there %d times; mend the table", m.file, n)
	}
	after := strings.Replace(string(before), m.old, m.changed, 1)
	const readable = 0o600
	if err := os.WriteFile(path, []byte(after), readable); err != nil {
		return "", fmt.Errorf("change a file: %w", err)
	}
	defer func() { err = errors.Join(err, os.WriteFile(path, before, readable)) }()
	return test(dir)
}

// test runs the stages until something is red.
func test(dir string) (red string, err error) {
	for _, args := range stages {
		args = append([]string{"test", "-failfast", "-timeout", "170s"}, args...)
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err == nil {
			continue
		}
		if _, failed := errors.AsType[*exec.ExitError](err); !failed {
			return "", fmt.Errorf("run the tests: %w", err)
		}
		return redTest(string(out))
	}
	return "", nil
}

var (
	failLine  = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)
	panicLine = regexp.MustCompile(`(?m)^panic: (.*)`)
	inTest    = regexp.MustCompile(`(?m)^staex\S*\.(Test\w+)\(`)
)

// redTest finds in the words of go test what went red.
func redTest(out string) (string, error) {
	if m := failLine.FindStringSubmatch(out); m != nil {
		return m[1], nil
	}
	if m := panicLine.FindStringSubmatch(out); m != nil {
		where := "a test"
		if t := inTest.FindStringSubmatch(out); t != nil {
			where = t[1]
		}
		return where + " (" + m[1] + ")", nil
	}
	return "", fmt.Errorf("the mutant does not build:\n%s", out)
}

// attackTests makes a pattern of the names of all tests that attack or deny.
func attackTests() (string, error) {
	var names []string
	for _, pattern := range []string{
		"attack*_test.go", "*_attack_test.go", "deny_test.go", "nudge_test.go", "revoke_test.go",
		"authority_test.go", "quarantine_test.go", "names_test.go", "clone_test.go",
		"heal_list_test.go",
	} {
		files, err := filepath.Glob(filepath.Join("internal", "sim", pattern))
		if err != nil {
			return "", fmt.Errorf("find the attacks: %w", err)
		}
		for _, name := range files {
			b, err := os.ReadFile(name)
			if err != nil {
				return "", fmt.Errorf("read the attacks: %w", err)
			}
			for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)`).FindAllSubmatch(b, -1) {
				names = append(names, string(m[1]))
			}
		}
	}
	if len(names) == 0 {
		return "", errors.New("no attacks here: is this the root of the module?")
	}
	slices.Sort(names)
	return "^(" + strings.Join(names, "|") + ")$", nil
}

// copyModule copies what git knows or would take, so that nothing here is ever changed.
func copyModule(dir string) error {
	out, err := exec.Command("git", "ls-files", "-co", "--exclude-standard").Output()
	if err != nil {
		return fmt.Errorf("list the module's files: %w", err)
	}
	for name := range strings.Lines(string(out)) {
		name = strings.TrimSpace(name)
		b, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted and not committed yet
		}
		if err != nil {
			return fmt.Errorf("copy the module: %w", err)
		}
		to := filepath.Join(dir, filepath.FromSlash(name))
		const private, readable = 0o700, 0o600
		if err := os.MkdirAll(filepath.Dir(to), private); err != nil {
			return fmt.Errorf("copy the module: %w", err)
		}
		if err := os.WriteFile(to, b, readable); err != nil {
			return fmt.Errorf("copy the module: %w", err)
		}
	}
	return nil
}
