// SPDX-License-Identifier: Apache-2.0

package wire

import "staex/internal/ident"

const maxSealed = MaxDatagram - MinDataSize

func datagrams() []Frame {
	return []Frame{
		with(Frame{
			Name: "data", Go: "DataHeader", Layer: LayerDatagram, Type: TypeData,
			Page: "data", Min: MinDataSize, Max: MaxDatagram, Open: true,
		}, sealed{
			DataHeader{Type: TypeData, Epoch: 2, Label: 0x0a0b0c, Counter: 0x1234},
			pattern(0x80, 18),
		}, parseSealed),
		with(Frame{
			Name: "data-long", Go: "DataHeader", Layer: LayerDatagram, Type: TypeData,
			Page: "data", Min: DataHeaderLong + TagSize, Max: MaxDatagram, Open: true,
		}, sealed{
			DataHeader{TypeData, 3, true, true, 0x0a0b0c, 0x12345678},
			pattern(0x80, 22),
		}, parseSealed),
		with(Frame{
			Name: "link", Go: "DataHeader", Layer: LayerDatagram, Type: TypeLink,
			Page: "link", Min: MinDataSize, Max: MaxDatagram, Open: true,
		}, sealed{
			DataHeader{Type: TypeLink, Flag: true, Label: 0x010203, Counter: 7},
			pattern(0x80, TagSize),
		}, parseSealed),
		with(Frame{
			Name: "hello1", Go: "Hello1", Layer: LayerDatagram, Type: TypeHello1,
			Page: "hello1", Min: MinHello1, Max: MaxHello1,
		}, Hello1{
			Version: Version, Label: 0x010203, Noise: pattern(0x10, Hello1Noise),
			Mac1: [MACSize]byte(pattern(0x40, MACSize)),
			Mac2: [MACSize]byte(pattern(0x60, MACSize)), Size: MinHello1,
		}, ParseHello1),
		with(Frame{
			Name: "hello2", Go: "Hello2", Layer: LayerDatagram, Type: TypeHello2,
			Page: "hello2", Min: hello2Head, Max: MaxDatagram, Open: true,
		}, Hello2{To: 0x010203, Label: 0x040506, Size: 128, Noise: pattern(0x10, 96)},
			ParseHello2),
		with(Frame{
			Name: "hello3", Go: "Hello3", Layer: LayerDatagram, Type: TypeHello3,
			Page: "hello3", Min: hello3Head, Max: MaxDatagram, Open: true,
		}, Hello3{To: 0x040506, Noise: pattern(0x10, 64)}, ParseHello3),
		with(Frame{
			Name: "cookie", Go: "Cookie", Layer: LayerDatagram, Type: TypeCookie,
			Page: "cookie", Min: CookieSize, Max: CookieSize,
		}, Cookie{0x010203, [24]byte(pattern(0x10, 24)), [32]byte(pattern(0x40, 32))},
			ParseCookie),
		with(Frame{
			Name: "path-handshake", Go: "PathHandshake", Layer: LayerDatagram,
			Type: TypePathHandshake, Page: "path-handshake",
			Min: pathHandshakeHead, Max: MaxDatagram, Open: true,
		}, PathHandshake{0x0a0b0c, StageNoise3, pattern(0x10, 64)}, ParsePathHandshake),
		with(Frame{
			Name: "path-handshake-confirm", Go: "PathHandshake", Layer: LayerDatagram,
			Type: TypePathHandshake, Page: "path-handshake",
			Min: pathHandshakeHead, Max: MaxDatagram, Open: true,
		}, PathHandshake{0x0a0b0c, StageConfirm, nil}, ParsePathHandshake),
		with(Frame{
			Name: "nudge", Go: "Nudge", Layer: LayerDatagram, Type: TypeNudge,
			Page: "nudge", Min: NudgeSize, Max: NudgeSize,
		}, Nudge{0x010203, 0x040506070809, patternID()}, ParseNudge),
	}
}

// returns are the datagrams of neighbours that know each other.
func returns() []Frame {
	return []Frame{
		with(Frame{
			Name: "reset", Go: "Reset", Layer: LayerDatagram, Type: TypeReset,
			Page: "reset", Min: ResetSize, Max: ResetSize,
		}, Reset{0x040506, [TokenSize]byte(pattern(0x10, TokenSize))}, ParseReset),
		with(Frame{
			Name: "ticket", Go: "Ticket", Layer: LayerDatagram, Type: TypeTicket,
			Page: "ticket", Min: ticketHead + MinTicket + MACSize,
			Max: ticketHead + MaxTicket + MACSize,
		}, Ticket{
			Version, 0x010203, [NonceSize]byte(pattern(0x10, NonceSize)), pattern(0x40, MinTicket),
			[MACSize]byte(pattern(0x60, MACSize)),
		}, ParseTicket),
		with(Frame{
			Name: "ticket-answer", Go: "TicketAnswer", Layer: LayerDatagram,
			Type: TypeTicketAnswer, Page: "ticket-answer",
			Min: TicketAnswerSize, Max: TicketAnswerSize,
		}, TicketAnswer{
			0x010203, 0x040506, [NonceSize]byte(pattern(0x10, NonceSize)), 1300,
			[MACSize]byte(pattern(0x60, MACSize)),
		}, ParseTicketAnswer),
		with(Frame{
			Name: "nat-probe", Go: "NATProbe", Layer: LayerDatagram, Type: TypeNATProbe,
			Page: "nat-probe", Min: NATProbeSize, Max: NATProbeSize,
		}, NATProbe{
			0x040506, 7, 120, [8]byte(pattern(0x10, 8)), [MACSize]byte(pattern(0x60, MACSize)),
		}, ParseNATProbe),
	}
}

func plaintexts() []Frame {
	return []Frame{
		with(Frame{
			Name: "keep-alive", Go: "KeepAlive", Layer: LayerLink,
			Page: "keep-alive", Min: 0, Max: 0,
		}, KeepAlive{}, ParseKeepAlive),
		with(Frame{
			Name: "keep-alive-digest", Go: "KeepAlive", Layer: LayerLink,
			Page: "keep-alive", Min: 4, Max: 4,
		}, KeepAlive{HasDigest: true, Digest: 0xdecafbad}, ParseKeepAlive),
		with(Frame{
			Name: "keep-alive-echo", Go: "KeepAlive", Layer: LayerLink,
			Page: "keep-alive", Min: EchoSize, Max: EchoSize,
		}, KeepAlive{HasEcho: true, Echo: 0x040506070809}, ParseKeepAlive),
		with(Frame{
			Name: "control", Go: "ControlHeader", Layer: LayerLink,
			Page: "control", Min: ControlHeaderSize, Max: maxSealed, Open: true,
		}, controlPacket{
			ControlHeader{Number: 258, Ack: 257},
			[]uint8{ControlUnknown, ControlWant},
			[][]byte{Unknown{0x0a0b0c}.Append(nil), nil},
		}, parseControlPacket),
		with(Frame{
			Name: "control-ack", Go: "ControlHeader", Layer: LayerLink,
			Page: "control", Min: ControlHeaderSize, Max: ControlHeaderSize,
		}, controlPacket{ControlHeader: ControlHeader{Ack: 257}}, parseControlPacket),
		with(Frame{
			Name: "session", Go: "SessionMessage", Layer: LayerData,
			Page: "session", Min: SessionHeaderSize, Max: maxSealed, Open: true,
		}, SessionMessage{SessionSlotOK, []byte{0, 1, 254}}, ParseSession),
	}
}

func controls() []Frame {
	control := func(name, typ string, number uint8, least, most int) Frame {
		return Frame{
			Name: name, Go: typ, Layer: LayerControl, Type: number,
			Page: name, Min: least, Max: most,
		}
	}
	path := control("path", "Path", ControlPath, 50, 50+MaxPathBody)
	probe := control("path-probe", "Path", ControlPath, 50,
		50+MaxPathBody+MaxTrail*KeySize)
	probe.Page = "path"
	inside := control("path-inside", "Path", ControlPath, 50, 50+MaxPathBody)
	inside.Page = "path"
	return []Frame{
		with(control("record", "Record", ControlRecord, 7,
			6+MaxRecord+MaxEndpointCert+MaxNetworkCert),
			Record{pattern(0x10, 20), pattern(0x40, 10), pattern(0x60, 5)}, ParseRecord),
		with(path, Path{
			Dest: patternKey(0x20), ID: patternID(), Kind: PathHello, Hops: 64,
			Back: 0x0a0b0c, Size: 1200, Body: pattern(0x80, 56),
		}, ParsePath),
		with(inside, Path{
			Dest: patternKey(0x20), ID: patternID(), Kind: PathHelloInside, Hops: 64,
			Back: 0x0a0b0c, Size: 1200, Body: pattern(0x40, KeySize+56),
		}, ParsePath),
		with(probe, Path{
			Dest: patternKey(0x20), ID: patternID(), Kind: PathProbe, Hops: 63,
			Back: 0x0a0b0c, Size: 1200, Trail: []ident.NodeID{patternKey(0x40)},
		}, ParsePath),
		with(control("path-ok", "PathOK", ControlPathOK, 16,
			16+MaxPathBody+MaxTrail*KeySize),
			PathOK{
				ID: patternID(), Label: 0x0a0b0c, Size: 1200, Body: pattern(0x80, 48),
				Trail: []ident.NodeID{patternKey(0x40), patternKey(0x60)},
			}, ParsePathOK),
		with(control("path-no", "PathNo", ControlPathNo, 9, 9),
			PathNo{patternID(), PathLoop}, ParsePathNo),
		with(control("unknown", "Unknown", ControlUnknown, 3, 3),
			Unknown{0x0a0b0c}, ParseUnknown),
		with(control("gone", "Gone", ControlGone, 40, 40),
			Gone{patternKey(0x20), 0x010203040506}, ParseGone),
		with(control("bye", "Bye", ControlBye, 0, 0), Bye{}, ParseBye),
		with(control("want", "Want", ControlWant, 0, 0), Want{}, ParseWant),
		with(control("up", "Up", ControlUp, 1, 1+MaxParents*KeySize),
			Up{[]ident.NodeID{patternKey(0x20), patternKey(0x40)}}, ParseUp),
		with(control("lookup", "Lookup", ControlLookup, 17, 17),
			Lookup{patternID(), patternID(), 64}, ParseLookup),
		with(control("quarantine", "Quarantine", ControlQuarantine, KeySize, KeySize),
			Quarantine{patternKey(0x20)}, ParseQuarantine),
		with(control("found", "Found", ControlFound, 9, 9+MaxFound*KeySize),
			Found{patternID(), []ident.NodeID{patternKey(0x20)}}, ParseFound),
		with(control("grant", "Grant", ControlGrant, 18, 18+MaxTicket),
			Grant{[TokenSize]byte(pattern(0x10, TokenSize)), pattern(0x40, MinTicket)}, ParseGrant),
		with(control("period", "Period", ControlPeriod, 3, 3),
			Period{PeriodMoves, 110}, ParsePeriod),
		with(control("moved", "Moved", ControlMoved, 0, 0), Moved{}, ParseMoved),
	}
}

func sessions() []Frame {
	session := func(name, typ string, number uint8, least, most int) Frame {
		return Frame{
			Name: name, Go: typ, Layer: LayerSession, Type: number,
			Page: name, Min: least, Max: most, Open: false,
		}
	}
	slotOK := session("slot-ok", "SlotOK", SessionSlotOK, 1, MaxSlots)
	slotUnknown := session("slot-unknown", "SlotUnknown", SessionSlotUnknown, 1, MaxSlots)
	listPart := session("list-part", "ListPart", SessionListPart, 15,
		14+MaxHead+MaxHeadPrints*PrintSize)
	slotOK.Open, slotUnknown.Open, listPart.Open = true, true, true
	return []Frame{
		with(session("claim", "Claim", SessionClaim, 11, 10+MaxName),
			Claim{patternID(), ClaimName, []byte("node1")}, ParseClaim),
		with(session("claim-ok", "ClaimOK", SessionClaimOK, 11, 11+MaxNamesCert),
			ClaimOK{patternID(), true, pattern(0x40, 10)}, ParseClaimOK),
		with(session("want-list", "WantList", SessionWantList, 16, 16),
			WantList{ident.NetworkHash(pattern(0x20, 8)), 6, 64}, ParseWantList),
		with(listPart, ListPart{64, Head{6, 66, pattern(0x10, 24), pattern(0x80, 2*PrintSize)}},
			ParseListPart),
		with(session("confirm", "Confirm", SessionConfirm, 0, 0), Confirm{}, ParseConfirm),
		with(slotOK, SlotOK{[]uint8{0, 1, 254}}, ParseSlotOK),
		with(slotUnknown, SlotUnknown{[]uint8{9}}, ParseSlotUnknown),
		with(session("flow-unknown", "FlowUnknown", SessionFlowUnknown, 4, 4),
			FlowUnknown{Ports{Proto: 6, V6: true, Target: 1, Port: 40000}}, ParseFlowUnknown),
		with(session("flow", "Flow", SessionFlow, 5, 5),
			Flow{9, Ports{Proto: 17, Target: 2, Port: 40000}}, ParseFlow),
		with(session("offer", "Offer", SessionOffer, 32,
			31+16+MaxNamesSize+MaxEndpointCert+MaxNetworkCert),
			Offer{
				patternID(), [8]byte(pattern(0xb0, 8)), 0x6a000000, 3, FamilyIPv4,
				[][]byte{[]byte("camera1")},
				[]byte{10, 115, 0, 7},
				pattern(0x10, 24), pattern(0x40, 12),
			},
			ParseOffer),
		with(session("accept", "Accept", SessionAccept, 23,
			22+MaxEndpointCert+MaxNodeCert+MaxNetworkCert),
			Accept{
				patternID(), [8]byte(pattern(0xb0, 8)),
				pattern(0x10, 24), pattern(0x40, 12), pattern(0x60, 6),
			},
			ParseAccept),
		with(session("reject", "Reject", SessionReject, 9, 9),
			Reject{patternID(), RejectByHand}, ParseReject),
		with(session("pending", "Pending", SessionPending, 8, 8),
			Pending{patternID()}, ParsePending),
		with(session("switch", "Switch", SessionSwitch, 45, 45),
			Switch{patternID(), patternKey(0x20), SwitchDisabled, 3}, ParseSwitch),
		with(session("switch-ok", "SwitchOK", SessionSwitchOK, 8, 8),
			SwitchOK{patternID()}, ParseSwitchOK),
		with(session("close", "Close", SessionClose, 0, 0), Close{}, ParseClose),
		with(session("refs-lost", "RefsLost", SessionRefsLost, 9, 9),
			RefsLost{3, 0x0102030405060708}, ParseRefsLost),
		with(session("hello", "Hello", SessionHello, 4, 3+MaxNodeCert),
			Hello{true, pattern(0x10, 24)}, ParseHello),
	}
}

func payloads() []Frame {
	return []Frame{
		with(Frame{
			Name: "link-payload", Go: "LinkPayload", Layer: LayerHandshake,
			Page: "link-payload", Min: 14,
			Max: 14 + MaxNodeCert + MaxNetworkCert + MaxParents*KeySize,
		}, LinkPayload{
			KeepAlive: 30, Size: 1200, NodeCert: pattern(0x10, 24),
			NetworkCert: pattern(0x40, 12), Head: 7, Parents: []ident.NodeID{patternKey(0x20)},
		}, ParseLinkPayload),
		with(Frame{
			Name: "xk-payload", Go: "XKPayload", Layer: LayerHandshake,
			Page: "xk-payload", Min: 17, Max: 17 + MaxNodeCert + MaxNetworkCert,
		}, XKPayload{
			FlagAES, pattern(0x10, 24), pattern(0x40, 12),
			ident.NetworkHash(pattern(0x60, 8)), 7,
		}, ParseXKPayload),
		with(Frame{
			Name: "resume", Go: "Resume", Layer: LayerPath,
			Page: "resume", Min: 32, Max: 32,
		}, Resume{patternID(), 0x0102030405060708, [TagSize]byte(pattern(0x40, TagSize))},
			ParseResume),
	}
}
