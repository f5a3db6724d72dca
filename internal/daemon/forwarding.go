// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"staex/internal/api"
	"staex/internal/conf"
	"staex/internal/host/disk"
	"staex/internal/host/forward"
	"staex/internal/ident"
)

// rulesPerm is the permission of the forwarding rules file, which holds no secret.
const rulesPerm = 0o644

// forwarding is the forwarding rules: those of the file, those in force, and the trial of new ones.
type forwarding struct {
	log *logbook
	set forward.Set

	mu      sync.Mutex // guards the fields below
	path    string
	timeout time.Duration
	kept    []conf.Rule // what the file says
	trouble []string    // rules that could not be opened, in sentences
	trial   *trial      // nil: none
	number  uint64      // of the last trial
}

// A trial is rules in force that nobody has confirmed yet.
type trial struct {
	number uint64
	text   string
	rules  []conf.Rule
	back   *time.Timer
}

// readRules reads the forwarding rules file. Only one that somebody named has to be there.
func readRules(cfg *conf.Config) ([]conf.Rule, error) {
	path := cfg.Tunnels.ForwardingRules
	text, err := disk.ReadFile(path)
	usual := path == conf.Default(cfg.Dir).Tunnels.ForwardingRules
	switch {
	case errors.Is(err, fs.ErrNotExist) && usual:
		return nil, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, failf(ExitConfig, "forwarding-rules: there is no file %s", path).
			withHint("make it, or remove the line from mcc.conf")
	case denied(err):
		return nil, failf(ExitPermission, "forwarding-rules: no permission to read %s", path).
			withHint("run as root or as the owner of the file")
	case err != nil:
		why := strings.TrimPrefix(err.Error(), "disk: ")
		return nil, failf(ExitConfig, "forwarding-rules: %s", why).
			withHint("%s has to be a file with one rule a line", path)
	}
	rules, err := cfg.ParseRules(text, path)
	if err != nil {
		return nil, failf(ExitConfig, "%v", err).
			withHint("a rule is: port from PORT1 to IP:PORT2 protocol PROTOCOL")
	}
	return rules, nil
}

// openRules puts the rules of the file in force. A port that is in use stops no other.
func (d *daemon) openRules() error {
	f := &d.forwarding
	f.log = d.log
	f.path, f.timeout = d.files.cfg.Tunnels.ForwardingRules,
		d.files.cfg.Tunnels.ForwardingRulesTimeout
	f.keep(d.files.rules)
	d.later(func() error { f.close(); return nil })
	return nil
}

// reloadRules reads the file again.
func (d *daemon) reloadRules(cfg *conf.Config) {
	rules, err := readRules(cfg)
	if err != nil {
		d.log.Error("forwarding rules not reloaded", "error", err.Error())
		return
	}
	f := &d.forwarding
	f.mu.Lock()
	busy := f.trial != nil
	f.path, f.timeout = cfg.Tunnels.ForwardingRules, cfg.Tunnels.ForwardingRulesTimeout
	f.mu.Unlock()
	if busy {
		d.log.Warn("forwarding rules not reloaded", "error", "others are on trial")
		return
	}
	f.keep(rules)
}

// keep makes rules those of the file and puts them in force.
func (f *forwarding) keep(rules []conf.Rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept, f.trouble = rules, nil
	for _, err := range f.set.Use(ports(rules)) {
		f.trouble = append(f.trouble, sentence(err))
		f.log.Warn("forwarding rule", "problem", sentence(err))
	}
}

func sentence(err error) string {
	text := err.Error()
	switch {
	case taken(err):
		text += "; another program listens there"
	case denied(err):
		text += "; choose a port above 1023, or write the rule to the file and restart mccd"
	}
	return text
}

// ports are rules as the machine takes them.
func ports(rules []conf.Rule) []forward.Rule {
	list := make([]forward.Rule, len(rules))
	for i, r := range rules {
		list[i] = forward.Rule{UDP: r.Proto == ident.ProtoUDP, Port: r.Port, To: r.To}
	}
	return list
}

// problems are sentences for the health of the node.
func (f *forwarding) problems() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.trouble)
}

// try puts new rules in force until somebody confirms them or the time is over.
func (f *forwarding) try(cfg *conf.Config, text string) (r api.ApplyRulesReply, err error) {
	rules, err := cfg.ParseRules([]byte(text), "rules")
	if err != nil {
		return r, api.Errorf(api.CodeBadRequest, "%v", err).
			WithHint("a rule is: port from PORT1 to IP:PORT2 protocol PROTOCOL")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.trial != nil {
		return r, api.Errorf(api.CodeRefused, "other forwarding rules are on trial").
			WithHint(fmt.Sprintf("wait %v, or answer the other mcc", f.timeout))
	}
	if errs := f.set.Use(ports(rules)); len(errs) > 0 {
		f.restore()
		return r, api.Errorf(api.CodeRefused, "%s", sentence(errs[0])).
			WithHint("nothing was changed")
	}
	f.number++
	number := f.number
	f.trial = &trial{number: number, text: text, rules: rules}
	f.trial.back = time.AfterFunc(f.timeout, func() { f.expire(number) })
	f.log.Info("forwarding rules on trial", "rules", len(rules), "timeout", f.timeout)
	return api.ApplyRulesReply{Trial: number, Rules: len(rules), Timeout: f.timeout}, nil
}

// restore puts the rules of the file in force again. The lock is held.
func (f *forwarding) restore() {
	for _, err := range f.set.Use(ports(f.kept)) {
		f.log.Warn("forwarding rule", "problem", sentence(err))
	}
}

// expire takes rules back that nobody confirmed.
func (f *forwarding) expire(number uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.trial == nil || f.trial.number != number {
		return // settled at this moment
	}
	f.trial = nil
	f.restore()
	f.log.Warn("forwarding rules taken back", "reason", "nobody confirmed them")
}

// settle ends a trial.
func (f *forwarding) settle(a api.SettleRulesArgs) (r api.SettleRulesReply, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.trial
	if t == nil || t.number != a.Trial {
		return r, api.Errorf(api.CodeTimeout, "the rules were taken back: nobody confirmed them "+
			"within %v", f.timeout).
			WithHint("forwarding-rules-commit-timeout in mcc.conf gives more time")
	}
	t.back.Stop()
	f.trial = nil
	if !a.Keep {
		f.restore()
		f.log.Info("forwarding rules taken back", "reason", "somebody said so")
		return api.SettleRulesReply{Rules: len(f.kept)}, nil
	}
	r.Rules = len(t.rules)
	switch err = disk.WriteFile(f.path, []byte(t.text), rulesPerm); {
	case denied(err):
		r.File = f.path // whoever asks has root's rights, and this process has given them up
	case err != nil:
		f.restore()
		return api.SettleRulesReply{}, api.Errorf(api.CodeFailed, "the rules were taken back: %s",
			strings.TrimPrefix(err.Error(), "disk: "))
	}
	f.kept, f.trouble = t.rules, nil
	f.log.Info("forwarding rules kept", "rules", r.Rules, "file", f.path)
	return r, nil
}

// close ends the rules and a trial.
func (f *forwarding) close() {
	f.mu.Lock()
	if f.trial != nil {
		f.trial.back.Stop()
		f.trial = nil
	}
	f.mu.Unlock()
	f.set.Close()
}

func (c *control) applyRules(_ context.Context, a api.ApplyRulesArgs) (any, error) {
	return c.d.forwarding.try(c.d.files.cfg, a.Text)
}

func (c *control) settleRules(_ context.Context, a api.SettleRulesArgs) (any, error) {
	return c.d.forwarding.settle(a)
}
