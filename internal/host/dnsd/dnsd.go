// SPDX-License-Identifier: Apache-2.0

// Package dnsd is a DNS server for the names of one domain; it asks no other server and keeps no
// names, but asks the [Resolver] it is given.
package dnsd

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Resolver knows names and addresses. Its methods may be called by several goroutines, and may
// take their time, but must end by themselves.
type Resolver interface {
	// Lookup finds the addresses of a name, given in lower case without the domain. An invalid
	// address means the name has none of that family.
	Lookup(name string) (v4, v6 netip.Addr, ok bool)

	// Reverse finds the name of an address, without the domain.
	Reverse(a netip.Addr) (name string, ok bool)
}

// Config is what answers depend on beside the Resolver.
type Config struct {
	// Suffix is the domain of all names, such as ".home.arpa". Names are asked with it or as bare
	// labels. Empty means bare labels only.
	Suffix string

	// TTL is how long an answer may be kept, in whole seconds; 0 means not at all.
	TTL time.Duration

	// Ranges are the addresses whose reverse names are ours to deny.
	Ranges []netip.Prefix
}

const (
	// MaxAnswer bounds an answer in bytes. One record with one name never needs more than every
	// client accepts (RFC 1035, section 2.3.4), so no answer is ever truncated.
	MaxAnswer = 512

	maxQuery   = 1232      // what clients are told they may send: fits every IPv6 path (RFC 9715)
	maxTTL     = 1<<31 - 1 // RFC 2181, section 8
	badVersion = 16        // extended code BADVERS, RFC 6891
)

// Answer returns the reply to one query, or nil when none is due. Own names that
// are unknown get NXDOMAIN, types other than A, AAAA and PTR an empty answer, and names that are
// none of our business REFUSED.
func Answer(query []byte, r Resolver, cfg Config) []byte {
	var p dnsmessage.Parser
	header, err := p.Start(query)
	if err != nil || header.Response {
		return nil // nobody to answer, or a loop between two servers
	}
	q := question{header: header}
	if header.OpCode != 0 {
		return reply(&q, dnsmessage.RCodeNotImplemented, nil, 0)
	}
	if err := q.parse(&p, query); err != nil {
		return reply(&question{header: header}, dnsmessage.RCodeFormatError, nil, 0)
	}
	if q.edns && q.version() != 0 {
		return reply(&q, badVersion, nil, 0)
	}
	code, body := resolve(&q.asked, r, &cfg)
	return reply(&q, code, body, ttl(cfg.TTL))
}

// question is a query taken apart.
type question struct {
	header dnsmessage.Header
	asked  dnsmessage.Question
	edns   bool
	opt    dnsmessage.ResourceHeader
}

// errQuery is a query that must be answered with FORMERR.
var errQuery = errors.New("dnsd: malformed query")

// parse reads the one question and the client's EDNS record.
func (q *question) parse(p *dnsmessage.Parser, query []byte) error {
	if query[4] != 0 || query[5] != 1 { // QDCOUNT
		return errQuery
	}
	var err error
	if q.asked, err = p.Question(); err != nil {
		return errQuery
	}
	if p.SkipAllQuestions() != nil || p.SkipAllAnswers() != nil || p.SkipAllAuthorities() != nil {
		return errQuery
	}
	for {
		h, err := p.AdditionalHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return nil
		}
		if err != nil || p.SkipAdditional() != nil || h.Type == dnsmessage.TypeOPT && q.edns {
			return errQuery
		}
		if h.Type == dnsmessage.TypeOPT {
			q.edns, q.opt = true, h
		}
	}
}

// version is the client's EDNS version, the second byte of what is a TTL elsewhere.
func (q *question) version() uint8 { return uint8(q.opt.TTL >> 16) }

func ttl(d time.Duration) uint32 {
	return uint32(max(0, min(d/time.Second, maxTTL)))
}

// resolve decides about a question.
func resolve(
	q *dnsmessage.Question, r Resolver, cfg *Config,
) (dnsmessage.RCode, dnsmessage.ResourceBody) {
	if q.Class != dnsmessage.ClassINET && q.Class != dnsmessage.ClassANY {
		return dnsmessage.RCodeRefused, nil
	}
	name := strings.TrimSuffix(strings.ToLower(q.Name.String()), ".")
	if addr, ok := reverseAddr(name); ok {
		return resolveAddr(addr, q.Type, r, cfg)
	}
	label, ok := cfg.own(name)
	if !ok {
		return dnsmessage.RCodeRefused, nil
	}
	if label == "" { // the domain itself exists and has nothing
		return dnsmessage.RCodeSuccess, nil
	}
	v4, v6, ok := r.Lookup(label)
	switch {
	case !ok:
		return dnsmessage.RCodeNameError, nil
	case q.Type == dnsmessage.TypeA && v4.Unmap().Is4():
		return dnsmessage.RCodeSuccess, &dnsmessage.AResource{A: v4.Unmap().As4()}
	case q.Type == dnsmessage.TypeAAAA && v6.Is6():
		return dnsmessage.RCodeSuccess, &dnsmessage.AAAAResource{AAAA: v6.As16()}
	}
	return dnsmessage.RCodeSuccess, nil
}

func resolveAddr(
	a netip.Addr, typ dnsmessage.Type, r Resolver, cfg *Config,
) (dnsmessage.RCode, dnsmessage.ResourceBody) {
	name, ok := r.Reverse(a)
	if !ok {
		inside := func(p netip.Prefix) bool { return p.Contains(a) }
		if slices.ContainsFunc(cfg.Ranges, inside) {
			return dnsmessage.RCodeNameError, nil
		}
		return dnsmessage.RCodeRefused, nil
	}
	if domain := cfg.domain(); domain != "" {
		name += "." + domain
	}
	target, err := dnsmessage.NewName(name + ".")
	if err != nil || typ != dnsmessage.TypePTR {
		return dnsmessage.RCodeSuccess, nil
	}
	return dnsmessage.RCodeSuccess, &dnsmessage.PTRResource{PTR: target}
}

// domain is the suffix as compared: lower case, no dots around it.
func (c *Config) domain() string { return strings.Trim(strings.ToLower(c.Suffix), ".") }

// own strips the domain from a name; false when the name is not ours. The domain itself gives the
// empty string.
func (c *Config) own(name string) (label string, ok bool) {
	if name == "" {
		return "", false // the root
	}
	domain := c.domain()
	if domain == "" || !strings.Contains(name, ".") && name != domain {
		return name, !strings.Contains(name, ".")
	}
	if name == domain {
		return "", true
	}
	return strings.CutSuffix(name, "."+domain)
}

// reverseAddr reads the address out of a complete reverse name (RFC 1035, section 3.5; RFC 3596,
// section 2.5).
func reverseAddr(name string) (netip.Addr, bool) {
	if rest, ok := strings.CutSuffix(name, ".in-addr.arpa"); ok {
		parts := strings.Split(rest, ".")
		slices.Reverse(parts)
		a, err := netip.ParseAddr(strings.Join(parts, "."))
		return a, err == nil && a.Is4()
	}
	rest, ok := strings.CutSuffix(name, ".ip6.arpa")
	if !ok || len(rest) != 63 {
		return netip.Addr{}, false
	}
	var b [16]byte
	for i := range 32 { // nibbles come last first, each followed by a dot
		digit := rest[62-2*i : 63-2*i]
		v, err := strconv.ParseUint(digit, 16, 4)
		if err != nil || i > 0 && rest[63-2*i] != '.' {
			return netip.Addr{}, false
		}
		b[i/2] |= byte(v) << (4 * (1 - i%2))
	}
	return netip.AddrFrom16(b), true
}

// reply builds the message.
func reply(
	q *question, code dnsmessage.RCode, body dnsmessage.ResourceBody, seconds uint32,
) []byte {
	m := dnsmessage.Message{Header: dnsmessage.Header{
		ID: q.header.ID, Response: true, OpCode: q.header.OpCode, RCode: code & 15,
		RecursionDesired: q.header.RecursionDesired,
		Authoritative:    code == dnsmessage.RCodeSuccess || code == dnsmessage.RCodeNameError,
	}}
	if q.asked.Name.Length > 0 {
		m.Questions = []dnsmessage.Question{q.asked}
	}
	if body != nil {
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{
				Name: q.asked.Name, Class: dnsmessage.ClassINET, TTL: seconds,
			},
			Body: body,
		}}
	}
	if q.edns {
		var opt dnsmessage.ResourceHeader
		if err := opt.SetEDNS0(maxQuery, code, false); err != nil {
			return nil
		}
		m.Additionals = []dnsmessage.Resource{{Header: opt, Body: &dnsmessage.OPTResource{}}}
	}
	b, err := m.Pack()
	if err != nil {
		return nil // what parses but cannot be packed again; the client will give up
	}
	return b
}
