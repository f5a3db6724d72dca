// SPDX-License-Identifier: Apache-2.0

package conf

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"staex/internal/ident"
)

// MaxRules bounds the forwarding rules of a node: each holds a socket.
const MaxRules = 256

// ruleForm is what a line of the forwarding rules file looks like.
const ruleForm = "port from PORT1 to IP:PORT2 protocol PROTOCOL"

// A Rule forwards a port of this node to a port of an address inside the overlay.
type Rule struct {
	Port  uint16
	To    netip.AddrPort
	Proto uint8 // ident.ProtoTCP or ident.ProtoUDP
}

// String gives the line of the file.
func (r Rule) String() string {
	return fmt.Sprintf("port from %d to %v protocol %s", r.Port, r.To, protoName(r.Proto))
}

func protoName(proto uint8) string {
	if proto == ident.ProtoUDP {
		return "udp"
	}
	return "tcp"
}

// ParseRules reads a file of forwarding rules, one a line; what follows # is a comment. The error
// is a *ProblemList with everything that is wrong.
func (c *Config) ParseRules(data []byte, file string) ([]Rule, error) {
	var rules []Rule
	var problems []Problem
	problem := func(line int, text string) {
		problems = append(problems, Problem{File: file, Line: line, Text: text})
	}
	if len(data) > MaxFileSize {
		problem(0, fmt.Sprintf("the file is larger than %d bytes", MaxFileSize))
		return nil, &ProblemList{problems}
	}
	type local struct {
		proto uint8
		port  uint16
	}
	first := map[local]int{}
	number := 0
	for text := range strings.Lines(strings.TrimPrefix(string(data), "\ufeff")) {
		number++
		text, _, _ = strings.Cut(text, "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		if len(rules) >= MaxRules || len(problems) >= maxProblems {
			problem(number, fmt.Sprintf("at most %d rules are read", MaxRules))
			break
		}
		r, err := parseRule(text)
		if err == nil {
			err = c.checkRule(r)
		}
		if at := (local{r.Proto, r.Port}); err == nil && first[at] != 0 {
			err = fmt.Errorf("%s port %d is forwarded twice, on line %d and on line %d",
				protoName(r.Proto), r.Port, first[at], number)
		}
		if err != nil {
			problem(number, err.Error())
			continue
		}
		first[local{r.Proto, r.Port}] = number
		rules = append(rules, r)
	}
	if len(problems) > 0 {
		return nil, &ProblemList{problems}
	}
	return rules, nil
}

// parseRule reads one line.
func parseRule(text string) (Rule, error) {
	words := strings.Fields(text)
	form := strings.Fields(ruleForm)
	if len(words) != len(form) {
		return Rule{}, fmt.Errorf("%q is not of the form %s", clip(text), ruleForm)
	}
	for i, want := range form {
		if strings.ToLower(want) == want && words[i] != want {
			return Rule{}, fmt.Errorf("%q stands where %q belongs: %s", clip(words[i]), want,
				ruleForm)
		}
	}
	port, err := parsePort(words[2])
	if err != nil {
		return Rule{}, err
	}
	to, err := netip.ParseAddrPort(words[4])
	if err != nil {
		return Rule{}, fmt.Errorf("%q is not of the form IP:PORT", clip(words[4]))
	}
	if port == 0 || to.Port() == 0 {
		return Rule{}, errors.New("port 0 cannot be reached")
	}
	r := Rule{Port: port, To: netip.AddrPortFrom(to.Addr().Unmap(), to.Port())}
	switch words[6] {
	case "tcp":
		r.Proto = ident.ProtoTCP
	case "udp":
		r.Proto = ident.ProtoUDP
	default:
		return Rule{}, fmt.Errorf("%q is neither tcp nor udp", clip(words[6]))
	}
	return r, nil
}

// checkRule tells whether the overlay has the address of a rule.
func (c *Config) checkRule(r Rule) error {
	ranges := []netip.Prefix{c.Resolver.IPv4, c.Resolver.IPv6, StaticNetwork()}
	for _, in := range ranges {
		if in.Contains(r.To.Addr()) {
			return nil
		}
	}
	return fmt.Errorf("%v is not an address of the overlay (%v, %v, %v)", r.To.Addr(), ranges[0],
		ranges[1], ranges[2])
}
