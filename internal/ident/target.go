// SPDX-License-Identifier: Apache-2.0

package ident

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// MaxTargets is the largest number of targets of one tunnel. It bounds what a certificate costs
// and lets an index of one byte name a target.
const MaxTargets = 32

// Protocol numbers of targets (IANA).
const (
	// ProtoTCP is TCP.
	ProtoTCP uint8 = 6
	// ProtoUDP is UDP.
	ProtoUDP uint8 = 17
)

// Target is one service that a tunnel leads to: a transport protocol (ProtoTCP or ProtoUDP) and a
// port from 1 to 65535. The zero Target is invalid.
type Target struct {
	Proto uint8
	Port  uint16
}

// ParseTarget reads a target such as tcp:80 or udp:2222. Errors wrap ErrTarget.
func ParseTarget(s string) (Target, error) {
	name, digits, found := strings.Cut(s, ":")
	if !found {
		return Target{}, fmt.Errorf("%w: %q; write the protocol and port, such as tcp:80",
			ErrTarget, clip(s))
	}
	var proto uint8
	switch name {
	case "tcp":
		proto = ProtoTCP
	case "udp":
		proto = ProtoUDP
	default:
		return Target{}, fmt.Errorf("%w: %q; the protocol must be tcp or udp", ErrTarget, clip(s))
	}
	port, ok := parsePort(digits)
	if !ok {
		return Target{}, fmt.Errorf("%w: %q; the port must be a number from 1 to 65535",
			ErrTarget, clip(s))
	}
	return Target{Proto: proto, Port: port}, nil
}

// ParseTargets reads a comma-separated list of 1 to MaxTargets different targets and keeps its
// order. Spaces around a target are permitted. Errors wrap ErrTarget.
func ParseTargets(s string) ([]Target, error) {
	if strings.Count(s, ",") >= MaxTargets {
		return nil, errTooManyTargets()
	}
	var targets []Target
	for field := range strings.SplitSeq(s, ",") {
		target, err := ParseTarget(strings.TrimSpace(field))
		if err != nil {
			return nil, err
		}
		targets = append(targets, target)
	}
	if err := checkTargets(targets); err != nil {
		return nil, err
	}
	return targets, nil
}

// checkTargets is what the targets of a tunnel must fulfil, from whatever source they come.
func checkTargets(targets []Target) error {
	if len(targets) == 0 {
		return fmt.Errorf("%w: a tunnel needs at least one", ErrTarget)
	}
	if len(targets) > MaxTargets {
		return errTooManyTargets()
	}
	for i, t := range targets {
		if t.Proto != ProtoTCP && t.Proto != ProtoUDP || t.Port == 0 {
			return fmt.Errorf("%w: protocol %d port %d", ErrTarget, t.Proto, t.Port)
		}
		if slices.Contains(targets[:i], t) {
			return fmt.Errorf("%w: %s is listed twice", ErrTarget, t)
		}
	}
	return nil
}

func errTooManyTargets() error {
	return fmt.Errorf("%w: a tunnel has at most %d", ErrTarget, MaxTargets)
}

// String is the target as ParseTarget reads it.
func (t Target) String() string {
	port := ":" + strconv.Itoa(int(t.Port))
	switch t.Proto {
	case ProtoTCP:
		return "tcp" + port
	case ProtoUDP:
		return "udp" + port
	default:
		return "protocol " + strconv.Itoa(int(t.Proto)) + port
	}
}

// MarshalText is String for encoders.
func (t Target) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText is ParseTarget for decoders.
func (t *Target) UnmarshalText(text []byte) error {
	parsed, err := ParseTarget(string(text))
	if err != nil {
		return err
	}
	*t = parsed
	return nil
}

// parsePort reads a port from 1 to 65535 written in the one usual way: no sign, no leading zero.
func parsePort(s string) (uint16, bool) {
	port, err := strconv.ParseUint(s, 10, 16)
	if err != nil || port == 0 || s[0] == '0' || s[0] == '+' {
		return 0, false
	}
	return uint16(port), true
}

// clipLength is how much of a wrong text an error repeats.
const clipLength = 64

// clip shortens outside text for an error.
func clip(s string) string {
	if len(s) <= clipLength {
		return s
	}
	return s[:clipLength] + "..."
}
