// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"staex/test/world"
)

// A guide types the commands of a page in a world. A line "HOST$ COMMAND" runs COMMAND at HOST,
// as root. HOST-ID is the id of a node, HOST.example.org its address, and systemctl does what the
// unit of the package says.
type guide struct {
	*net
	addresses map[string]string
	run       map[string]*world.Process
	typed     []string
}

// typedLine is a command of a page.
type typedLine struct{ host, command string }

var prompt = regexp.MustCompile(`^(\w+)\$\s+(.*)$`)

// commands are the lines of a page's console blocks, those that continue put together.
func commands(t *testing.T, page string) (all []typedLine) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "how-to", page))
	if err != nil {
		t.Fatal(err)
	}
	inside := false
	joined := strings.ReplaceAll(string(text), "\\\n", " ")
	for line := range strings.Lines(joined) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "```") {
			inside = line == "```console"
			continue
		}
		if !inside {
			continue
		}
		m := prompt.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("%s: %q is not a command", page, line)
		}
		all = append(all, typedLine{m[1], m[2]})
	}
	return all
}

// execStart is what the unit starts.
func execStart(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "packaging", "systemd", "mcc.service"))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^ExecStart=/usr/sbin/(mccd .*)$`).FindStringSubmatch(string(text))
	if m == nil {
		t.Fatal("the unit starts nothing")
	}
	return strings.Fields(m[1])
}

// typeAll types every command of a page.
func (g *guide) typeAll(page string) {
	g.t.Helper()
	for _, line := range commands(g.t, page) {
		g.typeLine(line)
	}
	if len(g.typed) < 5 {
		g.t.Errorf("%s has only %d commands: %q", page, len(g.typed), g.typed)
	}
}

var placeholder = regexp.MustCompile(`\b([A-Z]+)-ID\b|\b(\w+)\.example\.org\b`)

func (g *guide) typeLine(line typedLine) {
	g.t.Helper()
	h := g.w.Host(line.host)
	command := strings.ReplaceAll(line.command, "sudo ", "")
	command = placeholder.ReplaceAllStringFunc(command, func(word string) string {
		if name, isID := strings.CutSuffix(word, "-ID"); isID {
			return g.w.Host(strings.ToLower(name)).MCC("id")
		}
		return g.addresses[strings.TrimSuffix(word, ".example.org")]
	})
	g.typed = append(g.typed, line.host+"$ "+command)
	if service, ok := strings.CutPrefix(command, "systemctl "); ok {
		g.service(h, service)
		return
	}
	// A network takes a moment to agree on what was just typed; a person would try again, too.
	deadline := time.Now().Add(25 * time.Second)
	last := h.Try("sh", "-c", "cd; "+command)
	for !last.OK() && again(command) && time.Now().Before(deadline) {
		last = h.Try("sh", "-c", "cd; "+command)
	}
	if !last.OK() {
		g.t.Fatalf("%s$ %s: exit code %d\n%s%s", line.host, command, last.Code, last.Stdout,
			last.Stderr)
	}
	if strings.HasPrefix(command, "mcc generate-network-certificate") {
		g.handOut(h)
	}
}

// again tells whether a command only asks, so that it may be typed twice.
func again(command string) bool {
	for _, word := range []string{
		"curl ", "ping ", "getent ", "dig ", "mcc ping ", "mcc doctor", "mcc resolve ",
		"mcc route ",
	} {
		if strings.HasPrefix(command, word) {
			return true
		}
	}
	return false
}

// handOut gives the files of the network to every host, as the page tells people to.
func (g *guide) handOut(owner *world.Host) {
	for _, h := range g.w.Hosts() {
		for _, name := range []string{"network-certificate.txt", "network-private-key.txt"} {
			h.WriteFile("/tmp/"+name, owner.ReadFile("/tmp/network/"+name))
		}
	}
}

// service does what systemctl would do with the unit.
func (g *guide) service(h *world.Host, command string) {
	g.t.Helper()
	switch command {
	case "enable --now mcc":
	case "restart mcc":
		g.run[h.Name].Stop()
	case "reload mcc":
		if err := unix.Kill(g.run[h.Name].PID(), unix.SIGHUP); err != nil {
			g.t.Fatal(err)
		}
		return
	default:
		g.t.Fatalf("nobody knows systemctl %s", command)
	}
	p := h.Start(execStart(g.t)...)
	g.run[h.Name] = p
	g.w.Until("mccd of "+h.Name+" answers", 10*time.Second, func() bool {
		if !p.Running() {
			g.t.Fatalf("%s has ended:\n%s", p.Name, p.Tail())
		}
		return h.Try("mcc", "id").OK()
	})
}

// guided makes a world for a page.
func guided(t *testing.T, addresses map[string]string) *guide {
	t.Helper()
	w := world.New(t)
	w.NeedTUN()
	return &guide{
		net: &net{t: t, w: w}, addresses: addresses, run: map[string]*world.Process{},
	}
}

func TestTheHowToOfTheCameraDoesWhatItSays(t *testing.T) {
	g := guided(t, map[string]string{"public": "203.0.113.1"})
	world.Story(g.w)
	g.w.Host("technician").NSS()
	g.typeAll("camera.md")
	if g.w.Host("technician").Try("curl", "-sm", "2", "http://camera1/").OK() {
		t.Error("the page opens although the tunnel is deleted")
	}
}

func TestTheHowToOfNamesDoesWhatItSays(t *testing.T) {
	g := guided(t, map[string]string{"public": "203.0.113.1"})
	world.Story(g.w)
	home := g.w.Found("home")
	for _, name := range []string{"public", "gateway", "technician"} {
		parents := "203.0.113.1"
		lines := []string{"resolver.domain = .staex"}
		switch name {
		case "public":
			parents = ""
		case "gateway":
			lines = append(lines, "dns-names = node1")
		}
		home.Init(g.w.Host(name), parents, lines...)
		g.service(g.w.Host(name), "enable --now mcc")
	}
	g.w.Host("technician").NSS()
	g.typeAll("names.md")
	if out := g.w.Host("technician").Run("dig", "+short", "@127.0.0.1", "-p", "8353",
		"node1.staex"); strings.TrimSpace(out) != g.w.Host("technician").MCC("resolve", "node1") {
		t.Errorf("dig: %q", out)
	}
}

func TestTheHowToOfPortsDoesWhatItSays(t *testing.T) {
	g := guided(t, map[string]string{"technician": "10.20.0.2"})
	world.Story(g.w)
	g.home, g.ids = g.w.Found("home"), map[string]string{}
	for name, parents := range map[string]string{
		"public": "", "gateway": "203.0.113.1", "technician": "203.0.113.1",
	} {
		g.ids[name] = g.home.Init(g.w.Host(name), parents)
		g.service(g.w.Host(name), "enable --now mcc")
	}
	g.camera("gateway", "camera1")
	g.typeAll("ports.md")
	if g.w.Host("stranger").Try("curl", "-sm", "2", "http://10.20.0.2:8081/").OK() {
		t.Error("the page opens although there is no rule any more")
	}
}

func TestTheHowToOfTopologiesDoesWhatItSays(t *testing.T) {
	g := guided(t, map[string]string{})
	for i, name := range []string{"root", "left", "right", "far", "spare"} {
		g.addresses[name] = "203.0.113." + string(rune('1'+i))
		g.w.Host(name).Join("inet", "eth0", g.addresses[name]+"/24")
	}
	// What far reaches, and what it does not.
	g.w.Host("far").Run("ip", "route", "add", "blackhole", g.addresses["root"]+"/32")
	owner := g.w.Host("owner")
	g.typeLine(typedLine{"owner", "mcc generate-network-certificate --name home ~/network"})
	g.handOut(owner)
	g.typeAll("topologies.md")
	route := strings.Fields(g.w.Host("far").MCC("route", g.w.Host("left").MCC("id")))
	if len(route) != 4 {
		t.Errorf("from far to left: %q", route)
	}
	g.w.Until("spare is below right", 30*time.Second, func() bool {
		return g.w.Host("spare").MCC("parent") == g.addresses["right"]+":9376"
	})
}
