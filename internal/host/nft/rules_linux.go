// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nft

import (
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The parts rules are made of. Each leaves nothing in a register for the next.

// firstRegister is where every value is loaded for comparison; concatenated keys continue in the
// registers after it, each of four bytes.
const firstRegister = unix.NFT_REG32_00

// device is a name as the kernel compares it: padded with zeros.
func device(name string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return b
}

func load(key expr.MetaKey) expr.Any {
	return &expr.Meta{Key: key, Register: firstRegister}
}

func compare(op expr.CmpOp, data []byte) expr.Any {
	return &expr.Cmp{Op: op, Register: firstRegister, Data: data}
}

func inFrom(name string) []expr.Any {
	return []expr.Any{load(expr.MetaKeyIIFNAME), compare(expr.CmpOpEq, device(name))}
}

func outBy(name string) []expr.Any {
	return []expr.Any{load(expr.MetaKeyOIFNAME), compare(expr.CmpOpEq, device(name))}
}

func inFromNone(names []string) []expr.Any { return none(expr.MetaKeyIIFNAME, names) }

func outByNone(names []string) []expr.Any { return none(expr.MetaKeyOIFNAME, names) }

func none(key expr.MetaKey, names []string) []expr.Any {
	match := []expr.Any{load(key)}
	for _, name := range names {
		match = append(match, compare(expr.CmpOpNeq, device(name)))
	}
	return match
}

func family(v6 bool) []expr.Any {
	proto := byte(unix.NFPROTO_IPV4)
	if v6 {
		proto = unix.NFPROTO_IPV6
	}
	return []expr.Any{load(expr.MetaKeyNFPROTO), compare(expr.CmpOpEq, []byte{proto})}
}

// side is one of the two addresses of a packet.
type side uint8

const (
	source side = iota
	destination
)

// address loads one address of the packet into the first register.
func address(s side, v6 bool) *expr.Payload {
	p := &expr.Payload{
		DestRegister: firstRegister, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4,
	}
	if v6 {
		p.Offset, p.Len = 8, 16
	}
	if s == destination {
		p.Offset += p.Len
	}
	return p
}

// inRange matches packets with an address in the prefix.
func inRange(s side, r netip.Prefix) []expr.Any {
	r = r.Masked()
	v6 := r.Addr().Is6()
	size := uint32(r.Addr().BitLen() / 8)
	mask := make([]byte, size)
	for bit := range r.Bits() {
		mask[bit/8] |= 0x80 >> (bit % 8)
	}
	return append(family(v6),
		address(s, v6),
		&expr.Bitwise{
			SourceRegister: firstRegister, DestRegister: firstRegister,
			Len: size, Mask: mask, Xor: make([]byte, size),
		},
		compare(expr.CmpOpEq, r.Addr().AsSlice()),
	)
}

// protoRegister is the register after the address in a concatenated key.
func protoRegister(v6 bool) uint32 {
	if v6 {
		return firstRegister + 4
	}
	return firstRegister + 1
}

// toTarget matches packets whose destination, protocol and destination port are in the set.
func toTarget(set *nftables.Set, v6 bool) []expr.Any { return inSet(set, destination, v6) }

// fromTarget matches packets whose source, protocol and source port are in the set.
func fromTarget(set *nftables.Set, v6 bool) []expr.Any { return inSet(set, source, v6) }

func inSet(set *nftables.Set, s side, v6 bool) []expr.Any {
	proto := protoRegister(v6)
	port := &expr.Payload{DestRegister: proto + 1, Base: expr.PayloadBaseTransportHeader, Len: 2}
	if s == destination {
		port.Offset = 2
	}
	return append(family(v6),
		address(s, v6),
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: proto},
		port,
		&expr.Lookup{SourceRegister: firstRegister, SetName: set.Name, SetID: set.ID},
	)
}

// toProxy gives a connection to a target of the map the destination that stands there. The kernel
// gives its answers the old one.
func toProxy(targets *nftables.Set) []expr.Any {
	rule := toTarget(targets, true)
	find := rule[len(rule)-1].(*expr.Lookup)
	find.DestRegister, find.IsDestRegSet = firstRegister, true
	return append(rule, &expr.NAT{
		Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV6,
		RegAddrMin: firstRegister, RegProtoMin: protoRegister(true), Specified: true,
	})
}

// established matches packets of a connection that was seen in both directions.
func established() []expr.Any { return conntrack(expr.CtKeySTATE, expr.CtStateBitESTABLISHED) }

// errorOfMasqueraded matches ICMP errors about a connection that went out in the host's name, from
// any router on the way or from who opened it: path MTU discovery needs them, and a device that
// sends to somebody who has stopped listening.
func errorOfMasqueraded(v6 bool) []expr.Any {
	proto := byte(unix.IPPROTO_ICMP)
	if v6 {
		proto = unix.IPPROTO_ICMPV6
	}
	return slices.Concat(
		family(v6),
		[]expr.Any{load(expr.MetaKeyL4PROTO), compare(expr.CmpOpEq, []byte{proto})},
		conntrack(expr.CtKeySTATE, expr.CtStateBitRELATED),
		conntrack(expr.CtKeySTATUS, ctStatusSourceNAT),
	)
}

// Bits of the kernel's connection tracking: IPS_SRC_NAT and IPS_DST_NAT.
const (
	ctStatusSourceNAT      = 1 << 4
	ctStatusDestinationNAT = 1 << 5
)

// conntrack matches packets of which one word of tracking has the bit set.
func conntrack(key expr.CtKey, bit uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: key, Register: firstRegister},
		&expr.Bitwise{
			SourceRegister: firstRegister, DestRegister: firstRegister, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(bit), Xor: make([]byte, 4),
		},
		compare(expr.CmpOpNeq, make([]byte, 4)),
	}
}

func accept() []expr.Any { return []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}} }

func drop() []expr.Any { return []expr.Any{&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop}} }

func masqueraded() []expr.Any { return []expr.Any{&expr.Masq{}} }
