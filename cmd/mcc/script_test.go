// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"staex/internal/api"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"mcc":       main,
		"faked":     faked,
		"waitfaked": waitFaked,
	})
}

// TestTheCommandLineTellsItsStories runs the scripts. Beside mcc they have:
//
//	faked SOCKET DIR &     a daemon that answers operation OP with the reply in DIR/OP.json
//	waitfaked SOCKET       waits until it listens
//	exits CODE COMMAND...  runs a command and checks its exit code
//	mode PERM FILE...      checks permissions
//	masked FILE WANT       is cmp after what differs from run to run is masked
func TestTheCommandLineTellsItsStories(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("..", "..", "test", "script"),
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error {
			e.Setenv("TZ", "UTC")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "mode": mode, "masked": masked,
		},
	})
}

// exits runs a command and compares its exit code; stdout and stderr are then as after exec.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code command...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if err != nil {
		ended, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = ended.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func mode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: mode perm file...")
	}
	for _, name := range args[1:] {
		info, err := os.Stat(ts.MkAbs(name))
		ts.Check(err)
		if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
			ts.Fatalf("%s has mode %s, want %s", name, got, args[0])
		}
	}
}

// masks are what differs from run to run. WORK is the folder of the script.
var masks = []struct {
	what *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`\b[0-9a-hjkmnp-tv-z]{51}[0g]\b`), "<id>"},
	{regexp.MustCompile(`[A-Za-z0-9+/]{43,}={0,2}`), "<key>"},
	{regexp.MustCompile(`"[0-9a-f]{16}"`), `"<hash>"`},
}

// masked compares a file with another whose random parts have names.
func masked(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: masked file want")
	}
	got := strings.ReplaceAll(ts.ReadFile(args[0]), ts.Getenv("WORK"), "<work>")
	for _, m := range masks {
		got = m.what.ReplaceAllString(got, m.as)
	}
	if want := ts.ReadFile(args[1]); got != want {
		ts.Fatalf("%s is not as wanted, but\n%s", args[0], got)
	}
}

// canned answers with files, and writes what it was asked beside them.
type canned string

// Handle returns the reply in OP.json, or the error in it.
func (dir canned) Handle(_ context.Context, _ api.Peer, r api.Request) (any, error) {
	name := filepath.Join(string(dir), r.Op)
	if err := os.WriteFile(name+".asked", append(r.Args, '\n'), 0o600); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(name + ".json")
	if err != nil {
		return nil, api.Errorf(api.CodeBadRequest, "unknown operation %q", r.Op)
	}
	var reply api.Reply
	if json.Unmarshal(data, &reply) == nil && reply.Code != "" {
		return nil, &api.Error{Code: reply.Code, Message: reply.Error, Hint: reply.Hint}
	}
	return json.RawMessage(strings.TrimSpace(string(data))), nil
}

// faked is a daemon of canned answers; it ends when it is interrupted.
func faked() {
	l, err := api.Listen(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	s := &api.Server{Access: api.Access{Own: uint32(os.Geteuid())}}
	context.AfterFunc(ctx, s.Close)
	_ = s.Serve(l, canned(os.Args[2])) // ends with the script
}

// waitFaked returns when something listens.
func waitFaked() {
	for range 10_000_000 {
		if c, err := api.Dial(os.Args[1]); err == nil {
			_ = c.Close()
			return
		}
	}
	os.Exit(1)
}
