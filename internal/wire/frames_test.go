// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"staex/internal/wire"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var sentinels = []error{
	wire.ErrShort, wire.ErrTrailing, wire.ErrBadType, wire.ErrBadVersion,
	wire.ErrBadPadding, wire.ErrBadLength, wire.ErrBadValue,
}

func isSentinel(err error) bool {
	return slices.ContainsFunc(sentinels, func(s error) bool { return errors.Is(err, s) })
}

func goldenPath(f wire.Frame) string { return filepath.Join("testdata", f.Name+".hex") }

// readGolden reads a file of hexadecimal digits with comments after '#'.
func readGolden(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("no golden file, write it with -update: %v", err)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return b
}

func writeGolden(t *testing.T, f wire.Frame) {
	t.Helper()
	var text strings.Builder
	b := f.Sample()
	fmt.Fprintf(&text, "# %s, %s: %d bytes, see %s\n", f.Name, f.Layer, len(b), f.Page)
	for line := range slices.Chunk(b, 16) {
		fmt.Fprintf(&text, "% x\n", line)
	}
	if err := os.WriteFile(goldenPath(f), []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestEverySampleEncodesToItsGoldenBytes(t *testing.T) {
	for _, f := range wire.Frames() {
		t.Run(f.Name, func(t *testing.T) {
			if *update {
				writeGolden(t, f)
			}
			want := readGolden(t, goldenPath(f))
			if got := f.Sample(); !bytes.Equal(got, want) {
				t.Errorf("encoded\n% x\ngolden\n% x", got, want)
			}
		})
	}
}

func TestNoGoldenFileIsLeftBehind(t *testing.T) {
	files, err := filepath.Glob("testdata/*.hex")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		known := func(f wire.Frame) bool { return goldenPath(f) == file }
		if !slices.ContainsFunc(wire.Frames(), known) {
			t.Errorf("%s belongs to no frame", file)
		}
	}
}

func TestNamesAreUniqueAndTypesAreNotReused(t *testing.T) {
	names := map[string]bool{}
	types := map[string]string{}
	for _, f := range wire.Frames() {
		if names[f.Name] {
			t.Errorf("the name %s stands twice", f.Name)
		}
		names[f.Name] = true
		if f.Type == 0 {
			continue
		}
		number := fmt.Sprintf("%s %d", f.Layer, f.Type)
		if page, ok := types[number]; ok && page != f.Page {
			t.Errorf("%s is %s and also %s", number, page, f.Page)
		}
		types[number] = f.Page
	}
}

func TestDecodingAndEncodingAgainGivesTheSameBytes(t *testing.T) {
	for _, f := range wire.Frames() {
		t.Run(f.Name, func(t *testing.T) {
			b := f.Sample()
			got, err := f.Recode(b)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, b) {
				t.Errorf("got\n% x\nwant\n% x", got, b)
			}
		})
	}
}

// A frame that ends where its input ends cannot see that it was cut inside its last
// field; it must then still have one encoding. All others must call the cut ErrShort.
func TestEveryTruncationIsNoticedOrHarmless(t *testing.T) {
	for _, f := range wire.Frames() {
		t.Run(f.Name, func(t *testing.T) {
			b := f.Sample()
			for n := range b {
				if f.Go == "KeepAlive" && (n == 0 || n == wire.DigestSize) {
					continue // this is another keep-alive
				}
				got, err := f.Recode(b[:n:n])
				switch {
				case f.Open && n >= f.Min && err == nil:
					if !bytes.Equal(got, b[:n]) {
						t.Errorf("cut to %d: encodes to % x", n, got)
					}
				case !errors.Is(err, wire.ErrShort):
					t.Errorf("cut to %d: error %v, want ErrShort", n, err)
				}
			}
		})
	}
}

func TestEveryByteAfterTheEndIsNoticed(t *testing.T) {
	special := map[string]error{
		"hello1":            wire.ErrBadPadding, // the MACs move with the end
		"keep-alive":        wire.ErrShort,      // it becomes a part of a digest
		"keep-alive-digest": wire.ErrShort,      // it becomes a part of an echo
	}
	for _, f := range wire.Frames() {
		if f.Open {
			continue // the last field takes all bytes there are
		}
		t.Run(f.Name, func(t *testing.T) {
			want := wire.ErrTrailing
			if err, ok := special[f.Name]; ok {
				want = err
			}
			if err := f.Parse(append(f.Sample(), 0xff)); !errors.Is(err, want) {
				t.Errorf("error %v, want %v", err, want)
			}
		})
	}
}

// Whatever bit falls over, a frame either fails with a known error or is another frame
// with one encoding.
func TestEveryFlippedBitGivesAnErrorOrAnotherFrame(t *testing.T) {
	for _, f := range wire.Frames() {
		t.Run(f.Name, func(t *testing.T) {
			b := f.Sample()
			for i := range 8 * len(b) {
				b[i/8] ^= 1 << (i % 8)
				got, err := f.Recode(b)
				switch {
				case err != nil && !isSentinel(err):
					t.Errorf("bit %d: unknown error %v", i, err)
				case err == nil && !bytes.Equal(got, b):
					t.Errorf("bit %d: encodes to % x", i, got)
				}
				b[i/8] ^= 1 << (i % 8)
			}
		})
	}
}

func TestEveryLayerHasAName(t *testing.T) {
	if got := wire.Layer(0).String(); got != "layer?" {
		t.Errorf("no layer is called %q", got)
	}
	for _, f := range wire.Frames() {
		t.Run(f.Name, func(t *testing.T) {
			if f.Layer.String() == "layer?" {
				t.Errorf("layer %d has no name", f.Layer)
			}
		})
	}
}

func TestEverySampleKeepsTheBoundsOfItsFrame(t *testing.T) {
	for _, f := range wire.Frames() {
		t.Run(f.Name, func(t *testing.T) {
			if n := len(f.Sample()); n < f.Min || n > f.Max {
				t.Errorf("sample of %d bytes, want %d to %d", n, f.Min, f.Max)
			}
			alone := f.Max + f.Layer.Overhead()
			switch f.Layer {
			case wire.LayerControl, wire.LayerSession:
				if long := alone + 2; long > wire.MinDatagram {
					t.Errorf("a datagram of %d bytes, every path carries %d",
						long, wire.MinDatagram)
				}
			case wire.LayerDatagram, wire.LayerLink, wire.LayerData:
				if alone > wire.MaxDatagram {
					t.Errorf("a datagram of %d bytes, at most %d", alone, wire.MaxDatagram)
				}
			case wire.LayerHandshake, wire.LayerPath:
			}
		})
	}
}
