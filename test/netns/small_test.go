// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"staex/test/world"
)

// highWater is the most memory in bytes that a process ever had in RAM.
func highWater(t *testing.T, p *world.Process) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("no line VmHWM")
	return 0
}

func TestASmallDaemonFitsUnderLoadAndWhenIdle(t *testing.T) {
	t.Parallel()
	n := sites(t)
	w := n.w
	w.NeedPrograms("curl")
	names := []string{"public", "gateway", "technician"}
	for _, name := range names {
		parent := "203.0.113.1"
		if name == "public" {
			parent = ""
		}
		h := w.Host(name)
		n.ids[name] = n.home.Init(h, parent, "profile = small", world.DNSConf)
		h.Stub()
		n.run[name] = h.Start("env", "GOMAXPROCS=1", "mccd", "/etc/mcc")
	}
	n.attached("gateway")
	n.attached("technician")
	n.web("gateway", "8000")
	n.web("camera", "8000")
	n.regular("files", "tcp:8000")
	n.external("beside", "tcp:8000")
	own := n.file("gateway", "/run/files/big", bulk)
	beside := n.file("camera", "/run/files/big", bulk)
	n.fetches("-4", "technician", "http://files:8000/big", own)
	n.fetches("-6", "technician", "http://files:8000/big", own)
	n.fetches("-4", "technician", "http://beside:8000/big", beside)
	const loaded, idle = 16 << 20, 10 << 20
	for _, name := range names {
		if got := highWater(t, n.run[name]); got > loaded {
			t.Errorf("mccd of %s had %d bytes under load, more than %d", name, got, loaded)
		} else {
			t.Logf("mccd of %s had %d bytes under load", name, got)
		}
		n.w.Until("the mccd of "+name+" fits when it is idle again", time.Minute, func() bool {
			rss := n.run[name].Resident()
			return rss != 0 && rss <= idle
		})
		t.Logf("mccd of %s holds %d bytes", name, n.run[name].Resident())
	}
}
