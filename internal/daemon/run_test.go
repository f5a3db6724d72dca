// SPDX-License-Identifier: Apache-2.0

//go:build linux

package daemon_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"

	"staex/internal/api"
	"staex/internal/ident"
)

func TestAStoppedDaemonLeavesNothingBehind(t *testing.T) {
	needDevices(t)
	s := newSite(t, newNetwork(t))
	d := s.start(t)
	if _, err := net.InterfaceByName("mcc0"); err != nil {
		t.Errorf("no device while running: %v", err)
	}
	if names := tables(t); !slices.Contains(names, "mcc") {
		t.Errorf("no filter while running: %v", names)
	}
	d.end(t)
	if _, err := net.InterfaceByName("mcc0"); err == nil {
		t.Error("the device is still there")
	}
	if names := tables(t); len(names) > 0 {
		t.Errorf("packet filters are left: %v", names)
	}
	if _, err := os.Lstat(s.path("sock")); err == nil {
		t.Error("the socket is still there")
	}
	if routes := read(t, "/proc/net/route"); strings.Contains(routes, "mcc0") {
		t.Errorf("routes are left:\n%s", routes)
	}
	until(t, "all goroutines ended", func() bool { return goroutines() == 0 })
	s.start(t).end(t) // nothing is in its way either
}

// tables lists the packet filter's tables.
func tables(t *testing.T) []string {
	t.Helper()
	c, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	all, err := c.ListTables()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, table := range all {
		names = append(names, table.Name)
	}
	return names
}

// goroutines counts those that run code of ours other than tests.
func goroutines() (count int) {
	buf := make([]byte, 1<<20)
	for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		ours := strings.Contains(g, "staex/internal/")
		if ours && !strings.Contains(g, "staex/internal/daemon_test") {
			count++
		}
	}
	return count
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pair is a server and a client node; the client is also the server's parent.
func pair(t *testing.T) (server, client *site) {
	t.Helper()
	n := newNetwork(t)
	client = newSite(t, n, alone(1)...)
	server = newSite(t, n, append(alone(2), "parents = 127.0.0.1:9401")...)
	return server, client
}

// pages answers every connection to this machine at a port with a text.
func pages(t *testing.T, text string) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, text)
			c.Close()
		}
	}()
	_, port, err = net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// dnsAt asks one DNS server.
func dnsAt(dns string) *net.Resolver {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, dns)
	}
	return &net.Resolver{PreferGo: true, Dial: dial}
}

// fetch reads the text behind a name, which the daemon's DNS server at dns resolves.
func fetch(dns, name, port string) (string, error) {
	r := dnsAt(dns)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c, err := (&net.Dialer{Resolver: r}).DialContext(ctx, "tcp", net.JoinHostPort(name, port))
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return "", err
	}
	text, err := io.ReadAll(c)
	return string(text), err
}

func TestATunnelWorksByNameAndSurvivesRestartsOfBothEnds(t *testing.T) {
	needDevices(t)
	port, closed := pages(t, "the page"), pages(t, "the closed page")
	server, client := pair(t)
	c, s := client.start(t), server.start(t)

	// Files that appear are read by themselves.
	id := server.offer(t, "camera1", "tcp:"+port, client.id)
	works := func() bool {
		text, err := fetch("127.0.0.1:8401", "camera1.home.arpa", port)
		return err == nil && text == "the page"
	}
	until(t, "the page opens", works)
	if text, err := fetch("127.0.0.1:8401", "camera1.home.arpa", closed); err == nil {
		t.Errorf("another port answers %q", text)
	}
	if x := c.tunnels(t); len(x) != 1 || x[0].ID != id || x[0].State != api.StateActive ||
		x[0].Side != api.SideClient {
		t.Errorf("the client shows %+v", x)
	}

	for _, again := range []struct {
		what string
		d    **running
	}{{"client", &c}, {"server", &s}} {
		(*again.d).end(t)
		*again.d = (*again.d).s.start(t)
		until(t, "the page opens after the restart of the "+again.what, works)
	}
	var health api.HealthReply
	s.ask(t, api.OpHealth, nil, &health)
	warnings := slices.DeleteFunc(health.Warnings, func(w string) bool {
		return strings.Contains(w, "of device test1 is among them") // one machine, two nodes
	})
	if !health.OK || len(health.Problems)+len(warnings) > 0 {
		t.Errorf("the server's health: %+v", health)
	}
	c.end(t)
	s.end(t)
}

func TestTheSocketAnswersWhatPeopleAsk(t *testing.T) {
	needDevices(t)
	port := pages(t, "the page")
	server, client := pair(t)
	server.offer(t, "camera1", "tcp:"+port, client.id)
	c, s := client.start(t), server.start(t)
	until(t, "the tunnel is up", func() bool { return s.states(t) == "camera1 active" })

	var id api.IDReply
	c.ask(t, api.OpID, nil, &id)
	var parent api.ParentReply
	s.ask(t, api.OpParent, nil, &parent)
	if id.ID != client.id || parent.ID != client.id || parent.Address != "127.0.0.1:9401" {
		t.Errorf("id %v, parent %+v", id.ID, parent)
	}
	var ping api.PingReply
	s.ask(t, api.OpPing, api.PingArgs{Node: client.id.String()}, &ping)
	if ping.ID != client.id || ping.Hops != 1 || ping.RoundTrip <= 0 {
		t.Errorf("ping: %+v", ping)
	}
	for _, d := range []*running{s, c} {
		var route api.RouteReply
		other := server.id
		if d == s {
			other = client.id
		}
		d.ask(t, api.OpRoute, api.RouteArgs{Destination: other}, &route)
		if want := []ident.NodeID{d.s.id, other}; !slices.Equal(route.Path, want) {
			t.Errorf("route: %v, want %v", route.Path, want)
		}
	}
	addr := c.tunnels(t)[0].IPv4
	for _, ask := range []struct{ from, target, want string }{
		{"camera1", api.FormatIPv4, addr.String()},
		{"CAMERA1.home.arpa", api.FormatNodeID, c.tunnels(t)[0].Remote.String()},
		{addr.String(), api.FormatNodeID, c.tunnels(t)[0].Remote.String()},
		{server.id.String(), api.FormatNodeID, server.id.String()},
	} {
		var r api.ResolveReply
		c.ask(t, api.OpResolve, api.ResolveArgs{Address: ask.from, Target: ask.target}, &r)
		if r.Address != ask.want {
			t.Errorf("%s as %s is %s, want %s", ask.from, ask.target, r.Address, ask.want)
		}
	}
	lookups(t, c, addr)
	var nodes api.NodesReply
	c.ask(t, api.OpNodes, api.NodesArgs{}, &nodes)
	if len(nodes.Nodes) != 4 { // two nodes and two endpoints
		t.Errorf("nodes: %+v", nodes.Nodes)
	}
	var status api.StatusReply
	c.ask(t, api.OpStatus, nil, &status)
	if status.Children != 1 || status.Tunnels != 1 || status.Device != "test1" ||
		!status.Health.OK {
		t.Errorf("status: %+v", status)
	}
	err := c.call(t, api.OpResolve, api.ResolveArgs{Address: "nobody", Target: "ipv4"}, nil)
	if err == nil || !strings.Contains(err.Error(), "nobody: not known here") {
		t.Errorf("an unknown name: %v", err)
	}
	c.end(t)
	s.end(t)
}

// lookups asks as the name service module does.
func lookups(t *testing.T, c *running, camera netip.Addr) {
	t.Helper()
	for _, name := range []string{"camera1", "Camera1.HOME.ARPA.", c.s.id.String()} {
		var r api.LookupReply
		c.ask(t, api.OpLookup, api.LookupArgs{Name: name}, &r)
		if !r.V4.Is4() || !r.V6.Is6() || (r.V4 == camera) != (name != c.s.id.String()) {
			t.Errorf("%s: %+v", name, r)
		}
	}
	var r api.LookupReply
	c.ask(t, api.OpLookup, api.LookupArgs{Address: camera}, &r)
	if r.Name != "camera1.home.arpa" {
		t.Errorf("%v: %+v", camera, r)
	}
	for _, a := range []api.LookupArgs{
		{Name: "camera9"},
		{Name: "camera1.example.org"},
		{Name: "camera1.home.arpa.org"},
		{Name: ".home.arpa"},
		{Name: "."},
		{},
		{Address: netip.MustParseAddr("192.0.2.1")},
	} {
		err := c.call(t, api.OpLookup, a, nil)
		if e, ok := errors.AsType[*api.Error](err); !ok || e.Code != api.CodeNotFound {
			t.Errorf("%+v: %v", a, err)
		}
	}
}

func TestTunnelsAreSwitchedAndDeletedFromTheSocket(t *testing.T) {
	needDevices(t)
	port := pages(t, "the page")
	server, client := pair(t)
	server.offer(t, "camera1", "tcp:"+port, client.id)
	server.offer(t, "camera2", "tcp:"+port, client.id)
	c, s := client.start(t), server.start(t)
	opens := func(name string) bool {
		_, err := fetch("127.0.0.1:8401", name+".home.arpa", port)
		return err == nil
	}
	until(t, "both pages open", func() bool { return opens("camera1") && opens("camera2") })

	c.ask(t, api.OpDisableTunnel, api.TunnelArgs{Tunnel: "camera1"}, nil)
	if opens("camera1") || !opens("camera2") {
		t.Error("a disabled tunnel carries traffic, or another one does not")
	}
	until(t, "the server knows", func() bool {
		return strings.Contains(s.states(t), "camera1 disabled")
	})
	c.ask(t, api.OpEnableTunnel, api.TunnelArgs{Tunnel: "camera1"}, nil)
	until(t, "the page opens again", func() bool { return opens("camera1") })

	s.ask(t, api.OpDeleteTunnel, api.TunnelArgs{Tunnel: "camera1"}, nil)
	until(t, "both have forgotten the tunnel", func() bool {
		return s.states(t) == "camera2 active" && c.states(t) == "camera2 active"
	})
	moved, err := filepath.Glob(server.path("tunnels/deleted/camera1*"))
	left, _ := filepath.Glob(server.path("tunnels/camera1*"))
	if err != nil || len(moved) != 3 || len(left) != 0 {
		t.Errorf("files moved: %v, left: %v", moved, left)
	}
	c.ask(t, api.OpDeleteTunnel, api.TunnelArgs{Tunnel: "camera2"}, nil)
	until(t, "the server's end is gone, and its files are out of the way", func() bool {
		moved, _ := filepath.Glob(server.path("tunnels/deleted/camera2*"))
		left, _ := filepath.Glob(server.path("tunnels/camera2*"))
		return s.states(t)+c.states(t) == "" && len(moved) == 3 && len(left) == 0
	})
	if err := s.call(t, api.OpDeleteTunnel, api.TunnelArgs{Tunnel: "camera1"}, nil); err == nil ||
		!strings.Contains(err.Error(), "there is no tunnel camera1") {
		t.Errorf("deleting twice: %v", err)
	}
	c.end(t)
	s.end(t)
}

func TestABrokenTunnelFileStopsNoOtherAndDeletesNothing(t *testing.T) {
	needDevices(t)
	server, client := pair(t)
	server.offer(t, "camera1", "tcp:80", client.id)
	server.offer(t, "camera2", "tcp:80", client.id)
	c, s := client.start(t), server.start(t)
	until(t, "both are up", func() bool { return s.states(t) == "camera1 active, camera2 active" })

	server.write(t, "tunnels/camera1.conf", []byte("certificat = x\n"))
	healthy := func() (bool, string) {
		var h api.HealthReply
		s.ask(t, api.OpHealth, nil, &h)
		return h.OK, strings.Join(h.Problems, "\n")
	}
	until(t, "health tells", func() bool {
		ok, text := healthy()
		return !ok && strings.Contains(text, `did you mean "certificate"?`)
	})
	if got := s.states(t); got != "camera1 active, camera2 active" {
		t.Errorf("after breaking a file: %s", got)
	}
	s.end(t)
	s = server.start(t)
	if got := s.states(t); got != "camera1 active, camera2 active" {
		t.Errorf("after a restart with a broken file: %s", got)
	}

	if err := os.Rename(server.path("tunnels"), server.path("elsewhere")); err != nil {
		t.Fatal(err)
	}
	until(t, "health tells about the directory", func() bool {
		s.ask(t, api.OpReloadTunnels, nil, nil)
		_, text := healthy()
		return strings.Contains(text, "is missing; its tunnels are kept")
	})
	if got := s.states(t); got != "camera1 active, camera2 active" {
		t.Errorf("without the directory: %s", got)
	}
	if err := os.Rename(server.path("elsewhere"), server.path("tunnels")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(server.path("tunnels/camera1.conf")); err != nil {
		t.Fatal(err)
	}
	until(t, "a removed file removes its tunnel", func() bool {
		return s.states(t) == "camera2 active" && c.states(t) == "camera2 active"
	})
	s.end(t)
	c.end(t)
}

func TestAReloadChangesWhatCanChangeAndNamesTheRest(t *testing.T) {
	needDevices(t)
	server, client := pair(t)
	c, s := client.start(t), server.start(t)
	until(t, "attached", func() bool {
		var p api.ParentReply
		s.ask(t, api.OpParent, nil, &p)
		return p.ID == client.id
	})
	lines := append(alone(2), "log-level = debug", "tags = gate")
	server.configure(t, lines...) // no parent any more
	s.reload <- os.Interrupt      // any signal does
	until(t, "it is a root now", func() bool {
		var p api.ParentReply
		s.ask(t, api.OpParent, nil, &p)
		return p.ID.IsZero() && strings.Contains(server.log.String(), "key=tags")
	})
	server.configure(t, "listen-addr = nonsense")
	s.reload <- os.Interrupt
	until(t, "it refuses", func() bool {
		return strings.Contains(server.log.String(), "configuration not reloaded")
	})
	server.configure(t, append(alone(2), "parents = localhost:9401")...)
	s.reload <- os.Interrupt
	until(t, "attached by name", func() bool {
		var p api.ParentReply
		s.ask(t, api.OpParent, nil, &p)
		return p.ID == client.id
	})
	s.end(t)
	c.end(t)
}

func TestAStaleSocketOfAKilledDaemonIsReplaced(t *testing.T) {
	needDevices(t)
	s := newSite(t, newNetwork(t))
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: s.path("sock"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	s.start(t).end(t)
}

func TestExternalTargetsAreOpenedInTheFilter(t *testing.T) {
	needDevices(t)
	server, client := pair(t)
	server.offer(t, "plc", "tcp:502,udp:161", client.id)
	file := server.path("tunnels/plc.conf")
	text := read(t, file) + "external-ip-address = 192.168.77.9\n"
	server.write(t, "tunnels/plc.conf", []byte(text))
	c, s := client.start(t), server.start(t)
	until(t, "the filter has both targets", func() bool {
		return len(elements(t, "test2")) == 2
	})
	s.ask(t, api.OpDisableTunnel, api.TunnelArgs{Tunnel: "plc"}, nil)
	until(t, "the filter has none", func() bool { return len(elements(t, "test2")) == 0 })
	var h api.HealthReply
	s.ask(t, api.OpEnableTunnel, api.TunnelArgs{Tunnel: "plc"}, nil)
	until(t, "health tells that the device cannot be reached", func() bool {
		s.ask(t, api.OpHealth, nil, &h)
		return !h.OK && strings.Contains(strings.Join(h.Problems, " "), "192.168.77.9")
	})
	s.end(t)
	c.end(t)
}

// elements lists what the sets of a table hold.
func elements(t *testing.T, table string) (all []nftables.SetElement) {
	t.Helper()
	conn, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	sets, err := conn.GetSets(&nftables.Table{Name: table, Family: nftables.TableFamilyINet})
	if err != nil {
		return nil
	}
	for _, s := range sets {
		e, err := conn.GetSetElements(s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e...)
	}
	return all
}
