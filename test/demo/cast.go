// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"staex/test/world"
	"staex/test/world/scan"
)

// cast is who plays, and what they know of each other.
type cast struct {
	s    *story
	w    *world.World
	home *world.Network

	public, standby, technician, stranger *world.Host
	gateway, camera, gateway2, camera2    *world.Host

	pictures [2]string // what the cameras see
	nss      bool      // names come by the name service module

	root         *world.Process
	gatewayID    string
	gateway2ID   string
	technicianID string
	inner        netip.Addr // where the technician's machine finds the camera
}

func newCast(s *story) *cast {
	s.chapter("Three sites, each behind a router that lets nothing in; a relay between them.")
	w := world.New(s)
	world.Story(w)
	c := &cast{
		s: s, w: w, public: w.Host("public"), standby: w.Host("standby"),
		gateway: w.Host("gateway"), camera: w.Host("camera"),
		gateway2: w.Host("gateway2"), camera2: w.Host("camera2"),
		technician: w.Host("technician"), stranger: w.Host("stranger"),
		nss: world.HasNSS(),
	}
	c.furnish(c.camera, &c.pictures[0], hall)
	c.furnish(c.camera2, &c.pictures[1], yard)
	s.say("camera      192.168.1.10 on the gateway's LAN; busybox httpd, knows nothing of us")
	s.say("gateway     192.168.1.2, behind router 203.0.113.10")
	s.say("camera2     192.168.1.10 too, at another site; gateway2 behind router 203.0.113.30")
	s.say("technician  10.20.0.2, behind router 203.0.113.20")
	s.say("public      203.0.113.1, and standby 203.0.113.2: relays of another owner")
	return c
}

// furnish gives a camera a picture and a stream.
func (c *cast) furnish(camera *world.Host, picture *string, scene func(x, y int) uint8) {
	var err error
	if *picture, err = photograph(scene); err != nil {
		c.s.Fatalf("%v", err)
	}
	camera.WriteFile("/run/web80/picture.png", *picture)
	camera.WriteFile("/run/web80/cgi-bin/stream", streamScript)
	camera.Run("chmod", "755", "/run/web80/cgi-bin/stream")
}

// join makes the machines nodes. The relays belong to a network of their own.
func (c *cast) join() {
	c.s.chapter("Everybody joins: a key for each, no account, no cloud.")
	c.home = c.w.Found("home")
	relays := c.w.Found("relays")
	rootID := relays.Init(c.public, "", "relay-networks = "+c.home.ID)
	standbyID := relays.Init(c.standby, "", "relay-networks = "+c.home.ID)
	c.root = c.daemon(c.public)
	c.daemon(c.standby)
	parents := rootID + "@203.0.113.1," + standbyID + "@203.0.113.2"
	for _, x := range []struct {
		h  *world.Host
		id *string
	}{
		{c.gateway, &c.gatewayID},
		{c.gateway2, &c.gateway2ID},
		{c.technician, &c.technicianID},
		{c.stranger, new(string)},
	} {
		*x.id = c.home.Init(x.h, parents, world.DNSConf)
		c.names(x.h)
		c.daemon(x.h)
		c.attached(x.h)
		c.s.say("%-11s %s", x.h.Name, *x.id)
	}
	c.s.say("%-11s %s (carries, may not talk to anybody)", "public", rootID)
}

// names lets every program of a host ask for names: by the name service module where it could be
// built, else by DNS.
func (c *cast) names(h *world.Host) {
	if c.nss {
		h.NSS()
	} else {
		h.Stub()
	}
}

func (c *cast) daemon(h *world.Host) *world.Process {
	p := h.Daemon("/etc/mcc")
	c.s.daemons = append(c.s.daemons, p)
	return p
}

// attached waits until a node has a parent.
func (c *cast) attached(h *world.Host) {
	c.w.Until(h.Name+" finds its parent", 20*time.Second, func() bool {
		r := h.Try("mcc", "parent")
		return r.OK() && strings.TrimSpace(r.Stdout) != ""
	})
}

func (c *cast) makeTunnels() {
	c.s.chapter("One command at a gateway lets the technician reach one port of its camera.")
	for _, x := range []struct {
		gateway *world.Host
		name    string
	}{{c.gateway, "camera1"}, {c.gateway2, "camera2"}} {
		c.s.say("%s$ mcc create-tunnel --remote-node %s... --targets tcp:80 \\",
			x.gateway.Name, c.technicianID[:8])
		c.s.say("        --external-ip-address 192.168.1.10 --dns-names %s", x.name)
		c.home.Tunnel(x.gateway, c.technician, x.name, c.technicianID,
			"--targets", "tcp:80", "--external-ip-address", "192.168.1.10")
	}
	c.s.say("Both ends agreed: each made a key of its own for each tunnel.")
}

// openPage fetches the page by name and looks for it on the wire.
func (c *cast) openPage() {
	c.s.chapter("The technician opens the camera's page by name.")
	relay, lan := c.public.Capture("eth0"), c.camera.Capture("eth0")
	page := c.page() // sets up the tunnel's session, too
	before := c.links()
	c.page()
	after := c.links()
	c.s.say("technician$ curl http://camera1/")
	c.s.say("    %s", strings.TrimSpace(page))
	c.inner = c.resolve()
	by := "the daemon's DNS server"
	if c.nss {
		by = "libnss_mcc.so.2"
	}
	c.s.say("camera1 is %s here, says %s; it means nothing anywhere else.", c.inner, by)
	onRelay := world.Count(relay.Stop(), []byte(world.Marker1))
	onLAN := world.Count(lan.Stop(), []byte(world.Marker1))
	c.s.say("Captured at the relay:        %d frames with the page's text (must be 0)", onRelay)
	c.s.say("Captured on the camera's LAN: %d frames with it (must be 1 or more)", onLAN)
	if onRelay != 0 || onLAN == 0 {
		c.s.Fatalf("the capture shows something else than it must")
	}
	for i, name := range linkNames {
		c.s.say("Bytes on the link of %-11s %6d for one more page", name+":", after[i]-before[i])
	}
}

// openPictures fetches both cameras' pictures, which have one address where they are.
func (c *cast) openPictures() {
	c.s.chapter("Both cameras are 192.168.1.10 where they are; both send their picture.")
	var drawn [2][]string
	for i, name := range []string{"camera1", "camera2"} {
		c.s.say("technician$ curl -O http://%s/picture.png", name)
		r := c.technician.Get(context.Background(), "http://"+name+"/picture.png")
		if r.Stdout != c.pictures[i] {
			c.s.Fatalf("the picture of %s did not come as it was sent: %s", name, r.Stderr)
		}
		var err error
		if drawn[i], err = draw([]byte(r.Stdout), pictureColumns); err != nil {
			c.s.Fatalf("the picture of %s: %v", name, err)
		}
	}
	for i := range drawn[0] {
		c.s.say("    %s    %s", drawn[0][i], drawn[1][i])
	}
}

// pictureColumns is how wide a picture is drawn: two of them fit a terminal.
const pictureColumns = 32

var linkNames = []string{"technician", "public", "gateway", "camera"}

// links are the bytes, both directions together, on the links that the page crosses.
func (c *cast) links() []int64 {
	sums := make([]int64, len(linkNames))
	for i, name := range linkNames {
		x := c.w.Host(name).Counters("eth0")
		sums[i] = x.ReceivedBytes + x.SentBytes
	}
	return sums
}

// page fetches the camera's page once; the story fails without it.
func (c *cast) page() string {
	r := c.technician.Get(context.Background(), "http://camera1/")
	if !strings.Contains(r.Stdout, world.Marker1) {
		c.s.Fatalf("curl http://camera1/: exit code %d %s%s\n%s", r.Code, r.Stdout, r.Stderr,
			c.technician.Try("mcc", "health").Stdout)
	}
	return r.Stdout
}

func (c *cast) resolve() netip.Addr {
	out := c.technician.Run("getent", "ahostsv4", "camera1")
	a, err := netip.ParseAddr(strings.Fields(out)[0])
	if err != nil {
		c.s.Fatalf("getent ahostsv4 camera1: %q", out)
	}
	return a
}

// nothingElse scans what must be closed with a scanner that is shown to work by what it finds.
func (c *cast) nothingElse() {
	c.s.chapter("Every other port and every other node gets nothing.")
	ports := []uint16{22, 80, 443, 554, 8081}
	mine := c.scan(c.technician, c.inner, ports)
	c.s.say("technician scans camera1 on %v: finds %v (must be [80])", ports, mine)
	theirs := c.scan(c.stranger, c.inner, ports)
	c.s.say("another node of the network scans the same address: finds %v (must be [])", theirs)
	direct := c.scan(c.stranger, netip.MustParseAddr("203.0.113.10"), ports)
	c.s.say("and the gateway's router: finds %v (must be [])", direct)
	name := c.stranger.Try("getent", "hosts", "camera1")
	c.s.say("and asks for the name camera1: %q (must be empty)", strings.TrimSpace(name.Stdout))
	if len(mine) != 1 || mine[0] != 80 || len(theirs)+len(direct) != 0 || name.OK() {
		c.s.Fatalf("something is open that must be closed")
	}
}

func (c *cast) scan(from *world.Host, target netip.Addr, ports []uint16) []uint16 {
	found, err := scan.TCP(context.Background(), from, target, ports, time.Second)
	if err != nil {
		c.s.Fatalf("scan from %s: %v", from.Name, err)
	}
	return scan.OpenPorts(found)
}

// loseParent kills the relay without warning; the page must come back over the standby.
func (c *cast) loseParent() {
	c.s.chapter("The relay is killed (kill -9). Both sites find the standby by themselves.")
	c.root.Kill()
	began := time.Now()
	c.w.Until("the page is back", 45*time.Second, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		return strings.Contains(c.technician.Get(ctx, "http://camera1/").Stdout, world.Marker1)
	})
	c.s.say("The page is back after %.1f s, over %s.", time.Since(began).Seconds(),
		strings.TrimSpace(c.technician.MCC("parent")))
}
