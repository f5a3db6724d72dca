// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// The fields of struct __sk_buff (include/uapi/linux/bpf.h) that the program reads.
const (
	ctxPacketType = 4
	ctxProtocol   = 16
	ctxVLAN       = 20
	ctxData       = 76
	ctxDataEnd    = 80
	ctxSegment    = 176 // gso_size
)

// Where things stand in a packet of Ethernet, IPv4 without options, UDP and a frame of ours.
const (
	atIP    = 14
	atTTL   = atIP + 8
	atIPSum = atIP + 10
	atFrom  = atIP + 12 // source and destination, then both ports
	atUDP   = atIP + 20
	atSum   = atUDP + 6
	atFrame = atUDP + 8
)

// The program's stack. The headers lie so that everything in them is aligned.
const (
	headers     = -36 // 32 bytes: IP, UDP and the first 4 of the frame
	stackTTL    = headers + 8
	stackPorts  = headers + 20
	stackFrame  = headers + 28
	stackKey    = -40
	stackWord   = -44 // what every datagram has to begin with
	stackCount  = -48 // datagrams
	stackNew    = -52 // the first word of a frame, rewritten
	stackNewTTL = -56
	stackHop    = -80 // struct bpf_redir_neigh, 20 bytes
)

const (
	// frameMin and sendMax are what a data frame has at least, and one send at most, in bytes.
	frameMin, sendMax = 22, 65000
	// segmentsMax is how many datagrams a send holds at most (the kernel's UDP_MAX_SEGMENTS was 64
	// before Linux 6.9, and ours is).
	segmentsMax = 64
	// plainData is the first word of a data frame without a hop MAC, its epoch and the form of its
	// counter masked out, and without its label.
	plainData, plainMask = 0x10 << 24, 0xf1ffffff
	// timeToLive is that of a datagram that a relay sends itself.
	timeToLive = 64
	// next leaves a packet to whoever comes after the program: the host, and so user space.
	next = -1
	// Flags of bpf_l4_csum_replace: the pseudo header is meant, and no sum stays no sum.
	pseudoHeader, noSum = 0x10, 0x20
)

// program makes the instructions. It takes the work of a frame that needs nothing but another
// label, and leaves every other packet as it is to user space:
//
//	IPv4, UDP, data frame without hop MAC, label has a row, from the row's neighbour, not too
//	long, every datagram of a super-packet with the same label?
//	├── no:  next
//	└── yes: label, addresses, ports, TTL and sums rewritten; counted; out at the row's interface
//
// Register 6 holds the context, 7 the row, 8 the length of a datagram, 9 the end of the packet.
func program(rows, uses *ebpf.Map) asm.Instructions {
	return slices.Concat(
		look(), match(rows), measure(), check(), rewrite(), sums(), count(uses), send(),
		asm.Instructions{
			asm.Mov.Imm(asm.R0, next).WithSymbol("pass"),
			asm.Return(),
		},
	)
}

// look copies the headers to the stack: they need not be where the program may read them.
func look() asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadMem(asm.R2, asm.R6, ctxPacketType, asm.Word),
		asm.JNE.Imm(asm.R2, unix.PACKET_HOST, "pass"),
		asm.LoadMem(asm.R2, asm.R6, ctxVLAN, asm.Word),
		asm.JNE.Imm(asm.R2, 0, "pass"),
		asm.LoadMem(asm.R2, asm.R6, ctxProtocol, asm.Word),
		asm.HostTo(asm.BE, asm.R2, asm.Half),
		asm.JNE.Imm(asm.R2, unix.ETH_P_IP, "pass"),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Imm(asm.R2, atIP),
		asm.Mov.Reg(asm.R3, asm.RFP),
		asm.Add.Imm(asm.R3, headers),
		asm.Mov.Imm(asm.R4, 32),
		asm.FnSkbLoadBytes.Call(),
		asm.JNE.Imm(asm.R0, 0, "pass"),

		asm.LoadMem(asm.R2, asm.RFP, headers, asm.Byte),
		asm.JNE.Imm(asm.R2, 0x45, "pass"),
		asm.LoadMem(asm.R2, asm.RFP, headers+6, asm.Half),
		asm.HostTo(asm.BE, asm.R2, asm.Half),
		asm.And.Imm(asm.R2, 0x3fff), // a fragment
		asm.JNE.Imm(asm.R2, 0, "pass"),
		asm.LoadMem(asm.R2, asm.RFP, headers+9, asm.Byte),
		asm.JNE.Imm(asm.R2, unix.IPPROTO_UDP, "pass"),
	}
}

// match finds the row of the label and compares where the frame comes from.
func match(rows *ebpf.Map) asm.Instructions {
	return asm.Instructions{
		asm.LoadMem(asm.R2, asm.RFP, stackFrame, asm.Word),
		asm.HostTo(asm.BE, asm.R2, asm.Word),
		asm.Mov.Reg(asm.R3, asm.R2),
		asm.And.Imm(asm.R3, 0xffffff),
		asm.StoreMem(asm.RFP, stackKey, asm.R3, asm.Word),
		asm.Or.Imm(asm.R3, plainData),
		asm.StoreMem(asm.RFP, stackWord, asm.R3, asm.Word),
		asm.LoadImm(asm.R4, plainMask, asm.DWord),
		asm.And.Reg(asm.R2, asm.R4),
		asm.JNE.Reg(asm.R2, asm.R3, "pass"),
		asm.LoadMapPtr(asm.R1, rows.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, stackKey),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "pass"),
		asm.Mov.Reg(asm.R7, asm.R0),
		asm.LoadMem(asm.R2, asm.RFP, headers+12, asm.DWord),
		asm.LoadMem(asm.R3, asm.R7, rowIn, asm.DWord),
		asm.JNE.Reg(asm.R2, asm.R3, "pass"),
		asm.LoadMem(asm.R2, asm.RFP, stackPorts, asm.Word),
		asm.LoadMem(asm.R3, asm.R7, rowIn+8, asm.Word),
		asm.JNE.Reg(asm.R2, asm.R3, "pass"),
	}
}

// measure finds how long the packet and its datagrams are, and lays it out so that the program may
// write everywhere: the kernel copies what lies in pages.
func measure() asm.Instructions {
	return asm.Instructions{
		asm.LoadMem(asm.R9, asm.RFP, headers+24, asm.Half),
		asm.HostTo(asm.BE, asm.R9, asm.Half),
		asm.LoadMem(asm.R2, asm.RFP, headers+2, asm.Half),
		asm.HostTo(asm.BE, asm.R2, asm.Half),
		asm.Sub.Imm(asm.R2, atUDP-atIP),
		asm.JNE.Reg(asm.R2, asm.R9, "pass"),
		asm.JLT.Imm(asm.R9, frameMin+8, "pass"),
		asm.JGT.Imm(asm.R9, sendMax, "pass"),
		asm.LoadMem(asm.R8, asm.R6, ctxSegment, asm.Word),
		asm.JNE.Imm(asm.R8, 0, "super"),
		asm.Mov.Reg(asm.R8, asm.R9),
		asm.Sub.Imm(asm.R8, 8),
		asm.LoadMem(asm.R2, asm.R7, rowMax, asm.Word).WithSymbol("super"),
		asm.JGT.Reg(asm.R8, asm.R2, "pass"),
		asm.JLT.Imm(asm.R8, frameMin, "pass"),
		asm.Add.Imm(asm.R9, atUDP),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Reg(asm.R2, asm.R9),
		asm.FnSkbPullData.Call(),
		asm.JNE.Imm(asm.R0, 0, "pass"),
	}
}

// check compares the first word of every datagram, before anything is written.
func check() asm.Instructions {
	return asm.Instructions{
		asm.LoadMem(asm.R1, asm.R6, ctxData, asm.Word),
		asm.LoadMem(asm.R5, asm.R6, ctxDataEnd, asm.Word),
		asm.Mov.Imm(asm.R3, atFrame),
		asm.Mov.Imm(asm.R4, 0),
		asm.JGE.Reg(asm.R3, asm.R9, "checked").WithSymbol("check"),
		asm.JGT.Imm(asm.R3, sendMax, "pass"),
		asm.Mov.Reg(asm.R2, asm.R1),
		asm.Add.Reg(asm.R2, asm.R3),
		asm.Mov.Reg(asm.R0, asm.R2),
		asm.Add.Imm(asm.R0, 4),
		asm.JGT.Reg(asm.R0, asm.R5, "pass"),
		asm.LoadMem(asm.R0, asm.R2, 0, asm.Word),
		asm.HostTo(asm.BE, asm.R0, asm.Word),
		asm.LoadImm(asm.R2, plainMask, asm.DWord),
		asm.And.Reg(asm.R0, asm.R2),
		asm.LoadMem(asm.R2, asm.RFP, stackWord, asm.Word),
		asm.JNE.Reg(asm.R0, asm.R2, "pass"),
		asm.Add.Reg(asm.R3, asm.R8),
		asm.Add.Imm(asm.R4, 1),
		asm.JLE.Imm(asm.R4, segmentsMax, "check"),
		asm.Ja.Label("pass"),
		asm.StoreMem(asm.RFP, stackCount, asm.R4, asm.Word).WithSymbol("checked"),
	}
}

// rewrite writes the next label into every datagram, and the next link's addresses.
func rewrite() asm.Instructions {
	return asm.Instructions{
		asm.Mov.Imm(asm.R3, atFrame),
		asm.Mov.Imm(asm.R4, 0),
		asm.JGE.Reg(asm.R3, asm.R9, "written").WithSymbol("write"),
		asm.JGT.Imm(asm.R3, sendMax, "pass"),
		asm.Mov.Reg(asm.R2, asm.R1),
		asm.Add.Reg(asm.R2, asm.R3),
		asm.Mov.Reg(asm.R0, asm.R2),
		asm.Add.Imm(asm.R0, 4),
		asm.JGT.Reg(asm.R0, asm.R5, "pass"),
		asm.LoadMem(asm.R0, asm.R7, rowLabel+1, asm.Byte),
		asm.StoreMem(asm.R2, 1, asm.R0, asm.Byte),
		asm.LoadMem(asm.R0, asm.R7, rowLabel+2, asm.Half),
		asm.StoreMem(asm.R2, 2, asm.R0, asm.Half),
		asm.Add.Reg(asm.R3, asm.R8),
		asm.Add.Imm(asm.R4, 1),
		asm.JLE.Imm(asm.R4, segmentsMax, "write"),

		asm.Mov.Reg(asm.R2, asm.R1).WithSymbol("written"),
		asm.Add.Imm(asm.R2, atFrame),
		asm.JGT.Reg(asm.R2, asm.R5, "pass"),
		asm.StoreImm(asm.R1, atTTL, timeToLive, asm.Byte),
		asm.LoadMem(asm.R0, asm.R7, rowOut, asm.Word),
		asm.StoreMem(asm.R1, atFrom, asm.R0, asm.Word),
		asm.LoadMem(asm.R0, asm.R7, rowOut+4, asm.Word),
		asm.StoreMem(asm.R1, atFrom+4, asm.R0, asm.Word),
		asm.LoadMem(asm.R0, asm.R7, rowOut+8, asm.Word),
		asm.StoreMem(asm.R1, atUDP, asm.R0, asm.Word),
	}
}

// sums mends the checksums by what changed. Where the card or the kernel is still to sum up the
// packet, the helpers change the part of the pseudo header only.
func sums() asm.Instructions {
	replace := func(at int32, flags int32, f asm.BuiltinFunc) asm.Instructions {
		return asm.Instructions{
			asm.Mov.Reg(asm.R1, asm.R6),
			asm.Mov.Imm(asm.R2, at),
			asm.Mov.Imm(asm.R5, flags),
			f.Call(),
		}
	}
	return slices.Concat(
		asm.Instructions{
			asm.Mov.Reg(asm.R1, asm.R7),
			asm.Add.Imm(asm.R1, rowIn),
			asm.Mov.Imm(asm.R2, 8),
			asm.Mov.Reg(asm.R3, asm.R7),
			asm.Add.Imm(asm.R3, rowOut),
			asm.Mov.Imm(asm.R4, 8),
			asm.Mov.Imm(asm.R5, 0),
			asm.FnCsumDiff.Call(),
			asm.Mov.Reg(asm.R8, asm.R0),
			asm.Mov.Imm(asm.R3, 0),
			asm.Mov.Reg(asm.R4, asm.R8),
		},
		replace(atIPSum, 0, asm.FnL3CsumReplace),
		asm.Instructions{asm.Mov.Imm(asm.R3, 0), asm.Mov.Reg(asm.R4, asm.R8)},
		replace(atSum, pseudoHeader|noSum, asm.FnL4CsumReplace),
		asm.Instructions{
			asm.LoadMem(asm.R3, asm.RFP, stackTTL, asm.Half),
			asm.StoreMem(asm.RFP, stackNewTTL, asm.R3, asm.Half),
			asm.StoreImm(asm.RFP, stackNewTTL, timeToLive, asm.Byte),
			asm.LoadMem(asm.R4, asm.RFP, stackNewTTL, asm.Half),
		},
		replace(atIPSum, 2, asm.FnL3CsumReplace),
		asm.Instructions{
			asm.LoadMem(asm.R3, asm.RFP, stackPorts, asm.Word),
			asm.LoadMem(asm.R4, asm.R7, rowOut+8, asm.Word),
		},
		replace(atSum, noSum|4, asm.FnL4CsumReplace),
		asm.Instructions{
			asm.LoadMem(asm.R2, asm.R7, rowLabel, asm.Word),
			asm.StoreMem(asm.RFP, stackNew, asm.R2, asm.Word),
			asm.LoadMem(asm.R2, asm.RFP, stackFrame, asm.Byte),
			asm.StoreMem(asm.RFP, stackNew, asm.R2, asm.Byte),
			asm.LoadMem(asm.R3, asm.RFP, stackFrame, asm.Word),
			asm.LoadMem(asm.R4, asm.RFP, stackNew, asm.Word),
		},
		replace(atSum, noSum|4, asm.FnL4CsumReplace),
	)
}

// count adds what passes to the row's counters of this processor, which is how user space learns
// that the row is in use.
func count(uses *ebpf.Map) asm.Instructions {
	return asm.Instructions{
		asm.LoadMem(asm.R2, asm.R7, rowIndex, asm.Word),
		asm.StoreMem(asm.RFP, stackKey, asm.R2, asm.Word),
		asm.LoadMapPtr(asm.R1, uses.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, stackKey),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "send"),
		asm.LoadMem(asm.R2, asm.RFP, stackCount, asm.Word),
		asm.LoadMem(asm.R3, asm.R0, 0, asm.DWord),
		asm.Add.Reg(asm.R3, asm.R2),
		asm.StoreMem(asm.R0, 0, asm.R3, asm.DWord),
		asm.LoadMem(asm.R3, asm.R0, 8, asm.DWord),
		asm.Add.Reg(asm.R3, asm.R9),
		asm.Sub.Imm(asm.R3, atFrame),
		asm.StoreMem(asm.R0, 8, asm.R3, asm.DWord),
		asm.LoadMem(asm.R3, asm.R0, 16, asm.DWord),
		asm.Add.Imm(asm.R3, 1),
		asm.StoreMem(asm.R0, 16, asm.R3, asm.DWord),
	}
}

// send hands the packet to the neighbour's side of the row's interface.
func send() asm.Instructions {
	return asm.Instructions{
		asm.StoreImm(asm.RFP, stackHop, unix.AF_INET, asm.Word).WithSymbol("send"),
		asm.LoadMem(asm.R2, asm.R7, rowHop, asm.Word),
		asm.StoreMem(asm.RFP, stackHop+4, asm.R2, asm.Word),
		asm.StoreImm(asm.RFP, stackHop+8, 0, asm.Word),
		asm.StoreImm(asm.RFP, stackHop+12, 0, asm.Word),
		asm.StoreImm(asm.RFP, stackHop+16, 0, asm.Word),
		asm.LoadMem(asm.R1, asm.R7, rowInterface, asm.Word),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, stackHop),
		asm.Mov.Imm(asm.R3, 20),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnRedirectNeigh.Call(),
		asm.Return(),
	}
}
