// SPDX-License-Identifier: Apache-2.0

// Package scan knocks on ports and tells which of them anybody answers. It never says that
// a port is shut because it did not look: a test first shows it a port that is open.
package scan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Dialer opens connections from where the scanner stands.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// State is what knocking on a port brought.
type State uint8

const (
	// Silent means that nothing came back.
	Silent State = iota
	// Open means that TCP connected, or that UDP was answered.
	Open
	// Closed means that the host, or a router for it, said that nobody is there.
	Closed
)

// String returns the state in one word.
func (s State) String() string {
	switch s {
	case Open:
		return "open"
	case Closed:
		return "closed"
	default:
		return "silent"
	}
}

// Finding is the state of one port.
type Finding struct {
	Port  uint16
	State State
}

// atOnce bounds the connections under way, below any sane limit on open files.
const atOnce = 128

// TCP tries to connect to every port and gives each that much patience. The findings are in
// the order of the ports asked for.
func TCP(ctx context.Context, d Dialer, host netip.Addr, ports []uint16,
	patience time.Duration,
) ([]Finding, error) {
	return scan(ports, func(port uint16) (State, error) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		conn, err := d.DialContext(ctx, "tcp", netip.AddrPortFrom(host, port).String())
		if err != nil {
			return judge(err)
		}
		return Open, conn.Close()
	})
}

// UDP sends the probe to every port and waits that long for an answer. A port that takes
// the probe and says nothing can not be told from one behind a firewall: both are Silent.
func UDP(ctx context.Context, d Dialer, host netip.Addr, ports []uint16, probe []byte,
	patience time.Duration,
) ([]Finding, error) {
	return scan(ports, func(port uint16) (State, error) {
		conn, err := d.DialContext(ctx, "udp", netip.AddrPortFrom(host, port).String())
		if err != nil {
			return judge(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			return Silent, err
		}
		if _, err := conn.Write(probe); err != nil {
			return judge(err)
		}
		if _, err := conn.Read(make([]byte, 1500)); err != nil {
			return judge(err)
		}
		return Open, nil
	})
}

// OpenPorts returns the ports found open.
func OpenPorts(findings []Finding) []uint16 {
	var open []uint16
	for _, f := range findings {
		if f.State == Open {
			open = append(open, f.Port)
		}
	}
	return open
}

// Ports returns every port from first to last, both included.
func Ports(first, last uint16) []uint16 {
	var ports []uint16
	for port := int(first); port <= int(last); port++ {
		ports = append(ports, uint16(port))
	}
	return ports
}

// judge turns the error of a knock into a state. What is neither an answer nor silence is
// the scanner's own trouble and no finding.
func judge(err error) (State, error) {
	var slow net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH),
		errors.Is(err, syscall.ENETUNREACH):
		return Closed, nil
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &slow) && slow.Timeout():
		return Silent, nil
	}
	return Silent, err
}

func scan(ports []uint16, knock func(uint16) (State, error)) ([]Finding, error) {
	findings := make([]Finding, len(ports))
	failures := make([]error, len(ports))
	var group sync.WaitGroup
	turns := make(chan struct{}, atOnce)
	for i, port := range ports {
		turns <- struct{}{}
		group.Go(func() {
			defer func() { <-turns }()
			state, err := knock(port)
			findings[i] = Finding{Port: port, State: state}
			if err != nil {
				failures[i] = fmt.Errorf("scan port %d: %w", port, err)
			}
		})
	}
	group.Wait()
	if i := slices.IndexFunc(failures, func(err error) bool { return err != nil }); i >= 0 {
		return nil, failures[i]
	}
	return findings, nil
}
