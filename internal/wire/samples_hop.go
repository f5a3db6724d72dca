// SPDX-License-Identifier: Apache-2.0

package wire

// hops are the control messages by which neighbours agree on how frames cross their link.
func hops() []Frame {
	control := func(name, typ string, number uint8, least, most int) Frame {
		return Frame{
			Name: name, Go: typ, Layer: LayerControl, Type: number,
			Page: name, Min: least, Max: most,
		}
	}
	return []Frame{
		with(control("junk", "Junk", ControlJunk, 3, 3), Junk{0x0a0b0c}, ParseJunk),
		with(control("junk-ok", "JunkOK", ControlJunkOK, 3, 3), JunkOK{0x0a0b0c}, ParseJunkOK),
	}
}
