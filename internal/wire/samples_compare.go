// SPDX-License-Identifier: Apache-2.0

package wire

// comparisons are the control messages by which a child and its parent find out in which records
// they differ.
func comparisons() []Frame {
	control := func(name, typ string, number uint8, least, most int) Frame {
		return Frame{
			Name: name, Go: typ, Layer: LayerControl, Type: number,
			Page: name, Min: least, Max: most,
		}
	}
	digest := Digest{Span: Span{}.Part(2).Part(0).Part(2), Last: true}
	for i := range digest.Sums {
		copy(digest.Sums[i][:], pattern(byte(i<<4), SumSize))
	}
	return []Frame{
		with(control("digest", "Digest", ControlDigest, 2+SpanParts*SumSize,
			1+maxSpan+SpanParts*SumSize), digest, ParseDigest),
		with(control("differ", "Differ", ControlDiffer, 3,
			maxSpan+1+SpanParts+MaxHave*haveSize),
			Differ{Span: Span{}.Part(2), Parts: []PartDiff{
				{Part: 0, Have: []Have{{patternKey(0x20), 7}}},
				{Part: 3},
				{Part: 9, Many: true},
			}}, ParseDiffer),
		with(control("fetch", "Fetch", ControlFetch, KeySize, KeySize),
			Fetch{patternKey(0x20)}, ParseFetch),
	}
}
