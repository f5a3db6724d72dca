// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"staex/internal/api"
	"staex/internal/ident"
)

func someID(n byte) ident.NodeID { return ident.SecretFromSeed([32]byte{n}).ID() }

// mcc runs a command line with the given standard input.
func mcc(t *testing.T, input string, args ...string) (exit int, out, errs string) {
	t.Helper()
	in, err := os.CreateTemp(t.TempDir(), "in")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if _, err := in.WriteString(input); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	var o, e bytes.Buffer
	exit = run(args, in, &o, &e)
	return exit, o.String(), e.String()
}

func TestATableHasTwoSpacesBetweenColumnsAndNoneBehind(t *testing.T) {
	got := table([][]string{{"A", "B", "C"}, {"1", "", "3"}, {"", "größer", ""}, {"", "", ""}})
	want := "A  B       C\n1          3\n   größer\n\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNodesComeEndpointsFirstThenSelfThenItsParents(t *testing.T) {
	self, parent, root := someID(1), someID(2), someID(3)
	want := []api.Node{
		{ID: someID(4), Type: api.TypeServerEndpoint, Parent: self},
		{ID: someID(5), Type: api.TypeClientEndpoint, Parent: self},
		{ID: self, Self: true, Parent: parent},
		{ID: parent, Parent: root},
		{ID: root},
		{ID: someID(6), Parent: self},
		{ID: someID(7), Parent: root},
	}
	if want[5].ID.Compare(want[6].ID) > 0 {
		want[5], want[6] = want[6], want[5]
	}
	got := []api.Node{want[6], want[4], want[2], want[5], want[1], want[3], want[0]}
	sortNodes(got)
	for i := range want {
		if got[i].ID != want[i].ID {
			t.Errorf("row %d is %s, want %s", i, got[i].ID, want[i].ID)
		}
	}
	loop := []api.Node{{ID: self, Self: true, Parent: root}, {ID: root, Parent: self}}
	sortNodes(loop) // a cycle of parents ends
	if loop[0].ID != self {
		t.Error("this node is not first")
	}
}

func TestAnExpiryIsADayAMomentOrATime(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		text string
		want time.Time
	}{
		{"2026-05-01", time.Date(2026, 5, 2, 0, 0, 0, 0, time.UTC)},
		{"2026-06-01T10:00:00+02:00", time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC)},
		{"90d", now.AddDate(0, 0, 90)},
		{"12h", now.Add(12 * time.Hour)},
	} {
		got, err := parseExpiry(c.text, now)
		if err != nil || int64(got) != c.want.Unix() {
			t.Errorf("%s: %d, %v, want %d", c.text, got, err, c.want.Unix())
		}
	}
	if got, err := parseExpiry("", now); got != 0 || err != nil {
		t.Errorf("never: %d, %v", got, err)
	}
	for _, bad := range []string{"0d", "2026-04-30", "x", "-1d", "1.5d", "2107-01-01", "12"} {
		if got, err := parseExpiry(bad, now); err == nil {
			t.Errorf("%s was read as %d", bad, got)
		}
	}
}

func TestEveryCodeOfTheDaemonHasItsExitCode(t *testing.T) {
	for code, want := range map[api.Code]int{
		api.CodeFailed: 1, api.CodeBadRequest: 2, api.CodeNoDaemon: 3, api.CodeNotFound: 4,
		api.CodeNoAnswer: 4, api.CodeNotPermitted: 5, api.CodeRefused: 6, api.CodeTimeout: 7,
		"something-new": 1,
	} {
		if got := asFailure(api.Errorf(code, "x")).exit; got != want {
			t.Errorf("%s: %d, want %d", code, got, want)
		}
	}
	if got := asFailure(os.ErrPermission).exit; got != exitNotPermitted {
		t.Errorf("permission: %d", got)
	}
	if got := asFailure(errors.New("x")).exit; got != exitFailed {
		t.Errorf("other: %d", got)
	}
}

func TestANodeIsMadeFromANetworkAndNothingIsOverwritten(t *testing.T) {
	dir := t.TempDir()
	if exit, _, errs := mcc(t, "", "generate-network-certificate", dir+"/net"); exit != 0 {
		t.Fatal(errs)
	}
	key, err := os.ReadFile(dir + "/net/" + networkKeyFile)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := os.ReadFile(dir + "/net/" + networkCertFile)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"init", "--stdin", "-C", dir + "/node", strings.TrimSpace(string(cert))}
	exit, out, errs := mcc(t, string(key), args...)
	if exit != 0 || !strings.HasPrefix(out, "node     ") {
		t.Fatalf("%d, %s, %s", exit, out, errs)
	}
	before, err := os.ReadFile(dir + "/node/" + nodeKeyFile)
	if err != nil {
		t.Fatal(err)
	}
	if exit, _, _ := mcc(t, string(key), args...); exit != exitRefused {
		t.Errorf("a second init: exit code %d", exit)
	}
	after, err := os.ReadFile(dir + "/node/" + nodeKeyFile)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the key has changed: %v", err)
	}
	if exit, _, errs := mcc(t, "", "certificates", dir+"/node/mcc.conf"); exit != 0 {
		t.Error(errs)
	}
}
