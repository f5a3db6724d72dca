// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"strings"
	"testing"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/node"
)

const day = 24 * time.Hour

// unix is a moment of the world in Unix seconds.
func (w *World) unix(after time.Duration) uint32 {
	return uint32(w.reading().Wall.Add(after).Unix())
}

// unset starts a host again on a machine whose clock shows 1970.
func unset(h *Host) {
	h.Kill()
	h.Unset = true
	h.Start()
}

func TestADeviceThatBootsIn1970JoinsAndLearnsWhatDayItIs(t *testing.T) {
	twice(t, func(t *testing.T) *World {
		w := home(121)
		root, g := w.Host("root"), w.Host("gateway")
		root.Certify(func(c *ident.NodeCert) {
			c.Roles, c.NotBefore, c.NotAfter = ident.RoleTime, w.unix(-100*day), w.unix(100*day)
		})
		unset(g)
		if !w.Until(10*time.Second, func() bool { return attachedTo(g) }) {
			t.Fatal("a device of 1970 does not join")
		}
		behind := func() time.Duration {
			at, _ := g.Node.Moment()
			return w.reading().Wall.Sub(at)
		}
		if !w.Until(10*time.Second, func() bool { return behind() < time.Minute }) {
			t.Fatalf("the device is %v behind", behind())
		}
		w.Run(3 * day)
		if b := behind(); b > day+time.Hour || b < 0 {
			t.Errorf("three days later the device is %v behind", b)
		}
		w.Cut("root", "gateway")
		g.Kill()
		g.Start()
		if b := behind(); b > 3*day || b < 0 {
			t.Errorf("after a restart without a parent the device is %v behind", b)
		}
		return w
	})
}

func TestFlashMemoryIsWrittenOnceADay(t *testing.T) {
	w := home(122)
	w.Host("root").Certify(func(c *ident.NodeCert) { c.Roles = ident.RoleTime })
	g := w.Host("gateway")
	unset(g)
	writes := 0
	name := "time-" + g.Who.Cert.Network.String()
	last := ""
	for range 10 * 24 {
		w.Run(time.Hour)
		if now := string(g.Disk[name]); now != last {
			writes, last = writes+1, now
		}
	}
	if writes < 8 || writes > 11 {
		t.Errorf("%d writes in ten days", writes)
	}
	sound(t, w)
}

func TestOnlyTheNetworkAndItsTimeNodesAreBelieved(t *testing.T) {
	w := home(123)
	w.Host("root").Certify(func(c *ident.NodeCert) {
		c.Roles = ident.RoleRelay | ident.RoleRevoker
	})
	g := w.Host("gateway")
	unset(g)
	w.Run(2 * day)
	must(w.Host("root").Apply(node.Revoke{Keys: []ident.NodeID{{1}}})) // has a time, but no role
	w.Run(keepAlive)
	if at, ok := g.Node.Moment(); ok {
		t.Errorf("the device believes in %v", at)
	}
	w.Host("root").Revoke(ident.NodeID{2})
	w.Run(keepAlive)
	if _, ok := g.Node.Moment(); !ok {
		t.Error("the device does not believe the network's key")
	}
	sound(t, w)
}

func TestAnExpiredMemberIsRefusedWithASentenceAndALinkEndsWhenItsTimeIsOver(t *testing.T) {
	twice(t, func(t *testing.T) *World {
		w := home(124)
		root, g := w.Host("root"), w.Host("gateway")
		g.Certify(func(c *ident.NodeCert) { c.NotAfter = w.unix(2 * time.Hour) })
		w.Run(time.Hour)
		if !attachedTo(g) {
			t.Fatal("a certificate that holds was refused")
		}
		ended := func() bool { return happened(root, node.EventChildDown, "expired") }
		if !w.Until(time.Hour+time.Minute, ended) {
			t.Fatal("the link stayed up")
		}
		w.Run(time.Minute)
		if attachedTo(g) || !happened(root, node.EventChildRefused, "has expired on 2027-01-15") {
			t.Errorf("the member was not refused, or nobody says why: %v", root.Events)
		}
		if !problem(g, "certificate has expired") {
			t.Errorf("problems %q", g.Node.Problems())
		}
		g.Certify(func(*ident.NodeCert) {}) // a new certificate
		if !w.Until(time.Minute, func() bool { return attachedTo(g) }) {
			t.Error("the renewed member was refused")
		}
		return w
	})
}

func TestARelayOf1970JudgesByTheBoundAlone(t *testing.T) {
	for _, knows := range []bool{false, true} {
		w := New(125)
		root := w.Add(Config{Name: "root", Addr: "203.0.113.1:9376"})
		leaf := w.Add(Config{
			Name: "leaf", Addr: "192.0.2.2:9376", Parents: []string{"203.0.113.1:9376"},
		})
		unset(root)
		leaf.Certify(func(c *ident.NodeCert) { c.NotAfter = w.unix(-day) })
		if knows {
			root.Revoke(ident.NodeID{1}) // signed by the network's key, today
		}
		w.Run(20 * time.Second)
		if attachedTo(leaf) == knows {
			t.Errorf("the root knows the day: %v; the expired member is attached: %v", knows,
				attachedTo(leaf))
		}
		sound(t, w)
	}
}

func TestNothingIsEverCalledNotYetValid(t *testing.T) {
	w := home(126)
	g := w.Host("gateway")
	g.Certify(func(c *ident.NodeCert) { c.NotBefore = w.unix(10 * day) })
	if !w.Until(20*time.Second, func() bool { return attachedTo(g) }) {
		t.Error("a certificate of tomorrow was refused")
	}
	for _, p := range g.Node.Problems() {
		if strings.Contains(p, "valid") {
			t.Error(p)
		}
	}
	sound(t, w)
}

func TestATunnelEndsByTheBoundOnDevicesWithoutAClock(t *testing.T) {
	w := home(127)
	root, g, c := w.Host("root"), w.Host("gateway"), w.Host("technician")
	root.Certify(func(c *ident.NodeCert) { c.Roles = ident.RoleTime })
	unset(g)
	unset(c)
	g.Serve = Shout
	w.Run(5 * time.Second)
	tunnelFor(w, g, c, 2*day)
	w.Until(20*time.Second, func() bool { _, ok := c.Address("meter"); return ok })
	talks(t, w, c, "meter", "in time", 10*time.Second)
	w.Run(4 * day)
	g.Forget()
	c.Ask("meter", 5000, 161, "too late")
	w.Run(5 * time.Second)
	if len(g.Got) != 0 {
		t.Errorf("after its time the tunnel delivered %v", g.Got)
	}
	sound(t, w)
}
