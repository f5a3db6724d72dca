// SPDX-License-Identifier: Apache-2.0

package conf

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"staex/internal/ident"
)

// A Parent is the address of a node to join, as a person wrote it.
type Parent struct {
	Pin  ident.NodeID // the only node accepted there; zero: any node of a trusted network
	Host string       // an IP address or a host name in lower case
	Port uint16       // 1..65535
}

// ParseParent reads "host", "host:port", "ip", "ip:port" or "[v6]:port", each of them with
// "NODEID@" in front when only that node may answer. The port defaults to DefaultPort.
func ParseParent(s string) (Parent, error) {
	var p Parent
	address := s
	if id, rest, pinned := strings.Cut(s, "@"); pinned {
		pin, err := ident.ParseNodeID(id)
		if err != nil {
			return Parent{}, fmt.Errorf("parent %q: node id before @: %w", clip(s), err)
		}
		p.Pin, address = pin, rest
	}
	host, port, err := splitHostPort(address)
	if err != nil {
		return Parent{}, fmt.Errorf("parent %q: %w", clip(s), err)
	}
	p.Host, p.Port = host, port
	return p, nil
}

// String gives the form that ParseParent reads back to the same value, with the port.
func (p Parent) String() string {
	address := net.JoinHostPort(p.Host, strconv.Itoa(int(p.Port)))
	if p.Pin.IsZero() {
		return address
	}
	return p.Pin.String() + "@" + address
}

// Addr returns the parent's address when it was given as one, so that nothing needs to be
// looked up; otherwise ok is false.
func (p Parent) Addr() (addr netip.AddrPort, ok bool) {
	ip, err := netip.ParseAddr(p.Host)
	if err != nil {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(ip, p.Port), true
}

// splitHostPort takes an address apart; a bare IPv6 address needs no brackets.
func splitHostPort(s string) (host string, port uint16, err error) {
	if ip, err := netip.ParseAddr(s); err == nil {
		return checkHost(ip.String(), DefaultPort)
	}
	if inner, bracketed := unbracket(s); bracketed {
		return bracketedHost(inner, DefaultPort)
	}
	host, service, found := cutLast(s, ':')
	if !found {
		return checkHost(s, DefaultPort)
	}
	port, err = parsePort(service)
	if err != nil {
		return "", 0, err
	}
	if port == 0 {
		return "", 0, errors.New("port 0 cannot be reached")
	}
	if inner, bracketed := unbracket(host); bracketed {
		return bracketedHost(inner, port)
	}
	if strings.Contains(host, ":") {
		return "", 0, errors.New("write an IPv6 address with a port as [address]:port")
	}
	return checkHost(host, port)
}

// unbracket takes the brackets off that an IPv6 address with a port needs.
func unbracket(s string) (inner string, bracketed bool) {
	if len(s) < 2 || s[0] != '[' || s[len(s)-1] != ']' {
		return s, false
	}
	return s[1 : len(s)-1], true
}

// bracketedHost accepts only IPv6 between brackets.
func bracketedHost(host string, port uint16) (string, uint16, error) {
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.Is6() {
		return "", 0, errors.New("only an IPv6 address stands between brackets")
	}
	return checkHost(ip.String(), port)
}

// checkHost accepts an address one can send to, or a host name (RFC 1123).
func checkHost(host string, port uint16) (string, uint16, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.IsUnspecified() || ip.IsMulticast() {
			return "", 0, fmt.Errorf("%s is not the address of one host", ip)
		}
		return ip.Unmap().String(), port, nil
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if err := checkHostName(name); err != nil {
		return "", 0, err
	}
	return name, port, nil
}

func cutLast(s string, sep byte) (before, after string, found bool) {
	i := strings.LastIndexByte(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || s != strconv.FormatUint(n, 10) {
		return 0, fmt.Errorf("%q is not a port (0..65535)", clip(s))
	}
	return uint16(n), nil
}
