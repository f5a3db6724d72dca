// SPDX-License-Identifier: Apache-2.0

package packaging

import (
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"staex/internal/conf"
	"staex/internal/wire"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const (
	script = "wireshark/staex.lua"
	golden = "testdata/dissector.txt"
)

// outer are the frames that are datagrams, as the registry has them.
func outer() (frames []wire.Frame) {
	for _, f := range wire.Frames() {
		if f.Layer == wire.LayerDatagram {
			frames = append(frames, f)
		}
	}
	return frames
}

// title is the name of a frame at the top of its page.
func title(t *testing.T, f wire.Frame) string {
	t.Helper()
	first, _, _ := strings.Cut(read(t, filepath.Join("..", f.Page)), "\n")
	name, _, _ := strings.Cut(strings.TrimPrefix(first, "# "), " (")
	return name
}

// TestTheDissectorHasEveryDatagram needs no tshark: a frame that is new in the registry is missed
// on every machine.
func TestTheDissectorHasEveryDatagram(t *testing.T) {
	text := read(t, script)
	known := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^  \[(\d+)\] = \{ name = "([^"]+)"`).
		FindAllStringSubmatch(text, -1) {
		known[m[1]] = m[2]
	}
	types := map[string]bool{}
	for _, f := range outer() {
		number := fmt.Sprint(f.Type)
		types[number] = true
		if want := title(t, f); known[number] != want {
			t.Errorf("%s calls type %s %q, its page %q", script, number, known[number], want)
		}
	}
	if len(known) != len(types) {
		t.Errorf("%s has %d types, the registry %d", script, len(known), len(types))
	}
	if want := fmt.Sprintf(`Pref.uint("UDP port", %d,`, conf.DefaultPort); !strings.Contains(text,
		want) {
		t.Errorf("%s does not say %s", script, want)
	}
}

// capture writes datagrams into a file of pcap(5), IPv4 without link layer, from and to the port
// that nodes use.
func capture(t *testing.T, payloads [][]byte) (path string) {
	t.Helper()
	const linkRaw, snap = 101, 65535
	le, be := binary.LittleEndian, binary.BigEndian
	b := le.AppendUint32(nil, 0xa1b2c3d4)
	b = le.AppendUint16(le.AppendUint16(b, 2), 4)
	b = le.AppendUint64(b, 0)
	b = le.AppendUint32(le.AppendUint32(b, snap), linkRaw)
	for i, p := range payloads {
		size := uint16(28 + len(p))
		b = le.AppendUint32(le.AppendUint32(b, uint32(i)), 0)
		b = le.AppendUint32(le.AppendUint32(b, uint32(size)), uint32(size))
		b = be.AppendUint16(append(b, 0x45, 0), size)
		b = append(b, 0, 0, 0, 0, 64, 17, 0, 0, 203, 0, 113, 2, 203, 0, 113, 1)
		b = be.AppendUint16(be.AppendUint16(b, conf.DefaultPort), conf.DefaultPort)
		b = be.AppendUint16(be.AppendUint16(b, size-20), 0)
		b = append(b, p...)
	}
	path = filepath.Join(t.TempDir(), "frames.pcap")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// tshark reads a capture with the dissector.
func tshark(t *testing.T, path string, args ...string) string {
	t.Helper()
	program, err := exec.LookPath("tshark")
	if err != nil {
		t.Skipf("SKIPPED: %v; type: scripts/need tshark", err)
	}
	cmd := exec.Command(program, append([]string{"-X", "lua_script:" + script, "-r", path},
		args...)...)
	var errs strings.Builder
	cmd.Stderr = &errs
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "LC_ALL=C.UTF-8")
	out, err := cmd.Output()
	if err != nil || strings.Contains(errs.String()+string(out), "Lua") {
		t.Fatalf("%v: %s\n%s", err, errs.String(), out)
	}
	return string(out)
}

func TestTsharkNamesOurFramesAndTheirSizes(t *testing.T) {
	var payloads [][]byte
	var want []string
	for _, f := range outer() {
		b := f.Sample()
		payloads = append(payloads, b)
		want = append(want, fmt.Sprintf("STAEX\t%d\t%s\t%d\t%d", f.Type, title(t, f), len(b),
			len(b)+28))
	}
	path := capture(t, payloads)
	out := tshark(t, path, "-T", "fields", "-e", "_ws.col.Protocol", "-e", "staex.type", "-e",
		"staex.frame", "-e", "staex.udp_size", "-e", "staex.ip_size")
	if got := strings.Split(strings.TrimSpace(out), "\n"); strings.Join(got, "\n") !=
		strings.Join(want, "\n") {
		t.Errorf("tshark shows\n%s\nwant\n%s", out, strings.Join(want, "\n"))
	}

	var all strings.Builder
	lines := strings.Split(strings.TrimSpace(tshark(t, path, "-T", "fields", "-e",
		"_ws.col.Info")), "\n")
	for i, packet := range strings.Split(strings.TrimSpace(tshark(t, path, "-O", "staex")),
		"\n\n") {
		_, fields, _ := strings.Cut(packet, "Staex network")
		fmt.Fprintf(&all, "%s\nStaex network%s\n\n", lines[i], fields)
	}
	if *update {
		if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(all.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want := read(t, golden); all.String() != want {
		t.Errorf("tshark shows\n%s\nwhich is not what %s has (go test ./packaging -update)",
			all.String(), golden)
	}
}

// TestTheDissectorSurvivesWhatIsCutOff: a capture may hold anything.
func TestTheDissectorSurvivesWhatIsCutOff(t *testing.T) {
	var payloads [][]byte
	cut := 0
	for _, f := range outer() {
		b := f.Sample()
		for n := 1; n <= min(len(b), 120); n++ {
			payloads = append(payloads, b[:n])
			if n < f.Min {
				cut++
			}
		}
	}
	payloads = append(payloads, []byte{0x00}, []byte{0xe0, 1, 2, 3}, []byte{0xff})
	out := tshark(t, capture(t, payloads), "-T", "fields", "-e", "staex.short", "-e",
		"staex.strange", "-e", "_ws.col.Info")
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(lines) != len(payloads) {
		t.Fatalf("%d packets, want %d", len(lines), len(payloads))
	}
	if got := strings.Count(out, "cut off"); got < cut*9/10 {
		t.Errorf("%d of %d short frames are called so", got, cut)
	}
	if got := strings.Count(out, "No frame of this network"); got < 3 {
		t.Errorf("%d of 3 strangers are called so", got)
	}
}
