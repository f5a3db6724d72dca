// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"os"
	"regexp"
	"strconv"
	"testing"
)

// resident is the file-backed memory of this process in kB.
func resident(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`RssFile:\s+(\d+)`).FindSubmatch(status)
	if m == nil {
		t.Skip("SKIPPED: this kernel does not count file pages apart; needs Linux 4.5")
	}
	kb, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kb
}

func TestPagesOfTheProgramAreGivenBackAndComeAgain(t *testing.T) {
	before := resident(t)
	if err := GiveBack(); err != nil {
		t.Fatal(err)
	}
	if after := resident(t); after >= before {
		t.Errorf("%d kB of file pages before, %d after", before, after)
	}
}

func TestOnlyMappingsThatCannotBeWrittenAreOurs(t *testing.T) {
	const program = "/usr/bin/mccd"
	for line, want := range map[string]bool{
		"00400000-00800000 r-xp 00000000 fe:00 123  /usr/bin/mccd":           true,
		"00800000-00c00000 r--p 00400000 fe:00 123  /usr/bin/mccd":           true,
		"00c00000-00c50000 rw-p 00800000 fe:00 123  /usr/bin/mccd":           false,
		"00400000-00800000 r--s 00000000 fe:00 123  /usr/bin/mccd":           false,
		"00400000-00800000 r-xp 00000000 fe:00 123  /usr/lib/libnss.so":      false,
		"00800000-00400000 r-xp 00000000 fe:00 123  /usr/bin/mccd":           false,
		"zz-00400000 r-xp 00000000 fe:00 123  /usr/bin/mccd":                 false,
		"7ffc0000-7ffd0000 r-xp 00000000 00:00 0":                            false,
		"00400000-00800000 r-xp 00000000 fe:00 123  /usr/bin/mccd (deleted)": false,
	} {
		if _, _, ok := clean(line, program); ok != want {
			t.Errorf("%s: %v, want %v", line, ok, want)
		}
	}
}
