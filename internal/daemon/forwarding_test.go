// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"staex/internal/api"
	"staex/internal/conf"
	"staex/internal/ident"
)

// freePort is a TCP port that nobody listens at.
func freePort(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String()).Port()
}

func ruleOf(port uint16) conf.Rule {
	return conf.Rule{
		Port: port, To: netip.MustParseAddrPort("10.83.0.9:80"), Proto: ident.ProtoTCP,
	}
}

// listens tells whether a connection to a port of this machine is taken.
func listens(port uint16) bool {
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}

// rulesAt is forwarding with one rule in force.
func rulesAt(t *testing.T, timeout time.Duration) (f *forwarding, port uint16) {
	t.Helper()
	f = &forwarding{
		log: newLogbook(io.Discard), path: filepath.Join(t.TempDir(), "rules"), timeout: timeout,
	}
	t.Cleanup(f.close)
	port = freePort(t)
	f.keep([]conf.Rule{ruleOf(port)})
	if len(f.problems()) > 0 || !listens(port) {
		t.Fatalf("port %d: %q", port, f.problems())
	}
	return f, port
}

func hasCode(err error, want api.Code) bool {
	e, ok := errors.AsType[*api.Error](err)
	return ok && e.Code == want
}

func TestRulesThatNobodyConfirmsAreTakenBackOnce(t *testing.T) {
	f, old := rulesAt(t, 50*time.Millisecond)
	next := freePort(t)
	r, err := f.try(conf.Default("/etc/mcc"), ruleOf(next).String())
	if err != nil || r.Rules != 1 || r.Timeout != f.timeout {
		t.Fatalf("%+v, %v", r, err)
	}
	end := time.After(10 * time.Second)
	for listens(next) || !listens(old) {
		select {
		case <-end:
			t.Fatal("the rules of before are not back")
		default:
		}
	}
	_, err = f.settle(api.SettleRulesArgs{Trial: r.Trial, Keep: true})
	if !hasCode(err, api.CodeTimeout) || listens(next) {
		t.Errorf("a late word: %v", err)
	}
	if _, err := os.Stat(f.path); err == nil {
		t.Error("the rules were written")
	}
}

func TestOneTrialIsUnderWayAtATimeAndItsOwnerEndsIt(t *testing.T) {
	f, old := rulesAt(t, time.Hour)
	cfg := conf.Default("/etc/mcc")
	next := freePort(t)
	first, err := f.try(cfg, ruleOf(next).String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.try(cfg, ""); !hasCode(err, api.CodeRefused) {
		t.Errorf("a second trial: %v", err)
	}
	_, err = f.settle(api.SettleRulesArgs{Trial: first.Trial + 1, Keep: true})
	if !hasCode(err, api.CodeTimeout) || !listens(next) {
		t.Errorf("somebody else's word: %v", err)
	}
	r, err := f.settle(api.SettleRulesArgs{Trial: first.Trial})
	if err != nil || r.Rules != 1 || listens(next) || !listens(old) {
		t.Errorf("the word no: %+v, %v", r, err)
	}
	second, err := f.try(cfg, ruleOf(next).String()+"\n")
	if err != nil || second.Trial == first.Trial {
		t.Fatalf("%+v, %v", second, err)
	}
	r, err = f.settle(api.SettleRulesArgs{Trial: second.Trial, Keep: true})
	text, unread := os.ReadFile(f.path)
	if err != nil || unread != nil || r.Rules != 1 || !listens(next) || listens(old) ||
		string(text) != ruleOf(next).String()+"\n" {
		t.Errorf("the word yes: %+v, %v, %v, %q", r, err, unread, text)
	}
}

func TestATrialThatCannotBeginChangesNothing(t *testing.T) {
	f, old := rulesAt(t, time.Hour)
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := netip.MustParseAddrPort(l.Addr().String()).Port()
	for text, code := range map[string]api.Code{
		ruleOf(taken).String(): api.CodeRefused,
		"port from":            api.CodeBadRequest,
	} {
		if _, err := f.try(conf.Default("/etc/mcc"), text); !hasCode(err, code) {
			t.Errorf("%s: %v", text, err)
		}
		if !listens(old) {
			t.Errorf("%s: the rule of before is not in force", text)
		}
	}
	f.keep([]conf.Rule{ruleOf(taken), ruleOf(old)})
	if p := f.problems(); len(p) != 1 || !strings.Contains(p[0], "another program listens there") {
		t.Errorf("problems: %q", p)
	}
}
