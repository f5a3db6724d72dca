// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"staex/internal/api"
	"staex/internal/conf"
	"staex/internal/host/disk"
)

// An appliedRules is what mcc apply-forwarding-rules reports.
type appliedRules struct {
	Rules int  `json:"rules"` // in force now
	Kept  bool `json:"kept"`
}

func (a *app) rulesCommand() *cobra.Command {
	var force bool
	c := a.formatted(&cobra.Command{
		Use:   "apply-forwarding-rules FILE",
		Short: "Replace the forwarding rules, and take them back unless you confirm",
		Long: "Put the forwarding rules of a file in force and ask whether to keep them. Without " +
			"an answer in time\n(forwarding-rules-commit-timeout), say because the new rules cut " +
			"your own connection, the old\nrules come back. Kept rules are written to the file " +
			"that forwarding-rules names in mcc.conf.\nA rule is a line:\n\n" +
			"\tport from PORT1 to IP:PORT2 protocol PROTOCOL\n\n" +
			"It opens PORT1 of this machine and leads it to PORT2 of an address of the overlay " +
			"(mcc resolve,\nmcc tunnels), which a tunnel has to allow. PROTOCOL is tcp or udp.",
		Args: takes(1, 1),
		RunE: a.do(func(words []string) error { return a.applyRules(words[0], force) }),
	})
	c.Flags().BoolVarP(&force, "force", "y", false, "keep the rules without asking")
	return c
}

func (a *app) applyRules(path string, force bool) error {
	text, err := disk.ReadFile(path)
	if err != nil {
		return unreadable("file of forwarding rules", path, err,
			"write one with lines such as: port from 8080 to 10.83.0.10:80 protocol tcp")
	}
	p, err := a.find()
	if err != nil {
		return err
	}
	if _, err := p.config.ParseRules(text, path); err != nil {
		if list, ok := errors.AsType[*conf.ProblemList](err); ok {
			return failf(exitFailed, "%v", list).
				withHint("nothing was changed; see mcc help apply-forwarding-rules")
		}
		return err
	}
	var begun api.ApplyRulesReply
	if err := a.ask(api.OpApplyRules, api.ApplyRulesArgs{Text: string(text)}, &begun); err != nil {
		return err
	}
	keep, inTime := force, true
	if !force {
		a.notef("%d rules are in force; without an answer they are taken back in %v", begun.Rules,
			begun.Timeout)
		keep, inTime = a.confirmWithin("Keep them?", begun.Timeout)
	}
	if !inTime {
		return failf(exitTimeout, "nobody confirmed: the rules are taken back").
			withHint("forwarding-rules-commit-timeout in mcc.conf gives more time")
	}
	var done api.SettleRulesReply
	err = a.ask(api.OpSettleRules, api.SettleRulesArgs{Trial: begun.Trial, Keep: keep}, &done)
	if err != nil {
		return err
	}
	if done.File != "" {
		if err := disk.WriteFile(done.File, text, publicPerm); err != nil {
			return failf(exitFailed, "the rules are in force until mccd is restarted: %s",
				strings.TrimPrefix(err.Error(), "disk: ")).
				withHint("write them to %s with sudo", done.File)
		}
	}
	if !keep {
		return failf(exitRefused, "the rules were taken back; %d are in force as before",
			done.Rules)
	}
	return a.show(appliedRules{done.Rules, true}, func() {
		a.printf("%d rules are in force and kept\n", done.Rules)
	})
}

// confirmWithin is confirm with a limit; inTime is false if it has passed.
func (a *app) confirmWithin(question string, limit time.Duration) (yes, inTime bool) {
	answer := make(chan bool, 1)
	go func() { answer <- a.confirm(question) }() // left behind at the end of the program
	select {
	case yes = <-answer:
		return yes, true
	case <-time.After(limit):
		return false, false
	}
}
