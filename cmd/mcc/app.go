// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"staex/internal/api"
)

// An app is one run of the command line.
type app struct {
	in    *os.File
	lines *bufio.Reader // over in: a key and its passphrase are two lines of one stream
	out   io.Writer
	err   io.Writer

	socket string // --unix; empty: the default places
	format string // --output-format of the command that runs
	ran    bool   // a command has started: what fails from now on is not the usage
}

// run carries out one command line and returns the exit code.
func run(args []string, in *os.File, out, errs io.Writer) int {
	shown := &output{to: out}
	a := &app{in: in, lines: bufio.NewReader(in), out: shown, err: errs}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(shown)
	root.SetErr(errs)
	a.finishCompletion(root)
	command, err := root.ExecuteC()
	switch {
	case shown.lost != nil && (err == nil || !a.ran): // cobra returns it, too
		err = failf(exitFailed, "the output was lost: %v", shown.lost).
			withHint("what the command does was done")
	case err == nil:
		return exitDone
	case !a.ran:
		err = usagef("%v", err).withHint("see %s --help", command.CommandPath())
	}
	return a.report(err)
}

// output is standard output, and remembers the first error of it. A closed pipe is the reader's
// choice and none.
type output struct {
	to   io.Writer
	lost error
}

// Write writes to standard output.
func (o *output) Write(b []byte) (int, error) {
	n, err := o.to.Write(b)
	if err != nil && o.lost == nil && !errors.Is(err, syscall.EPIPE) {
		o.lost = err
	}
	return n, err
}

// root is the command tree.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "mcc",
		Short:         "Control a node of a Staex network",
		Version:       api.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknown(c, args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetVersionTemplate("mcc {{.Version}}\n")
	root.PersistentFlags().StringVarP(&a.socket, "unix", "s", "",
		"socket of the daemon (default: "+strings.Join(api.DefaultPaths(), ", then ")+")")
	root.AddCommand(
		a.idCommand(), a.parentCommand(), a.healthCommand(), a.statusCommand(),
		a.nodesCommand(), a.resolveCommand(), a.routeCommand(), a.pingCommand(),
		a.initCommand(), a.networkCommand(), a.nodeCommand(), a.namesCommand(),
		a.certificatesCommand(),
		a.createTunnelCommand(), a.tunnelsCommand(), a.doctorCommand(), a.revokeCommand(),
		a.dependentCommand(), a.rulesCommand(),
	)
	root.AddCommand(a.switchCommands()...)
	root.SetHelpCommand(a.helpCommand(root))
	root.AddCommand(a.manCommand(root))
	return root
}

// helpCommand is cobra's, except that an unknown topic is an error.
func (a *app) helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [subcommand]",
		Short: "Explain a command",
		RunE: func(_ *cobra.Command, args []string) error {
			topic, rest, err := root.Find(args)
			if err != nil || topic == nil || len(rest) > 0 {
				return unknown(root, strings.Join(args, " "))
			}
			topic.InitDefaultHelpFlag() // cobra's own command forgets these two
			topic.InitDefaultVersionFlag()
			return topic.Help()
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, start string) (
			[]cobra.Completion, cobra.ShellCompDirective,
		) {
			var names []cobra.Completion
			if len(args) == 0 {
				for _, c := range root.Commands() {
					if c.IsAvailableCommand() && strings.HasPrefix(c.Name(), start) {
						names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// finishCompletion makes cobra's own command refuse a shell that it does not know: a command that
// only has others behind it shows its help otherwise, and ends well.
func (a *app) finishCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	if c, _, err := root.Find([]string{"completion"}); err == nil {
		c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	}
}

// do wraps the body of a command.
func (a *app) do(body func(args []string) error) func(*cobra.Command, []string) error {
	return func(_ *cobra.Command, args []string) error {
		a.ran = true
		return body(args)
	}
}

// ask makes one call to the daemon on a connection of its own.
func (a *app) ask(op string, args, result any) error {
	c, err := api.Dial(a.socket)
	if err != nil {
		return err
	}
	return errors.Join(c.Call(op, args, result), c.Close())
}

// Output formats.
const (
	formatTable    = "table"
	formatJSON     = "json"
	formatGraphviz = "graphviz"
)

// formatted gives a command the flag for its output format; table and JSON always are.
func (a *app) formatted(c *cobra.Command, more ...string) *cobra.Command {
	words := append([]string{formatTable, formatJSON}, more...)
	a.format = formatTable
	addChoice(c, &a.format, "output-format", "f", "output format", words)
	return c
}

// show prints a result as JSON or by the given function.
func (a *app) show(result any, table func()) error {
	if a.format != formatJSON {
		table()
		return nil
	}
	text, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the output: %w", err)
	}
	a.printf("%s\n", text)
	return nil
}

// printf writes to standard output, whose errors run reports at the end.
func (a *app) printf(format string, args ...any) {
	_, _ = fmt.Fprintf(a.out, format, args...)
}

// notef writes to standard error: what a person should know and a program need not.
func (a *app) notef(format string, args ...any) {
	_, _ = fmt.Fprintf(a.err, "mcc: "+format+"\n", args...)
}

// A choice is a flag that takes one of a few words.
type choice struct {
	value *string
	words []string
}

// addChoice adds such a flag; its default is the value it already has.
func addChoice(c *cobra.Command, value *string, name, short, what string, words []string) {
	c.Flags().VarP(&choice{value, words}, name, short, what+": "+strings.Join(words, ", "))
	complete := cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
	if err := c.RegisterFlagCompletionFunc(name, complete); err != nil {
		panic("mcc: " + err.Error()) // the flag was added a line above
	}
}

// String is the current word.
func (c *choice) String() string { return *c.value }

// Type is what help shows as the kind of value.
func (c *choice) Type() string { return "word" }

// Set takes one of the words.
func (c *choice) Set(word string) error {
	if !slices.Contains(c.words, word) {
		return fmt.Errorf("choose one of: %s", strings.Join(c.words, ", "))
	}
	*c.value = word
	return nil
}
