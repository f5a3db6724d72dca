// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"staex/internal/api"
	"staex/internal/conf"
)

// What a finding is worth.
const (
	findingOK      = "ok"
	findingWarning = "warning" // worth knowing; nothing is broken
	findingProblem = "problem"
)

// A finding is the result of one look.
type finding struct {
	Check string `json:"check"`
	State string `json:"state"`
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"` // what to do
}

// A diagnosis is everything that was found, in the order in which things depend on each other.
type diagnosis struct {
	OK       bool      `json:"ok"`
	Findings []finding `json:"findings"`
}

// A doctor looks at one machine. What it learns on its way the later looks use.
type doctor struct {
	app     *app
	machine machine
	dir     string // configuration directory

	cfg     *conf.Config // nil: it could not be read
	status  *api.StatusReply
	tunnels []api.Tunnel
	endless int  // of them: do not end on time
	down    bool // no daemon runs

	found []finding
}

func (a *app) doctorCommand() *cobra.Command {
	dir := ""
	c := a.formatted(&cobra.Command{
		Use:   "doctor",
		Short: "Find what is wrong on this machine and say what to do",
		Long: "Look at everything that a node needs: configuration, keys, device, daemon, " +
			"parent, tunnels, routes and names, and say what to do where something is wrong. " +
			"As root it sees most. Exit code 0 means that nothing is wrong, even with warnings.",
		Args: takes(0, 0),
		RunE: a.do(func([]string) error {
			d := &doctor{app: a, machine: thisMachine(), dir: dir}
			d.examine()
			return d.report()
		}),
	})
	c.Flags().StringVarP(&dir, "config-dir", "C", "",
		"configuration directory (default: the running daemon's, or "+conf.DefaultDir+")")
	return c
}

// examine looks at everything.
func (d *doctor) examine() {
	later := d.askDaemon() // it knows its directory; what it says of itself comes after the files
	d.dir = cmp.Or(d.dir, conf.DefaultDir)
	d.lookAtConfig()
	if d.cfg != nil {
		d.lookAtKeys()
		d.lookAtTunnelFiles()
	}
	d.lookAtClock()
	d.lookAtTUN()
	if d.cfg != nil {
		d.lookAtPort()
		d.lookAtRoutes()
	}
	if d.down && d.cfg != nil && !d.cfg.Socket.Enable {
		d.warn("daemon", "unix-enable = false: nobody can ask the daemon whether it is well",
			"see systemctl status mcc, or remove the line from "+d.configPath())
	} else {
		d.found = append(d.found, later...)
	}
	if d.status != nil {
		d.lookAtParent()
		d.lookAtTunnels()
		d.lookAtForwarding()
		d.lookAtNames()
	}
}

func (d *doctor) ok(check, format string, args ...any) {
	d.found = append(d.found, finding{check, findingOK, fmt.Sprintf(format, args...), ""})
}

func (d *doctor) warn(check, text, hint string) {
	d.found = append(d.found, finding{check, findingWarning, text, hint})
}

func (d *doctor) problem(check, text, hint string) {
	d.found = append(d.found, finding{check, findingProblem, text, hint})
}

// quiet tells whether a check has found nothing so far.
func (d *doctor) quiet(check string) bool {
	for _, f := range d.found {
		if f.Check == check {
			return false
		}
	}
	return true
}

// report shows what was found. The error says how many problems there are.
func (d *doctor) report() error {
	problems := 0
	for _, f := range d.found {
		if f.State == findingProblem {
			problems++
		}
	}
	err := d.app.show(diagnosis{problems == 0, d.found}, func() {
		for _, f := range d.found {
			d.app.printf("%-8s %-13s  %s\n", f.State, f.Check, indented(f.Text))
			if f.Hint != "" {
				d.app.printf("%-8s %-13s  -> %s\n", "", "", indented(f.Hint))
			}
		}
	})
	switch {
	case err != nil || problems == 0:
		return err
	case problems == 1:
		return failf(exitFailed, "1 problem")
	}
	return failf(exitFailed, "%d problems", problems)
}

// indented keeps a text of several lines in its column.
func indented(text string) string {
	return strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+strings.Repeat(" ", 24))
}

func (d *doctor) configPath() string { return filepath.Join(d.dir, conf.FileName) }
