// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A manualEntry is a row of test/manual.txt about a command of mcc.
type manualEntry struct{ kind, command, name, short, value string }

// manualEntries are what the reference manual says about mcc.
func manualEntries(t *testing.T) []manualEntry {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "test", "manual.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var all []manualEntry
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || strings.HasPrefix(line, "#") {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if program, command, _ := strings.Cut(cells[1], " "); program == "mcc" {
			all = append(all, manualEntry{cells[0], command, cells[2], cells[3], cells[4]})
		}
	}
	if len(all) < 45 {
		t.Fatalf("the table of the manual has only %d entries about mcc", len(all))
	}
	return all
}

func TestHelpHasEveryCommandArgumentAndFlagOfTheManualWithItsDefault(t *testing.T) {
	exit, help, _ := mcc(t, "", "help")
	if exit != 0 {
		t.Fatalf("mcc help: exit code %d", exit)
	}
	root := tree()
	root.InitDefaultHelpFlag()
	root.InitDefaultVersionFlag()
	for _, e := range manualEntries(t) {
		c := root
		if e.command != "" {
			found, _, err := root.Find([]string{e.command})
			if err != nil || found == root {
				t.Errorf("there is no command %s", e.command)
				continue
			}
			c = found
			if !strings.Contains(help, "\n  "+e.command+" ") {
				t.Errorf("mcc help does not list %s", e.command)
			}
		}
		_, text, _ := mcc(t, "", append([]string{"help"}, strings.Fields(e.command)...)...)
		for _, word := range []string{strings.Trim(e.name, "[]"), e.short, e.value} {
			if e.kind != "words" && e.kind != "columns" && !contains(text, word) {
				t.Errorf("mcc help %s does not say %q", e.command, word)
			}
		}
		switch e.kind {
		case "flag", "words":
			checkFlag(t, c, e)
		case "argument":
			if !strings.Contains(strings.ToLower(c.Use)+" ", " "+e.name+" ") {
				t.Errorf("%q does not take the argument %s of the manual", c.Use, e.name)
			}
		}
	}
}

func contains(text, word string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(word))
}

// checkFlag holds a flag of a command to its entry.
func checkFlag(t *testing.T, c *cobra.Command, e manualEntry) {
	t.Helper()
	var f *pflag.Flag
	for _, set := range []*pflag.FlagSet{c.Flags(), c.PersistentFlags()} {
		if f == nil {
			f = set.Lookup(strings.TrimPrefix(e.name, "--"))
		}
	}
	switch {
	case f == nil:
		t.Errorf("mcc %s has no flag %s", e.command, e.name)
		return
	case e.short != "" && f.Shorthand != e.short[1:]:
		t.Errorf("mcc %s %s is -%s for short, the manual says %s", e.command, e.name, f.Shorthand,
			e.short)
	}
	if e.kind == "flag" {
		if e.value != f.DefValue && !strings.Contains(f.Usage, e.value) {
			t.Errorf("mcc %s %s is %q by default, the manual says %q", e.command, e.name,
				f.DefValue, e.value)
		}
		return
	}
	for word := range strings.FieldsSeq(e.value) {
		if err := f.Value.Set(word); err != nil {
			t.Errorf("mcc %s %s %s: %v", e.command, e.name, word, err)
		}
	}
}

func TestEveryCommandOfTheManualTakesItsArgumentsAndNoMore(t *testing.T) {
	least, most := map[string]int{}, map[string]int{}
	for _, e := range manualEntries(t) {
		if e.command == "" {
			continue
		}
		least[e.command] += 0
		if e.kind == "argument" {
			most[e.command]++
			if !strings.HasPrefix(e.name, "[") {
				least[e.command]++
			}
		}
	}
	for command := range least {
		c, _, err := tree().Find([]string{command})
		if err != nil || command == "help" { // which takes a command of several words
			continue
		}
		accepts := func(n int) bool {
			return c.Args == nil || c.Args(c, slices.Repeat([]string{"x"}, n)) == nil
		}
		for n := range most[command] + 2 {
			if want := n >= least[command] && n <= most[command]; accepts(n) != want {
				t.Errorf("mcc %s with %d arguments: accepted %v, the manual says %v", command, n,
					!want, want)
			}
		}
	}
}

func TestTheTableOfNodesHasTheColumnsOfTheManual(t *testing.T) {
	for _, e := range manualEntries(t) {
		if header, _, _ := strings.Cut(nodeTable(nil), "\n"); e.kind == "columns" &&
			strings.Join(strings.Fields(header), " ") != e.value {
			t.Errorf("mcc %s shows %q, the manual %q", e.command, header, e.value)
		}
	}
}

func TestEveryCommandHasAJSONTwinWithAStory(t *testing.T) {
	script, err := os.ReadFile(filepath.Join("..", "..", "test", "script", "json.txt"))
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, c := range documented(tree()) {
		if c.Name() == "help" || strings.HasPrefix(c.CommandPath(), "mcc completion") {
			continue // their output is for people and for shells
		}
		count++
		f := c.Flags().Lookup("output-format")
		if f == nil || f.Shorthand != "f" || f.DefValue != formatTable ||
			f.Value.Set(formatJSON) != nil {
			t.Errorf("%s has no --output-format json", c.CommandPath())
			continue
		}
		story := regexp.MustCompile(`(?m)\bmcc (-s \w+ )?` + c.Name() +
			` .*(-f|--output-format) json.*\n(cmp|masked|stdout) `)
		if !story.Match(script) {
			t.Errorf("test/script/json.txt does not say what %s prints", c.CommandPath())
		}
	}
	if count < 20 {
		t.Errorf("only %d commands", count)
	}
}
