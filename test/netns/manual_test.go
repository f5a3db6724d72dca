// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"context"
	stdnet "net"
	"net/netip"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"staex/test/world"
)

// The keys of the manual that only a machine with its files, or several machines, can show.

// bare is a world with hosts on one segment, 203.0.113.1 the first; none is a node yet.
func bare(t *testing.T, hosts ...string) *net {
	t.Helper()
	n := empty(t)
	w := n.w
	for i, name := range hosts {
		address := netip.AddrFrom4([4]byte{203, 0, 113, byte(i + 1)})
		w.Host(name).Join("inet", "eth0", address.String()+"/24")
	}
	return n
}

// parent is the address that mcc parent shows at a host; empty where it fails.
func (n *net) parent(host string) string {
	n.t.Helper()
	return strings.TrimSpace(n.w.Host(host).Try("mcc", "parent").Stdout)
}

func TestKeysOfFilesAndOfTheSocketMoveThem(t *testing.T) {
	n := bare(t, "public", "leaf")
	h := n.w.Host("public")
	leaf := n.home.Init(n.w.Host("leaf"), "")
	id := n.home.Init(h, "", "node-certificate = keys/node-certificate.txt",
		"node-private-key = /etc/mcc/keys/node-private-key.txt",
		"network-certificates = keys/network-certificate.txt", "tunnels = ../passages",
		"unix-socket-path = /tmp/ours.sock", "dns-enable = false", "firewall-chain-name = OURS")
	h.Run("sh", "-c", "mkdir /etc/mcc/keys; mv /etc/mcc/*.txt /etc/mcc/keys")
	h.Start("mccd", "/etc/mcc")
	n.w.Until("mccd answers at its socket", 10*time.Second, func() bool {
		r := h.Try("mcc", "--unix", "/tmp/ours.sock", "id")
		return r.OK() && strings.TrimSpace(r.Stdout) == id
	})
	if r := h.Try("mcc", "id"); r.Code != 3 {
		t.Errorf("at the default sockets: exit code %d, %s", r.Code, r.Stdout)
	}
	if r := h.Try("dig", "@127.0.0.1", "-p", "8353", "+tries=1", "+time=2", id); r.OK() {
		t.Errorf("the DNS server answers although it is off:\n%s", r.Stdout)
	}
	if out := h.Run("nft", "list", "tables"); !strings.Contains(out, "ours") ||
		strings.Contains(out, "mcc") {
		t.Errorf("the packet filter: %s", out)
	}
	h.MCCInput(n.home.Key+"\n", "-s", "/tmp/ours.sock", "create-tunnel", "--stdin", "--targets",
		"tcp:80", "--remote-node", leaf, "--name", "light")
	if h.ReadFile("/etc/passages/light.conf") == "" {
		t.Error("the tunnel is not in the directory that the configuration names")
	}
	shown := h.Run("mcc", "certificates", "/etc/mcc/mcc.conf")
	if !strings.Contains(shown, "/etc/mcc/keys/node-certificate.txt") {
		t.Errorf("mcc certificates:\n%s", shown)
	}
}

func TestAParentIsFoundByALinkLocalAddressAndTheNameOfItsInterface(t *testing.T) {
	n := bare(t, "public", "leaf")
	for _, a := range [][2]string{{"public", "fe80::1"}, {"leaf", "fe80::2"}} {
		n.w.Host(a[0]).Run("ip", "address", "add", a[1]+"/64", "dev", "eth0", "nodad")
	}
	n.node("public", "")
	n.node("leaf", "fe80::1%eth0")
}

func TestWithoutTheSocketTheNodeGoesOnWorking(t *testing.T) {
	n := bare(t, "public", "leaf")
	public := n.w.Host("public")
	n.home.Init(public, "", "unix-enable = false")
	p := public.Start("mccd", "/etc/mcc")
	n.node("leaf", "203.0.113.1") // waits for its parent
	if r := public.Try("mcc", "id"); r.Code != 3 || !p.Running() {
		t.Errorf("exit code %d, the daemon runs: %v\n%s", r.Code, p.Running(), p.Tail())
	}
	if r := public.Try("sh", "-c", "ls /run/mcc/mcc.sock /tmp/.mcc-socket"); r.OK() {
		t.Errorf("there is a socket: %s", r.Stdout)
	}
}

func TestAShortRejoinPeriodBringsTheFirstParentBackSoon(t *testing.T) {
	n := bare(t, "first", "second", "leaf")
	n.node("first", "")
	n.node("second", "")
	n.node("leaf", "203.0.113.1,203.0.113.2", "rejoin-period = 2s", "keep-alive-period = 1s")
	if got := n.parent("leaf"); got != "203.0.113.1:9376" {
		t.Errorf("the parent is %s first", got)
	}
	n.run["first"].Kill()
	// With the default of 30 s it would not have noticed yet.
	n.w.Until("the second carries on", 20*time.Second, func() bool {
		return n.parent("leaf") == "203.0.113.2:9376"
	})
	n.start("first")
	// With the default of a minute it would not have asked yet.
	n.w.Until("the first is back", 40*time.Second, func() bool {
		return n.parent("leaf") == "203.0.113.1:9376"
	})
}

// TestChangesGoUpWhateverTheirPeriodIs: the period is the longest time that changes may be
// gathered, and the daemon gathers none.
func TestChangesGoUpWhateverTheirPeriodIs(t *testing.T) {
	n := bare(t, "public", "relay", "leaf")
	n.node("public", "")
	n.node("relay", "203.0.113.1", "topology-update-period = 1h")
	n.node("leaf", "203.0.113.2")
	n.w.Until("the root knows the leaf", 20*time.Second, func() bool {
		return strings.Contains(n.w.Host("public").MCC("nodes"), n.ids["leaf"])
	})
}

func TestALookupGoesAsFarAndWaitsAsLongAsItsKeysSay(t *testing.T) {
	n := bare(t, "public", "relay", "lamp", "near", "far")
	n.node("public", "")
	n.node("lamp", "203.0.113.1", "dns-names = lamp1")
	n.node("relay", "203.0.113.1")
	n.node("near", "203.0.113.2", "network-lookup-ttl = 1", "network-lookup-timeout = 2s")
	n.node("far", "203.0.113.2", "network-lookup-ttl = 2", "network-lookup-timeout = 2s")
	far, near := n.w.Host("far"), n.w.Host("near")
	n.w.Until("two steps reach the root, which knows", 20*time.Second, func() bool {
		return far.Try("mcc", "resolve", "lamp1").OK()
	})
	if r := near.Try("mcc", "resolve", "lamp1"); r.Code != 4 {
		t.Errorf("one step: exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	if err := unix.Kill(n.run["public"].PID(), unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	// Nobody answers: the default of 20 s would need longer than timeout(1) gives.
	r := far.Try("timeout", "15", "mcc", "resolve", "lamp2")
	if r.OK() || r.Code == 124 {
		t.Errorf("exit code %d of a lookup that nobody answers\n%s", r.Code, r.Stderr)
	}
}

func TestTrustedNodesAndTrustedNetworksOpenTunnelsToStrangers(t *testing.T) {
	n := sites(t)
	w := n.w
	work := w.Found("work")
	n.node("public", "", "relay-networks = "+work.ID)
	technician := w.Host("technician")
	n.ids["technician"] = work.Init(technician, "203.0.113.1",
		"trusted-networks = "+n.home.ID, "relay-networks = "+n.home.ID, world.DNSConf)
	technician.Stub()
	n.start("technician")
	n.attached("technician")
	n.node("gateway", "203.0.113.1", "trusted-nodes = "+n.ids["technician"])
	n.camera("gateway", "camera1")
	id := strings.Fields(technician.Run("sh", "-c", "mcc tunnels | grep camera1"))[1]
	n.opens("http://"+id+".home.arpa/", world.Marker1, 10*time.Second)
	n.opens("http://camera1.home.home.arpa/", world.Marker1, 10*time.Second)
	technician.MCC("resolve", "camera1.home")
	if technician.Try("mcc", "resolve", "camera1").OK() {
		t.Error("the name of another network's tunnel does not end with the network's")
	}
}

func TestAddressesOfEveryKindResolveIntoEachOther(t *testing.T) {
	n := bare(t, "public", "leaf")
	n.node("public", "")
	n.node("leaf", "203.0.113.1")
	leaf := n.w.Host("leaf")
	as := map[string]string{}
	for _, format := range []string{"ipv4", "ipv6", "mac6", "node-id"} {
		as[format] = leaf.MCC("resolve", "-t", format, n.ids["public"])
	}
	if as["node-id"] != n.ids["public"] || leaf.MCC("resolve", n.ids["public"]) != as["ipv4"] {
		t.Errorf("the node id is not itself, or the default is not ipv4: %q", as)
	}
	for from, address := range as {
		for format, want := range as {
			if got := leaf.MCC("resolve", "--target-format", format, address); got != want {
				t.Errorf("%s %s as %s is %s, want %s", from, address, format, got, want)
			}
		}
	}
}

func TestTheNameOfAParentIsLookedUpInEveryPeriod(t *testing.T) {
	n := bare(t, "public", "leaf")
	n.node("public", "")
	leaf := n.w.Host("leaf")
	asked := names(t, leaf, netip.MustParseAddr("203.0.113.1"))
	leaf.WriteFile("/etc/resolv.conf", "nameserver 127.0.0.1\n")
	leaf.WriteFile("/etc/nsswitch.conf", "hosts: files dns\n")
	n.home.Init(leaf, "public.example", "parents-resolve-period = 1s")
	n.start("leaf")
	n.attached("leaf")
	before := asked.Load()
	// One period asks for both kinds of address; with the default of an hour nothing comes.
	n.w.Until("the name was looked up twice more", 20*time.Second, func() bool {
		return asked.Load() >= before+4
	})
}

// names answers every question for an IPv4 address at port 53 of a host with one address, and
// counts the questions.
func names(t *testing.T, h *world.Host, a netip.Addr) *atomic.Int64 {
	t.Helper()
	var conn stdnet.PacketConn
	err := h.Do(func() (err error) {
		var lc stdnet.ListenConfig
		conn, err = lc.ListenPacket(context.Background(), "udp4", "127.0.0.1:53")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	var asked atomic.Int64
	go func() {
		b := make([]byte, 512)
		for {
			k, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			asked.Add(1)
			if _, err := conn.WriteTo(answer(b[:k], a), from); err != nil {
				return
			}
		}
	}()
	return &asked
}

// answer is the answer to a DNS question: the address, or nothing for another kind.
func answer(question []byte, a netip.Addr) []byte {
	var m dnsmessage.Message
	if m.Unpack(question) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	if q.Type == dnsmessage.TypeA {
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1},
			Body:   &dnsmessage.AResource{A: a.As4()},
		}}
	}
	b, _ := m.Pack()
	return b
}

// TestTheNodesOfACameraAreShownAsInTheManual: both ends of the tunnel first, below this node, then
// this node, then its parent; every column as wide as its longest cell and two blanks.
func TestTheNodesOfACameraAreShownAsInTheManual(t *testing.T) {
	n := story(t)
	n.camera("gateway", "camera1")
	gateway := n.w.Host("gateway")
	var rows []string
	n.w.Until("both ends of the tunnel and the parent are there", 20*time.Second, func() bool {
		rows = strings.Split(gateway.MCC("nodes"), "\n")
		return len(rows) == 5
	})
	table := columns(rows)
	const moment = `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d{4}$`
	self, parent, id := n.ids["gateway"], n.ids["public"], "^[0-9a-z]{52}$"
	for i, want := range []map[string]string{
		{
			"NODE_ID": id, "ADDRESS": "^192.168.1.10$", "LAST_SEEN": "^$", "PARENT": "^" + self,
			"TAGS": "^$", "TYPE": "^server-endpoint$",
		},
		{
			"NODE_ID": id, "ADDRESS": "^$", "LAST_SEEN": "^$", "PARENT": id, "TAGS": "^$",
			"TYPE": "^client-endpoint$",
		},
		{
			"NODE_ID": "^" + self, "ADDRESS": `^192\.168\.1\.2:9376$`, "LAST_SEEN": moment,
			"PARENT": "^" + parent, "TAGS": "^$", "TYPE": "^$",
		},
		{
			"NODE_ID": "^" + parent, "ADDRESS": `^203\.0\.113\.1:9376$`, "LAST_SEEN": moment,
			"PARENT": "^$", "TAGS": "^$", "TYPE": "^$",
		},
	} {
		for name, expression := range want {
			if got := table[i][name]; !regexp.MustCompile(expression).MatchString(got) {
				t.Errorf("row %d shows %s %q, want %s in\n%s", i+1, name, got, expression,
					strings.Join(rows, "\n"))
			}
		}
	}
}

// columns takes a table apart where its header has the names: blanks fill each cell.
func columns(rows []string) (table []map[string]string) {
	names := regexp.MustCompile(`\S+ *`).FindAllString(rows[0], -1)
	for _, row := range rows[1:] {
		cells := map[string]string{}
		for i, name := range names {
			width := min(len(name), len(row))
			if i == len(names)-1 {
				width = len(row) // the last column has no end
			}
			cells[strings.TrimSpace(name)] = strings.TrimRight(row[:width], " ")
			row = row[width:]
		}
		table = append(table, cells)
	}
	return table
}
