// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"maps"
	"testing"
	"time"

	"staex/internal/overlay/node"
)

// twin is a host with the key of another one, because somebody copied its directory; with its disk
// as well, or without.
func (w *World) twin(of *Host, addr, parent string, disk bool) *Host {
	h := w.Add(Config{Name: "twin", Addr: addr, Parents: []string{parent}})
	h.Kill()
	h.Who = of.Who
	h.LoseDisk()
	if disk {
		h.Disk = maps.Clone(of.Disk)
	}
	h.Start()
	return h
}

func TestTwoDevicesWithOneKeyAreReportedAndHeldDown(t *testing.T) {
	for _, disk := range []bool{false, true} {
		twice(t, func(t *testing.T) *World {
			w, first, _, _, _ := rivals(351, node.Config{})
			root := w.Host("root")
			quiet := w.Frames
			w.Run(10 * time.Minute)
			quiet = w.Frames - quiet
			twin := w.twin(first, "192.0.2.9:9376", "203.0.113.3:9376", disk)
			if !w.Until(time.Minute, func() bool {
				return happened(root, node.EventCloned, first.ID().String())
			}) {
				t.Fatalf("nobody notices: %v", root.Events)
			}
			if !warned(root, "two devices use the key") {
				t.Errorf("no warning: %q", root.Node.Warnings())
			}
			busy := w.Frames
			w.Run(10 * time.Minute)
			if busy = w.Frames - busy; busy > 2*quiet {
				t.Errorf("%d frames in ten minutes, %d before there were two", busy, quiet)
			}
			if !problem(first, "another device uses") && !problem(twin, "another device uses") {
				t.Errorf("neither is told: %q, %q", first.Node.Problems(), twin.Node.Problems())
			}
			return w
		})
	}
}

func TestTwoDevicesWithOneKeyAtOneParentAreReported(t *testing.T) {
	w, first, _, _, _ := rivals(352, node.Config{})
	w.twin(first, "192.0.2.9:9376", "203.0.113.2:9376", false)
	east := w.Host("east")
	if !w.Until(time.Hour, func() bool {
		return happened(east, node.EventCloned, first.ID().String())
	}) {
		t.Fatalf("nobody notices: %v", east.Events)
	}
	out := w.Host("twin") // who is not attached now
	for _, x := range east.Node.Nodes(east.reading()) {
		if x.ID == first.ID() && x.Addr == out.Addr {
			out = first
		}
	}
	out.Kill() // by ticket or by handshake, it stays out
	out.LoseDisk()
	out.Start()
	before := len(east.Events)
	w.Run(200 * time.Second)
	for _, e := range east.Events[before:] {
		if e.Kind == node.EventChildUp && e.Key == first.ID() {
			t.Errorf("while the key was held down it came up at %v", e.Addr)
		}
	}
	if !happened(east, node.EventChildRefused, "two devices use its key") {
		t.Error("nobody says why the other one is refused")
	}
	sound(t, w)
}

// A device that is moved, whose disk is lost, that restarts or changes its address has one key and
// is one.
func TestOneDeviceIsNotTakenForTwo(t *testing.T) {
	w, first, _, _, _ := rivals(353, node.Config{Rejoin: 10 * time.Second})
	first.cfg.Parents = append(first.cfg.Parents, w.parent("203.0.113.3:9376"))
	first.Kill()
	first.Start()
	for range 5 { // from one parent to the other and back
		w.Cut("first", "east")
		w.Run(2 * time.Minute)
		w.Heal("first", "east")
		w.Run(2 * time.Minute)
	}
	for range 5 {
		first.Kill()
		first.LoseDisk()
		first.Start()
		w.Run(time.Minute)
	}
	for _, h := range w.Hosts() {
		if happened(h, node.EventCloned, "") {
			t.Errorf("%s: %v", h.Name, h.Events)
		}
	}
	if !attachedTo(first) {
		t.Error("it is not attached")
	}
	sound(t, w)
}
