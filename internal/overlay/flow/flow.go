// SPDX-License-Identifier: Apache-2.0

// Package flow is the inner packet: how it is read, shortened to what the tunnel does not
// already know, and put together again at the far end. It decides nothing about who may talk to
// whom, keeps no packet, and never allocates per packet.
//
//	host ── View.Parse ── Compact.Elide ── Refs.Shorten ── Compact.Append ──▶ sealed frame
//	host ◀── PutHeaders, RebuildOffload ◀── Refs.Restore ◀── Compact.Decode ── opened frame
//
// What comes out equals what went in, except for the IPv4 identification and its don't-fragment
// bit, the hop limit, the IPv6 flow label, a zero UDP checksum (which becomes a computed one)
// and the addresses, which are leased separately at each end. docs/wire/compact.md has the
// bytes.
package flow

// IP protocol numbers (IANA) of the packets that are carried.
const (
	ProtoICMP   = 1
	ProtoTCP    = 6
	ProtoUDP    = 17
	ProtoICMPv6 = 58
)

// Bits of View.Flags and Compact.Flags: the low twelve bits of the fourth word of a TCP header
// (RFC 9293 section 3.1), from FIN at the bottom to NS and the three reserved bits at the top.
const (
	FlagFIN = 1 << iota
	FlagSYN
	FlagRST
	FlagPSH
	FlagACK
	FlagURG
	FlagECE
	FlagCWR
	FlagNS // called AE by Accurate ECN

	flagMask = 0x0fff
)

const (
	ip4HeaderLen  = 20 // without options, which are not carried
	ip6HeaderLen  = 40
	udpHeaderLen  = 8
	tcpHeaderLen  = 20 // without options
	echoHeaderLen = 8

	// MaxHeaderLen is the largest result of HeaderLen: IPv6 and TCP with 40 bytes of options.
	MaxHeaderLen = ip6HeaderLen + tcpHeaderLen + 40
)

// ICMP types of echo (RFC 792, RFC 4443).
const (
	echoReply4   = 0
	echoRequest4 = 8
	echoRequest6 = 128
	echoReply6   = 129
)
