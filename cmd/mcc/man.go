// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"staex/internal/api"
	"staex/internal/conf"
)

// manCommand writes the manual pages that follow from the commands and keys themselves. It is
// for those who make packages.
func (a *app) manCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:    "man DIRECTORY",
		Short:  "Write the manual pages of mcc and of its configuration files",
		Args:   takes(1, 1),
		Hidden: true,
		RunE: a.do(func(words []string) error {
			if err := makeDir(words[0]); err != nil {
				return err
			}
			return writeAll(manPages(root, words[0]))
		}),
	}
}

// manPages makes every page: one for mcc, one for each command, one for each kind of file.
func manPages(root *cobra.Command, dir string) []file {
	page := func(name string, text string) file {
		return file{filepath.Join(dir, name), []byte(text), publicPerm}
	}
	pages := []file{
		page("mcc.1", rootPage(root)),
		page("mcc.conf.5", keysPage(keysFile{
			name: conf.FileName, short: "main configuration file of mccd",
			path: filepath.Join(conf.DefaultDir, conf.FileName),
			text: "Every key has the default that stands behind it; mccd -C prints a file with " +
				"all of them. Relative paths start at the directory of the file. Lists are " +
				"separated by commas. Durations are written 30s, 2m or 1h. An unknown key is an " +
				"error.",
			keys: conf.Keys(),
		})),
		page("mcc-tunnel.conf.5", keysPage(keysFile{
			name: "mcc-tunnel.conf", short: "server side of a tunnel of mccd",
			path: filepath.Join(conf.DefaultDir, "tunnels", "NAME.conf"),
			text: "mcc create-tunnel writes these files, and mccd reads them again whenever they " +
				"change. What may pass and for whom stands in the certificate, which the " +
				"network's key has signed.",
			keys: conf.TunnelKeys(),
		})),
	}
	pages = append(pages, page("mcc-forwarding-rules.conf.5", rulesPage()))
	for _, c := range documented(root) {
		pages = append(pages, page(manName(c)+".1", commandPage(c)))
	}
	return pages
}

// documented are the commands that have a page, those of a command behind it.
func documented(root *cobra.Command) (all []*cobra.Command) {
	for _, c := range root.Commands() {
		if c.Hidden {
			continue
		}
		all = append(all, c)
		all = append(all, documented(c)...)
	}
	return all
}

// manName is the name of a command's page: mcc-create-tunnel.
func manName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

func rootPage(root *cobra.Command) string {
	m := newMan("mcc", 1, root.Short)
	m.section("SYNOPSIS")
	m.bold("mcc").text(" [OPTIONS] COMMAND [ARGUMENTS]\n")
	m.section("DESCRIPTION")
	m.text("mcc asks the daemon mccd of this machine over its Unix socket, and makes keys, " +
		"certificates and configuration files. It never talks to another machine.\n")
	m.section("COMMANDS")
	for _, c := range documented(root) {
		m.item(strings.TrimPrefix(c.CommandPath(), "mcc ")).text(c.Short + ".\n")
	}
	m.options("OPTIONS", root.PersistentFlags(), root.LocalNonPersistentFlags())
	m.exits()
	m.section("FILES")
	for _, f := range [][2]string{
		{filepath.Join(conf.DefaultDir, conf.FileName), "Main configuration file."},
		{filepath.Join(conf.DefaultDir, "tunnels"), "Server sides of tunnels."},
		{api.DefaultPath, "Socket of the daemon."},
		{api.FallbackPath, "Socket of a daemon that cannot make the first."},
	} {
		m.item(f[0]).text(f[1] + "\n")
	}
	m.seeAlso("mccd(8)", "mcc.conf(5)", "mcc-tunnel.conf(5)", "nss_mcc(8)")
	return m.String()
}

func commandPage(c *cobra.Command) string {
	m := newMan(manName(c), 1, c.Short)
	m.section("SYNOPSIS")
	m.bold(c.CommandPath()).text(strings.TrimPrefix(c.UseLine(), c.CommandPath()) + "\n")
	m.section("DESCRIPTION")
	m.text(cmp.Or(c.Long, c.Short+".") + "\n")
	m.options("OPTIONS", c.NonInheritedFlags())
	m.options("COMMON OPTIONS", c.InheritedFlags())
	m.exits()
	m.seeAlso("mcc(1)", "mccd(8)")
	return m.String()
}

// A keysFile is a kind of configuration file.
type keysFile struct {
	name, short, path, text string
	keys                    []conf.Key
}

func keysPage(f keysFile) string {
	m := newMan(f.name, 5, f.short)
	m.section("SYNOPSIS")
	m.bold(f.path).text("\n")
	m.section("DESCRIPTION")
	m.text("Lines of the form \"key = value\"; what follows # is a comment. " + f.text + "\n")
	m.section("KEYS")
	for _, k := range f.keys {
		m.item(strings.TrimSpace(k.Name + " = " + k.Default))
		m.text(strings.ReplaceAll(k.Doc, "\n", " "))
		if !k.Built {
			m.text(" Not in this version: only the default is accepted.")
		}
		m.text("\n")
	}
	m.seeAlso("mcc(1)", "mccd(8)", "mcc.conf(5)", "mcc-tunnel.conf(5)")
	return m.String()
}

func rulesPage() string {
	m := newMan("mcc-forwarding-rules.conf", 5, "ports of a node that lead into the network")
	m.section("SYNOPSIS")
	m.bold(conf.Default(conf.DefaultDir).Tunnels.ForwardingRules).text("\n")
	m.section("DESCRIPTION")
	m.text("One rule a line; what follows # is a comment. The key forwarding-rules of " +
		"mcc.conf(5) names another file. mcc apply-forwarding-rules puts a file on trial; mccd " +
		"reads it at its start and when it is sent HUP.\n")
	m.item("port from PORT1 to IP:PORT2 protocol PROTOCOL").text("Whoever reaches PORT1 of this " +
		"machine reaches PORT2 of the address IP, which belongs to the overlay: see mcc resolve " +
		"and mcc tunnels. An IPv6 address stands in brackets. PROTOCOL is tcp or udp. A tunnel " +
		"has to allow it, and sees this node as the one who asks.\n")
	m.section("EXAMPLES")
	m.text("\tport from 8080 to 10.83.0.10:80 protocol tcp\n" +
		"\tport from 5353 to [200::1]:53 protocol udp\n")
	m.seeAlso("mcc-apply-forwarding-rules(1)", "mccd(8)", "mcc.conf(5)")
	return m.String()
}

// A man is a page in the language of man(7), while it is written.
type man struct{ strings.Builder }

// newMan begins a page. It has no date, so that the same program writes the same page.
func newMan(name string, section int, short string) *man {
	m := &man{}
	m.WriteString(".TH " + roff(strings.ToUpper(name)) + " " + string(rune('0'+section)) +
		` "" "mcc ` + api.Version + "\" \"Staex\"\n")
	m.section("NAME")
	m.text(name + " - " + strings.ToLower(short[:1]) + short[1:] + "\n")
	return m
}

func (m *man) section(name string) { m.WriteString(".SH " + name + "\n") }

// item begins an entry of a list: a term, and what is written next to explain it.
func (m *man) item(term string) *man {
	m.WriteString(".TP\n")
	return m.bold(term).text("\n")
}

func (m *man) bold(text string) *man {
	m.WriteString(`\fB` + roff(text) + `\fR`)
	return m
}

// text writes running text. An empty line begins a paragraph; an indented one stays alone.
func (m *man) text(text string) *man {
	for line := range strings.Lines(text) {
		switch {
		case line == "\n" && strings.HasSuffix(m.String(), "\n"):
			m.WriteString(".PP\n")
		case strings.HasPrefix(line, "\t"):
			m.WriteString("    " + roff(line[1:]) + ".br\n")
		default:
			m.WriteString(roff(line))
		}
	}
	return m
}

// options lists flags in the order of their names.
func (m *man) options(title string, sets ...*pflag.FlagSet) {
	var all []*pflag.Flag
	for _, s := range sets {
		s.VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				all = append(all, f)
			}
		})
	}
	if len(all) == 0 {
		return
	}
	slices.SortFunc(all, func(a, b *pflag.Flag) int { return strings.Compare(a.Name, b.Name) })
	m.section(title)
	for _, f := range all {
		term := "--" + f.Name
		if f.Shorthand != "" {
			term = "-" + f.Shorthand + ", " + term
		}
		kind, usage := pflag.UnquoteUsage(f)
		m.item(strings.TrimSpace(term + " " + kind)).text(strings.ToUpper(usage[:1]) + usage[1:])
		if v := f.DefValue; v != "" && v != "false" && v != "0" && v != "[]" {
			m.text(" (default " + v + ")")
		}
		m.text(".\n")
	}
}

func (m *man) exits() {
	m.section("EXIT STATUS")
	for code, meaning := range exitMeanings {
		m.item(string(rune('0' + code))).text(meaning + "\n")
	}
}

// exitMeanings explains the exit codes, each at its own number.
var exitMeanings = [...]string{
	exitDone:         "Done.",
	exitFailed:       "Failed.",
	exitUsage:        "The command line is wrong.",
	exitNoDaemon:     "No daemon answers.",
	exitNotFound:     "There is no such thing, or no answer.",
	exitNotPermitted: "This user may not do that.",
	exitRefused:      "Refused: it exists, is not trusted, or needs --force.",
	exitTimeout:      "It took too long.",
}

func (m *man) seeAlso(pages ...string) {
	m.section("SEE ALSO")
	m.text(strings.Join(pages, ", ") + "\n")
}

// roff writes text so that the typesetter changes nothing about it.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "^", `\(ha`, "~", `\(ti`).
		Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}
