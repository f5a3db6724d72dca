// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"bytes"
	"os"
	"os/exec"
	"testing"
	"time"

	"staex/test/world"
)

// TestClocksThatJumpDisturbNobody suspends each of the three machines and sets its clock, by a
// build of mccd that is told to see that.
func TestClocksThatJumpDisturbNobody(t *testing.T) {
	t.Parallel()
	n := sites(t)
	w := n.w
	clocks := map[string]*world.Clock{}
	three := []string{"public", "gateway", "technician"}
	for _, name := range three {
		parents := "203.0.113.1"
		if name == "public" {
			parents = ""
		}
		n.ids[name] = n.home.Init(w.Host(name), parents, world.DNSConf)
		w.Host(name).Stub()
		n.run[name], clocks[name] = w.Host(name).ShiftedDaemon("/etc/mcc")
	}
	n.attached("gateway")
	n.attached("technician")
	n.external("recorder", "tcp:8000")
	f := n.transfer("recorder", "camera", "8000", n.address("technician", "recorder").String())
	const suspended, set = "the machine was suspended", "the wall clock was set"
	const day, year = 24 * time.Hour, 365 * 24 * time.Hour
	for _, name := range three {
		for _, jump := range []struct {
			what, says string
			do         func()
		}{
			{"an hour asleep", suspended, func() { clocks[name].Suspend(time.Hour) }},
			{"a day ahead", set, func() { clocks[name].Set(day) }},
			{"back to 1970", set, func() { clocks[name].Set(-56 * year) }},
			{"far ahead of its time", set, func() { clocks[name].Set(90 * year) }},
		} {
			before := n.says(name, jump.says)
			jump.do()
			n.saysOnce(name, jump.says, before)
			f.flows("after " + jump.what + " at " + name)
			t.Logf("%s, %s: longest gap %v", name, jump.what, f.longest())
		}
		n.w.Until("a ping from the technician", recovery, func() bool {
			return w.Host("technician").Try("ping", "-c1", "-W1", "recorder").OK()
		})
	}
	f.finish()
}

func TestTheProgramThatShipsTakesNoClockFromAnybody(t *testing.T) {
	path, err := exec.LookPath("../../bin/mccd")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(program, []byte("STAEX_CLOCK")) {
		t.Error("mccd knows the variable that shifts the clocks of the tests")
	}
}
