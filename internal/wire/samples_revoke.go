// SPDX-License-Identifier: Apache-2.0

package wire

import "staex/internal/ident"

// revocations are the control messages about revoked keys and the time.
func revocations() []Frame {
	control := func(name, typ string, number uint8, least, most int) Frame {
		return Frame{
			Name: name, Go: typ, Layer: LayerControl, Type: number,
			Page: name, Min: least, Max: most, Open: true,
		}
	}
	return []Frame{
		with(control("heads", "Heads", ControlHeads, headStateSize, MaxHeads*headStateSize),
			Heads{[]HeadState{
				{ident.NetworkHash(pattern(0x20, 8)), 7, patternID(), 0x6b49d200},
				{ident.NetworkHash(pattern(0x30, 8)), 0, patternID(), 0},
			}}, ParseHeads),
		with(control("head", "Head", ControlHead, 11, 10+MaxHead+MaxHeadPrints*PrintSize),
			Head{6, 3, pattern(0x10, 24), pattern(0x80, 2*PrintSize)}, ParseHead),
		with(control("prints", "Prints", ControlPrints, PrintSize, MaxPrints*PrintSize),
			Prints{pattern(0x80, 2*PrintSize)}, ParsePrints),
		with(control("resign", "Resign", ControlResign, 1, MaxStatement),
			Resign{pattern(0x10, 24)}, ParseResign),
		with(control("time", "Time", ControlTime, 1, MaxStatement),
			Time{pattern(0x10, 24)}, ParseTime),
	}
}
