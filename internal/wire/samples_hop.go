// SPDX-License-Identifier: Apache-2.0

package wire

// hops are the frames by which neighbours agree on how other frames cross their link.
func hops() []Frame {
	control := func(name, typ string, number uint8, least, most int) Frame {
		return Frame{
			Name: name, Go: typ, Layer: LayerControl, Type: number,
			Page: name, Min: least, Max: most,
		}
	}
	probe := Frame{
		Name: "size-probe", Go: "SizeProbe", Layer: LayerDatagram, Type: TypeSizeProbe,
		Page: "size-probe", Min: MinDatagram, Max: MaxDatagram,
	}
	answer := probe
	answer.Name, answer.Min, answer.Max = "size-answer", SizeAnswerSize, SizeAnswerSize
	return []Frame{
		with(probe, SizeProbe{0x040506, false, MinDatagram, 0x0708090a, patternID()},
			ParseSizeProbe),
		with(answer, SizeProbe{0x040506, true, MaxDatagram, 0x0708090a, patternID()},
			ParseSizeProbe),
		with(control("too-big", "TooBig", ControlTooBig, 5, 5), TooBig{0x0a0b0c, 1300},
			ParseTooBig),
		with(control("junk", "Junk", ControlJunk, 3, 3), Junk{0x0a0b0c}, ParseJunk),
		with(control("junk-ok", "JunkOK", ControlJunkOK, 3, 3), JunkOK{0x0a0b0c}, ParseJunkOK),
	}
}
