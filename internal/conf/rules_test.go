// SPDX-License-Identifier: Apache-2.0

package conf

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"staex/internal/ident"
)

func TestForwardingRulesAreLinesOfTheManual(t *testing.T) {
	text := "# comment\n\nport from 8080 to 10.83.0.10:80 protocol tcp\n" +
		"  port  from 8080 to 10.115.0.7:53 protocol udp # the same number, another protocol\n" +
		"port from 2222 to [200::1]:22 protocol tcp"
	rules, err := Default("/etc/mcc").ParseRules([]byte(text), "forwarding-rules.conf")
	want := []Rule{
		{8080, netip.MustParseAddrPort("10.83.0.10:80"), ident.ProtoTCP},
		{8080, netip.MustParseAddrPort("10.115.0.7:53"), ident.ProtoUDP},
		{2222, netip.MustParseAddrPort("[200::1]:22"), ident.ProtoTCP},
	}
	if err != nil || !slices.Equal(rules, want) {
		t.Errorf("got %v, %v", rules, err)
	}
	for _, r := range want {
		again, err := Default("/etc/mcc").ParseRules([]byte(r.String()), "x")
		if err != nil || !slices.Equal(again, []Rule{r}) {
			t.Errorf("%v became %v, %v", r, again, err)
		}
	}
}

func TestAWrongForwardingRuleIsASentenceWithItsLine(t *testing.T) {
	for line, says := range map[string]string{
		"port from 80":                                   "not of the form port from PORT1",
		"port from 80 to 10.83.0.1:80 proto tcp":         `"proto" stands where "protocol" belongs`,
		"port from 080 to 10.83.0.1:80 protocol tcp":     "not a port",
		"port from 0 to 10.83.0.1:80 protocol tcp":       "port 0",
		"port from 80 to 10.83.0.1:0 protocol tcp":       "port 0",
		"port from 80 to 10.83.0.1 protocol tcp":         "not of the form IP:PORT",
		"port from 80 to camera1:80 protocol tcp":        "not of the form IP:PORT",
		"port from 80 to 192.168.1.1:80 protocol tcp":    "192.168.1.1 is not an address of",
		"port from 80 to 10.83.0.1:80 protocol icmp":     "neither tcp nor udp",
		"port from 80 to 10.83.0.1:80 protocol tcp more": "not of the form",
	} {
		_, err := Default("/etc/mcc").ParseRules([]byte("\n"+line+"\n"), "rules")
		list, ok := errors.AsType[*ProblemList](err)
		if !ok || len(list.Problems) != 1 || list.Problems[0].Line != 2 ||
			!strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want %q", line, err, says)
		}
	}
	const twice = "port from 80 to 10.83.0.1:80 protocol tcp\n"
	_, err := Default("/etc/mcc").ParseRules([]byte(twice+twice), "rules")
	if err == nil || !strings.Contains(err.Error(), "on line 1 and on line 2") {
		t.Errorf("twice: %v", err)
	}
	many := strings.Builder{}
	for port := range MaxRules + 1 {
		many.WriteString(Rule{
			uint16(port + 1), netip.MustParseAddrPort("10.83.0.1:80"), ident.ProtoTCP,
		}.String() + "\n")
	}
	_, err = Default("/etc/mcc").ParseRules([]byte(many.String()), "rules")
	if err == nil || !strings.Contains(err.Error(), "at most 256 rules") {
		t.Errorf("many: %v", err)
	}
	if _, err := Default("/etc/mcc").ParseRules(make([]byte, MaxFileSize+1), "r"); err == nil {
		t.Error("a file of any size is read")
	}
}

func FuzzParseRules(f *testing.F) {
	f.Add([]byte("port from 8080 to 10.83.0.10:80 protocol tcp\n"))
	f.Add([]byte("port from 1 to [200::1]:2 protocol udp # x\nport"))
	f.Add([]byte("\ufeffport from 0 to ::1 protocol icmp"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := Default("/etc/mcc")
		rules, err := c.ParseRules(data, "rules")
		for _, r := range rules {
			again, wrong := c.ParseRules([]byte(r.String()), "rules")
			if err != nil || wrong != nil || !slices.Equal(again, []Rule{r}) {
				t.Errorf("%v became %v, %v, %v", r, again, err, wrong)
			}
		}
	})
}
