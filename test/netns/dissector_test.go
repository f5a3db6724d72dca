// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"staex/test/world"
)

func TestACaptureOfTheRelaysLinkOpensInTshark(t *testing.T) {
	n := story(t)
	n.w.NeedPrograms("tshark")
	relay := n.w.Host("public").Capture("eth0")
	n.run["gateway"].Stop()
	n.start("gateway")
	n.attached("gateway")
	n.camera("gateway", "camera1")
	n.opens("http://camera1/", world.Marker1, 20*time.Second)

	path := filepath.Join(t.TempDir(), "relay.pcap")
	if err := os.WriteFile(path, relay.Stop(), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("tshark", "-X", "lua_script:../../packaging/wireshark/staex.lua",
		"-r", path, "-Y", "staex", "-T", "fields", "-e", "staex.frame", "-e", "staex.counter",
		"-e", "_ws.expert.message")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for line := range strings.Lines(string(out)) {
		cells := strings.Split(strings.TrimRight(line, "\n"), "\t")
		seen[cells[0]]++
		if len(cells) > 2 && cells[2] != "" {
			t.Errorf("tshark complains about a %s: %s", cells[0], cells[2])
		}
	}
	for _, want := range []string{"Link frame", "Data frame", "PathHandshake"} {
		if seen[want] == 0 {
			t.Errorf("the capture has no %s but %v", want, seen)
		}
	}
	back := []string{"Hello1", "Ticket"} // how the gateway came back
	if !slices.ContainsFunc(back, func(name string) bool { return seen[name] > 0 }) {
		t.Errorf("the capture has none of %q but %v", back, seen)
	}
}
