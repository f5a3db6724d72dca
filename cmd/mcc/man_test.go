// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"staex/internal/api"
	"staex/internal/conf"
)

// pages writes the manual pages and returns them by name, the hand-written ones included. What
// the typesetter needs is taken out, so that a page can be searched.
func pages(t *testing.T) (dir string, all map[string]string) {
	t.Helper()
	dir, all = t.TempDir(), map[string]string{}
	if exit, _, errs := mcc(t, "", "man", dir); exit != 0 {
		t.Fatal(errs)
	}
	written, err := filepath.Glob(filepath.Join("..", "..", "packaging", "man", "*"))
	if err != nil || len(written) != 2 {
		t.Fatalf("%v, %v", written, err)
	}
	made, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	plain := strings.NewReplacer(`\fB`, "", `\fI`, "", `\fR`, "", `\-`, "-", `\&`, "", `\e`, `\`,
		`\(aq`, "'")
	for _, path := range append(written, made...) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(path)] = plain.Replace(string(text))
	}
	return dir, all
}

// tree is the command tree as a person sees it, completion and help included.
func tree() *cobra.Command {
	root := (&app{}).root()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	return root
}

func TestTheManualNamesEveryCommandAndEveryFlag(t *testing.T) {
	_, all := pages(t)
	commands := documented(tree())
	if len(commands) < 20 {
		t.Fatalf("only %d commands", len(commands))
	}
	for _, c := range commands {
		page, there := all[manName(c)+".1"]
		if !there {
			t.Errorf("%s has no page", c.CommandPath())
			continue
		}
		if name := strings.TrimPrefix(c.CommandPath(), "mcc "); !strings.Contains(all["mcc.1"],
			".TP\n"+name+"\n") {
			t.Errorf("mcc.1 does not list %s", name)
		}
		see := func(f *pflag.Flag) {
			flag := "--" + f.Name
			if f.Shorthand != "" {
				flag = "-" + f.Shorthand + ", " + flag
			}
			if !f.Hidden && !strings.Contains(page, "\n"+flag) {
				t.Errorf("the page of %s does not explain %s", c.CommandPath(), flag)
			}
		}
		c.LocalFlags().VisitAll(see)
		c.InheritedFlags().VisitAll(see)
		if !strings.Contains(page, "-s, --unix") || !strings.Contains(page, "EXIT STATUS") {
			t.Errorf("the page of %s lacks the general options or the exit codes", c.CommandPath())
		}
	}
}

func TestTheManualNamesEveryKeyWithItsDefault(t *testing.T) {
	_, all := pages(t)
	for name, keys := range map[string][]conf.Key{
		"mcc.conf.5": conf.Keys(), "mcc-tunnel.conf.5": conf.TunnelKeys(),
	} {
		for _, k := range keys {
			term := "\n" + strings.TrimSpace(k.Name+" = "+k.Default) + "\n"
			if !strings.Contains(all[name], term) {
				t.Errorf("%s does not explain %q", name, term)
			}
		}
	}
}

func TestTheManualOfTheDaemonNamesWhatItsHelpNames(t *testing.T) {
	_, all := pages(t)
	source, err := os.ReadFile(filepath.Join("..", "mccd", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	options := regexp.MustCompile(`arg == "(-[^"]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(options) < 6 {
		t.Fatalf("options of mccd: %q", options)
	}
	for _, m := range options {
		if !strings.Contains(all["mccd.8"], m[1]) {
			t.Errorf("mccd.8 does not explain %s", m[1])
		}
	}
	for _, code := range []string{"0", "1", "2", "10", "11", "12", "13", "14"} {
		if !strings.Contains(all["mccd.8"], ".TP\n"+code+"\n") {
			t.Errorf("mccd.8 does not explain the exit code %s", code)
		}
	}
	for _, path := range api.DefaultPaths() {
		for _, name := range []string{"mcc.1", "mccd.8", "nss_mcc.8"} {
			if !strings.Contains(all[name], path) {
				t.Errorf("%s does not name %s", name, path)
			}
		}
	}
}

func TestTheTypesetterHasNothingToSayAboutTheManual(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skipf("SKIPPED: %v; on Debian type: sudo apt-get install groff", err)
	}
	dir, all := pages(t)
	for name := range all {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err != nil {
			path = filepath.Join("..", "..", "packaging", "man", name)
		}
		out, err := exec.Command(groff, "-man", "-ww", "-z", path).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}

func TestEveryShellHasACompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		exit, out, _ := mcc(t, "", "completion", shell)
		if exit != 0 || !strings.Contains(out, "__complete") {
			t.Errorf("%s: exit code %d, %d bytes", shell, exit, len(out))
		}
	}
	if all := documented(tree()); !slices.ContainsFunc(all, func(c *cobra.Command) bool {
		return c.Name() == "completion"
	}) {
		t.Error("completion is not a command")
	}
}
