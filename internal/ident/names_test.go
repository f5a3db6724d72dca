// SPDX-License-Identifier: Apache-2.0

package ident_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"staex/internal/ident"
)

func TestNamesAreDNSLabels(t *testing.T) {
	for _, name := range []string{"a", "0", "camera1", "a-b", "a--b", strings.Repeat("a", 63)} {
		if err := ident.CheckName(name); err != nil {
			t.Errorf("CheckName(%q): %v", name, err)
		}
	}
	tests := []struct{ name, sentence string }{
		{"", "empty"},
		{strings.Repeat("a", 64), "64 characters"},
		{"-a", "hyphen"},
		{"a-", "hyphen"},
		{"-", "hyphen"},
		{"Camera", `"C"`},
		{"a.b", `"."`},
		{"a_b", `"_"`},
		{"a b", `" "`},
		{"caf\u00e9", "character 4"},
		{"a\x00", `"\x00"`},
		{"wpad", "redirect"},
		{"isatap", "redirect"},
		{"localhost", "redirect"},
		{nodeIDVectors[0].text, "node id"},
		{strings.Repeat("0", 52), "node id"},
	}
	for _, tt := range tests {
		err := ident.CheckName(tt.name)
		if !errors.Is(err, ident.ErrName) || !strings.Contains(err.Error(), tt.sentence) {
			t.Errorf("CheckName(%q): error %v, want one with %q", tt.name, err, tt.sentence)
		}
	}
}

func TestTargetsReadAndPrint(t *testing.T) {
	for text, want := range map[string]ident.Target{
		"tcp:80":    {Proto: ident.ProtoTCP, Port: 80},
		"udp:2222":  {Proto: ident.ProtoUDP, Port: 2222},
		"tcp:1":     {Proto: 6, Port: 1},
		"udp:65535": {Proto: 17, Port: 65535},
	} {
		got, err := ident.ParseTarget(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("ParseTarget(%s) = %s, %v", text, got, err)
		}
		var again ident.Target
		written, err := want.MarshalText()
		if err != nil || again.UnmarshalText(written) != nil || again != want {
			t.Errorf("%s does not survive its text %s", want, written)
		}
	}
	if got := (ident.Target{Proto: 132, Port: 9}).String(); got != "protocol 132:9" {
		t.Errorf("a target of another protocol prints as %s", got)
	}
}

func TestWrongTargetsAreRefused(t *testing.T) {
	for _, text := range []string{
		"", "tcp", "80", ":80", "tcp:", "tcp:0", "tcp:65536", "tcp:+80", "tcp:080", "tcp:80:81",
		"tcp:-1", "tcp:8_0", "TCP:80", "icmp:1", "tcp: 80", " tcp:80", "6:80",
	} {
		if got, err := ident.ParseTarget(text); !errors.Is(err, ident.ErrTarget) {
			t.Errorf("ParseTarget(%q) = %s, %v", text, got, err)
		}
		if err := new(ident.Target).UnmarshalText([]byte(text)); !errors.Is(err, ident.ErrTarget) {
			t.Errorf("UnmarshalText(%q): %v", text, err)
		}
	}
	_, err := ident.ParseTarget(strings.Repeat("x", 1000))
	if len(err.Error()) > 200 {
		t.Errorf("the error repeats the whole input: %v", err)
	}
}

// targetList is n different targets as text.
func targetList(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("udp:%d", 1000+i))
	}
	return strings.Join(list, ",")
}

func TestTargetListsKeepTheirOrder(t *testing.T) {
	got, err := ident.ParseTargets("udp:9, tcp:80,udp:1 ")
	want := []ident.Target{{Proto: 17, Port: 9}, {Proto: 6, Port: 80}, {Proto: 17, Port: 1}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("ParseTargets = %v, %v", got, err)
	}
	if got, err := ident.ParseTargets(targetList(32)); err != nil || len(got) != 32 {
		t.Errorf("32 targets: %d, %v", len(got), err)
	}
	for _, text := range []string{
		"", ",", "tcp:80,", ",tcp:80", "tcp:80,tcp:80", "tcp:80;udp:1", targetList(33),
		strings.Repeat(",", 1<<16),
	} {
		if got, err := ident.ParseTargets(text); !errors.Is(err, ident.ErrTarget) {
			t.Errorf("ParseTargets(%.40q) = %v, %v", text, got, err)
		}
	}
}

func TestRolesReadAndPrint(t *testing.T) {
	all := ident.RoleRelay | ident.RoleTime | ident.RoleRevoker | ident.RoleIssuer
	for text, want := range map[string]ident.Role{
		"": 0, "relay": ident.RoleRelay, "time,issuer": ident.RoleTime | ident.RoleIssuer,
		"relay,time,revoker,issuer": all,
	} {
		got, err := ident.ParseRoles(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("ParseRoles(%q) = %s, %v", text, got, err)
		}
	}
	if got, err := ident.ParseRoles(" issuer , time"); err != nil || got.String() != "time,issuer" {
		t.Errorf("spaces and order: %s, %v", got, err)
	}
	for _, text := range []string{",", "root", "relay,", "Relay"} {
		if _, err := ident.ParseRoles(text); !errors.Is(err, ident.ErrRole) {
			t.Errorf("ParseRoles(%q): %v", text, err)
		}
	}
	if got := (ident.RoleTime | 1<<15).String(); got != "time,0x8000" {
		t.Errorf("an unnamed bit prints as %s", got)
	}
	if !all.Has(ident.RoleTime) || ident.RoleTime.Has(all) {
		t.Error("Has does not ask for all roles")
	}
}

func FuzzParseTargets(f *testing.F) {
	for _, s := range []string{
		"tcp:80", "udp:1, tcp:2", "tcp:80,tcp:80", "tcp:0", "x:1", "tcp", targetList(33), "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		targets, err := ident.ParseTargets(s)
		if err != nil {
			if !errors.Is(err, ident.ErrTarget) {
				t.Errorf("error without sentinel: %v", err)
			}
			return
		}
		for _, target := range targets {
			if again, err := ident.ParseTarget(target.String()); err != nil || again != target {
				t.Errorf("%s reads as %s, %v", target, again, err)
			}
		}
	})
}

func FuzzParseRoles(f *testing.F) {
	f.Add("relay,time, revoker,issuer")
	f.Add("")
	f.Add("x,")
	f.Fuzz(func(t *testing.T, s string) {
		roles, err := ident.ParseRoles(s)
		if err != nil {
			return
		}
		if again, err := ident.ParseRoles(roles.String()); err != nil || again != roles {
			t.Errorf("%s reads as %s, %v", roles, again, err)
		}
	})
}

func FuzzCheckName(f *testing.F) {
	f.Add("camera1")
	f.Add("-a")
	f.Add("wpad")
	f.Add("A")
	f.Add("")
	f.Add(nodeIDVectors[0].text)
	f.Fuzz(func(t *testing.T, s string) {
		if ident.CheckName(s) == nil && (s == "" || len(s) > 63 || strings.ToLower(s) != s) {
			t.Errorf("%q is permitted", s)
		}
	})
}
