// SPDX-License-Identifier: Apache-2.0

package wire

// exchanges are the messages of the post-quantum exchange, which travel in links and in sessions.
func exchanges() []Frame {
	key := func(name string, layer Layer, number uint8) Frame {
		return with(Frame{
			Name: name, Go: "KEMKey", Layer: layer, Type: number, Page: "kem-key",
			Min: 1 + KEMPartSize, Max: 1 + KEMPartSize,
		}, KEMKey{1, pattern(0x10, KEMPartSize)}, ParseKEMKey)
	}
	answer := func(name string, layer Layer, number uint8) Frame {
		return with(Frame{
			Name: name, Go: "KEMAnswer", Layer: layer, Type: number, Page: "kem-answer",
			Min: KEMAnswerSize, Max: KEMAnswerSize,
		}, KEMAnswer{pattern(0x10, KEMAnswerSize)}, ParseKEMAnswer)
	}
	return []Frame{
		key("kem-key", LayerControl, ControlKEMKey),
		answer("kem-answer", LayerControl, ControlKEMAnswer),
		key("session-kem-key", LayerSession, SessionKEMKey),
		answer("session-kem-answer", LayerSession, SessionKEMAnswer),
	}
}
