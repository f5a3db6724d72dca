// SPDX-License-Identifier: Apache-2.0

package law

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// floors is the import law. A room may import the rooms on the lines above its own, never
// one on its own line. Rooms behind "<" are all that the room in front may import of ours;
// nothing behind "<" means none. A line that begins with "pure" holds rooms that do no I/O
// (see purity_test.go), one with "test" rooms that are in no binary. "*" is any name.
const floors = `
pure clock
pure ident
pure wire, overlay/drop
pure overlay/flow, overlay/fair
pure overlay/session, overlay/state, overlay/label, overlay/pool, overlay/tunnel
pure overlay/revoke, overlay/bound
pure overlay/route
pure overlay/plane
pure overlay/node
pure cas
conf < ident, api < ident
web < api ident, cas/server
test sim
test sim/cmd/* < sim
test host/hosttest <
host/prompt <
host/* < host/prompt
daemon
cmd/*
test law <
`

// room is one line's entry of the law.
type room struct {
	name  string
	floor int
	pure  bool
	test  bool
	only  []string // nil: whatever stands above
}

// parseFloors reads the law's text.
func parseFloors(text string) []room {
	var rooms []room
	for floor, line := range strings.Split(strings.TrimSpace(text), "\n") {
		line, pure := strings.CutPrefix(line, "pure ")
		line, test := strings.CutPrefix(line, "test ")
		for entry := range strings.SplitSeq(line, ",") {
			name, only, limited := strings.Cut(entry, "<")
			r := room{name: strings.TrimSpace(name), floor: floor, pure: pure, test: test}
			if limited {
				r.only = append([]string{}, strings.Fields(only)...)
			}
			rooms = append(rooms, r)
		}
	}
	return rooms
}

// find returns the room that the law has under a name. A literal name goes before a pattern.
func find(rooms []room, name string) (room, bool) {
	for _, r := range rooms {
		if r.name == name {
			return r, true
		}
	}
	for _, r := range rooms {
		if parent, ok := strings.CutSuffix(r.name, "/*"); ok &&
			strings.HasPrefix(name, parent+"/") {
			return r, true
		}
	}
	return room{}, false
}

// mayImport says why a room may not import another, or nil. test: the importing file is a test.
func mayImport(rooms []room, from, to string, test bool) error {
	a, ok := find(rooms, from)
	if !ok {
		return fmt.Errorf("room %s is not in the law; give it a line in internal/law", from)
	}
	b, ok := find(rooms, to)
	if !ok {
		return fmt.Errorf("%s imports %s, which is not in the law", from, to)
	}
	switch {
	case a.test && slices.Contains(a.only, to):
		return nil // the simulator's own programs
	case test && (from == to || b.test):
		return nil // a test comes through its own room's door, and may use the twins
	case test && strings.HasPrefix(from, "host/") && strings.HasPrefix(to, "host/"):
		return nil // rules need a device to act on
	case b.test:
		return fmt.Errorf("%s imports %s, which is for tests only", from, to)
	case a.only != nil && !slices.Contains(a.only, to):
		return fmt.Errorf("%s may import %v of ours, not %s", from, a.only, to)
	case a.only == nil && b.floor >= a.floor:
		return fmt.Errorf("%s imports %s, which does not stand above it", from, to)
	}
	return nil
}

func TestImportsOnlyGoDown(t *testing.T) {
	rooms := parseFloors(floors)
	for _, f := range tree(t) {
		if f.room == "" {
			continue // tests outside the rooms may import every room
		}
		if _, ok := find(rooms, f.room); !ok {
			t.Errorf("%s: room %s is not in the law", f.path, f.room)
		}
		for _, path := range f.imports() {
			to, ok := roomOf(path)
			if !ok {
				continue
			}
			if err := mayImport(rooms, f.room, to, f.test); err != nil {
				t.Errorf("%s: %v", f.path, err)
			}
		}
	}
}

func TestNothingImportsTheFoldersOfTestsAndOfTheBench(t *testing.T) {
	for _, f := range tree(t) {
		for _, path := range f.imports() {
			if f.room != "" && (strings.HasPrefix(path, module+"/test/") ||
				strings.HasPrefix(path, module+"/bench")) {
				t.Errorf("%s imports %s", f.path, path)
			}
			if strings.HasPrefix(f.path, "bench/") && strings.HasPrefix(path, module+"/internal/") {
				t.Errorf("%s imports %s: the bench measures programs, as they ship", f.path, path)
			}
		}
	}
}

func TestTheImportLawBites(t *testing.T) {
	rooms := parseFloors(floors)
	for _, c := range []struct {
		from, to string
		test, ok bool
	}{
		{"ident", "clock", false, true},
		{"clock", "ident", false, false},                 // upwards
		{"overlay/state", "overlay/label", false, false}, // sideways
		{"overlay/state", "overlay/state", true, true},   // a test through its own door
		{"overlay/state", "overlay/node", true, false},   // a test looks up no more than code
		{"overlay/node", "overlay/plane", false, true},   // down
		{"conf", "ident", false, true},                   // what the list names
		{"conf", "wire", false, false},                   // what it does not
		{"host/udp", "ident", false, false},              // host knows none of ours
		{"host/udp", "host/tun", false, false},           // nor its neighbours
		{"host/nft", "host/tun", true, true},
		{"host/udp", "host/prompt", false, true}, // but for the one that all build on
		{"host/prompt", "host/udp", false, false},
		{"host/udp", "host/hosttest", true, true},          // twins in tests
		{"daemon", "host/hosttest", false, false},          // never in a binary
		{"daemon", "host/udp", false, true},                // knows everybody
		{"cmd/mccd", "daemon", false, true},                //
		{"cmd/mccd", "sim", false, false},                  //
		{"cmd/mcc", "cmd/mccd", false, false},              //
		{"overlay/attic", "clock", false, false},           // a room nobody knows
		{"overlay/node", "overlay/attic", false, false},    //
		{"sim", "overlay/node", false, true},               //
		{"overlay/session", "host/udp", false, false},      //
		{"daemon", "law", true, true},                      //
		{"web", "conf", false, false},                      //
		{"web", "api", false, true},                        //
		{"overlay/session", "overlay/drop", false, true},   //
		{"overlay/drop", "wire", false, false},             //
		{"host/hosttest", "host/udp", false, false},        //
		{"overlay/tunnel", "overlay/session", true, false}, //
	} {
		if err := mayImport(rooms, c.from, c.to, c.test); (err == nil) != c.ok {
			t.Errorf("%s imports %s (test %v): %v", c.from, c.to, c.test, err)
		}
	}
}
