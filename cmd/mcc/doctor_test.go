// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"staex/internal/api"
	"staex/internal/conf"
)

// A patient is a machine on which nothing is wrong until a test changes something.
type patient struct {
	t       *testing.T
	dir     string // configuration
	root    string // of the system's files
	machine machine
	replies map[string]any // of the daemon; nil: none runs
}

func newPatient(t *testing.T) *patient {
	t.Helper()
	p := &patient{t: t, dir: t.TempDir(), root: t.TempDir()}
	network := t.TempDir()
	if exit, _, errs := mcc(t, "", "generate-network-certificate", network); exit != 0 {
		t.Fatal(errs)
	}
	cert, err1 := os.ReadFile(filepath.Join(network, networkCertFile))
	key, err2 := os.ReadFile(filepath.Join(network, networkKeyFile))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	exit, _, errs := mcc(t, string(key), "init", "--stdin", "-C", p.dir, "-p", "192.0.2.1",
		strings.TrimSpace(string(cert)))
	if exit != 0 {
		t.Fatal(errs)
	}
	p.system("/dev/net/tun", "")
	p.system("/sys/class/net/mcc0/mtu", "1280\n")
	p.system("/proc/sys/net/ipv4/conf/mcc0/forwarding", "1\n")
	p.system("/etc/nsswitch.conf", "hosts: files dns\n")
	p.system("/proc/net/route", "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\t"+
		"MTU\tWindow\tIRTT\neth0\t00000000\t00000000\t1\t0\t0\t0\t00000000\t0\t0\t0\n"+
		"mcc0\t0000530A\t00000000\t1\t0\t0\t0\t0000FFFF\t0\t0\t0\n")
	p.system("/proc/net/ipv6_route", strings.Repeat("0", 32)+" 00 "+strings.Repeat("0", 32)+
		" 00 "+strings.Repeat("0", 32)+" ffffffff 00000001 00000000 00200200 lo\n")
	p.machine = machine{
		root:   p.root,
		now:    func() time.Time { return time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) },
		lookup: func(string) error { return nil },
		dns:    func(netip.AddrPort, string) error { return nil },
		bind:   func(netip.AddrPort) error { return nil },
	}
	p.replies = map[string]any{
		api.OpStatus: api.StatusReply{
			Version: api.Version, ID: someID(1), Dir: p.dir, Device: "mcc0", Uptime: time.Hour,
			Parent: api.ParentReply{ID: someID(2), Address: "192.0.2.1:9376"},
		},
		api.OpHealth:  api.HealthReply{OK: true},
		api.OpTunnels: api.TunnelsReply{},
	}
	return p
}

// system writes a file of the system.
func (p *patient) system(path, text string) {
	p.t.Helper()
	path = filepath.Join(p.root, path)
	err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755),
		os.WriteFile(path, []byte(text), 0o600))
	if err != nil {
		p.t.Fatal(err)
	}
}

// config adds lines to mcc.conf.
func (p *patient) config(lines string) {
	p.t.Helper()
	path := filepath.Join(p.dir, conf.FileName)
	text, err := os.ReadFile(path)
	if err = errors.Join(err, os.WriteFile(path, append(text, lines...), 0o600)); err != nil {
		p.t.Fatal(err)
	}
}

// Handle answers as the daemon.
func (p *patient) Handle(_ context.Context, _ api.Peer, r api.Request) (any, error) {
	if reply, ok := p.replies[r.Op]; ok {
		return reply, nil
	}
	return nil, api.Errorf(api.CodeFailed, "unknown operation %q", r.Op)
}

// diagnose lets the doctor look, and returns what a person sees and whether it is all well.
func (p *patient) diagnose(format string) (string, error) {
	p.t.Helper()
	dir, err := os.MkdirTemp("", "doctor") // short enough for a socket
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "sock")
	if p.replies != nil {
		l, err := api.Listen(socket)
		if err != nil {
			p.t.Fatal(err)
		}
		s := &api.Server{Access: api.Access{Own: uint32(os.Geteuid())}}
		done := make(chan error, 1)
		go func() { done <- s.Serve(l, p) }()
		defer func() { s.Close(); <-done }()
	}
	var out bytes.Buffer
	d := &doctor{
		app: &app{out: &out, socket: socket, format: format}, machine: p.machine, dir: p.dir,
	}
	d.examine()
	err = d.report()
	return out.String(), err
}

func TestADoctorFindsNothingWrongWithAHealthyNode(t *testing.T) {
	out, err := newPatient(t).diagnose(formatTable)
	if err != nil || strings.Contains(out, "problem") || strings.Contains(out, "warning") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, check := range []string{
		"configuration", "keys", "clock", "device", "routes", "daemon", "parent", "tunnels",
		"names",
	} {
		if !strings.Contains("\n"+out, "\nok       "+check) {
			t.Errorf("%s was not looked at:\n%s", check, out)
		}
	}
	text, err := newPatient(t).diagnose(formatJSON)
	var d diagnosis
	if err := errors.Join(err, json.Unmarshal([]byte(text), &d)); err != nil || !d.OK ||
		len(d.Findings) < 9 {
		t.Errorf("%v\n%s", err, text)
	}
}

const routeOf10115 = "eth1\t0003730A\t0\t1\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"

// tunnelIn is a patient's only tunnel.
func tunnelIn(p *patient, x api.Tunnel) {
	x.ID, x.Name = someID(9), "camera1"
	p.replies[api.OpTunnels] = api.TunnelsReply{Tunnels: []api.Tunnel{x}}
}

func TestADoctorNamesWhatIsWrongAndWhatToDo(t *testing.T) {
	in := func(p *patient, name string) string { return filepath.Join(p.dir, name) }
	do := func(p *patient, err error) {
		p.t.Helper()
		if err != nil {
			p.t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		harm func(p *patient)
		want []string // problems begin with "problem", warnings with "warning"; then hints
	}{
		"no configuration": {
			func(p *patient) { do(p, os.Remove(in(p, conf.FileName))) },
			[]string{
				"problem  configuration  there is no ",
				"-> this node has its key: restore the file, or begin with an empty one: touch",
			},
		},
		"a clock that is not believed": {
			func(p *patient) { p.replies[api.OpTunnels] = api.TunnelsReply{Endless: 1} },
			[]string{"warning  clock          ", "tunnels do not end on time", "-> keep it right"},
		},
		"an unknown key": {
			func(p *patient) { p.config("parent = 192.0.2.2\n") },
			[]string{"problem  configuration  ", `did you mean "parents"`, "mccd -C"},
		},
		"a key that others can read": {
			func(p *patient) { do(p, os.Chmod(in(p, nodeKeyFile), 0o644)) },
			[]string{"problem  keys           ", "has mode 0644", "-> chmod 600 "},
		},
		"no key": {
			func(p *patient) { do(p, os.Remove(in(p, nodeKeyFile))) },
			[]string{"problem  keys           there is no private key at ", "mcc init"},
		},
		"no certificate": {
			func(p *patient) { do(p, os.Remove(in(p, nodeCertFile))) },
			[]string{"problem  keys           there is no node certificate at ", "mcc init"},
		},
		"the key of another node": {
			func(p *patient) {
				other, err := os.ReadFile(filepath.Join(newPatient(p.t).dir, nodeKeyFile))
				do(p, errors.Join(err, os.WriteFile(in(p, nodeKeyFile), other, 0o600)))
			},
			[]string{"problem  keys           ", "do not belong together"},
		},
		"no names key": {
			func(p *patient) { do(p, os.Remove(in(p, namesKeyFile))) },
			[]string{"warning  keys           ", "neither offer nor accept", "copy it"},
		},
		"a broken tunnel file and no daemon": {
			func(p *patient) {
				p.replies = nil
				do(p, os.Mkdir(in(p, "tunnels"), 0o755))
				do(p, os.WriteFile(in(p, "tunnels/light.conf"), []byte("dns-names = x\n"), 0o600))
			},
			[]string{
				"problem  tunnel files   ", "certificate is missing",
				"mcc create-tunnel --name light", "problem  daemon         no daemon answers",
				"systemctl start mcc",
			},
		},
		"a clock without a battery": {
			func(p *patient) { p.machine.now = func() time.Time { return time.Unix(90, 0).UTC() } },
			[]string{"warning  clock          the clock says 1970-01-01", "timedatectl"},
		},
		"no TUN devices": {
			func(p *patient) { do(p, os.Remove(filepath.Join(p.root, "/dev/net/tun"))) },
			[]string{"problem  device         there is no /dev/net/tun", "modprobe tun"},
		},
		"a device that was taken away": {
			func(p *patient) { do(p, os.RemoveAll(filepath.Join(p.root, "/sys/class/net"))) },
			[]string{"problem  device         the device mcc0 is gone", "restart"},
		},
		"a port in use": {
			func(p *patient) {
				p.replies = nil
				p.machine.bind = func(netip.AddrPort) error { return syscall.EADDRINUSE }
			},
			[]string{"problem  port           another program uses UDP port 9376", "ss -ulpn"},
		},
		"a daemon that nobody can ask": {
			func(p *patient) {
				p.replies = nil
				p.config("unix-enable = false\n")
				p.machine.bind = func(netip.AddrPort) error { return syscall.EADDRINUSE }
			},
			[]string{
				"ok       port           UDP port 9376 is in use: by the daemon, if it runs",
				"warning  daemon         unix-enable = false: nobody can ask",
			},
		},
		"a route of somebody else": {
			func(p *patient) {
				p.system("/proc/net/route", "eth1\t0011530A\t0\t1\t0\t0\t0\t00FFFFFF\t0\t0\t0\n")
				p.system("/proc/net/ipv6_route", "0200"+strings.Repeat("0", 28)+" 08 "+
					strings.Repeat("0", 32)+" 00 "+strings.Repeat("0", 32)+" 1 1 0 00000001 wg0\n")
			},
			[]string{
				"problem  routes         the route 10.83.17.0/24 of device eth1 overlaps " +
					"resolver.ipv4-network = 10.83.0.0/16", "choose another range",
				"the route 200::/8 of device wg0 overlaps resolver.ipv6-network",
			},
		},
		"a route among static addresses that nothing here needs": {
			func(p *patient) { p.system("/proc/net/route", routeOf10115) },
			[]string{
				"warning  routes         the route 10.115.3.0/24 of device eth1 overlaps " +
					"10.115.0.0/16, the range of static addresses", "renumber that network",
			},
		},
		"a route among static addresses that a tunnel has": {
			func(p *patient) {
				p.system("/proc/net/route", routeOf10115)
				tunnelIn(p, api.Tunnel{
					Side: api.SideClient, State: api.StateActive,
					Static: netip.MustParseAddr("10.115.3.7"),
				})
			},
			[]string{"problem  routes         the route 10.115.3.0/24 of device eth1 overlaps "},
		},
		"a daemon of another version that is not well": {
			func(p *patient) {
				s, _ := p.replies[api.OpStatus].(api.StatusReply)
				s.Version = "0.0.1"
				p.replies[api.OpStatus] = s
				p.replies[api.OpHealth] = api.HealthReply{
					Problems: []string{"the disk is full"}, Warnings: []string{"no IPv6 here"},
				}
			},
			[]string{
				"warning  daemon         mccd is 0.0.1", "problem  health         the disk is full",
				"warning  health         no IPv6 here",
			},
		},
		"no parent": {
			func(p *patient) {
				p.config("rejoin-period = 1m\n")
				s, _ := p.replies[api.OpStatus].(api.StatusReply)
				s.Parent = api.ParentReply{}
				p.replies[api.OpStatus] = s
			},
			[]string{"problem  parent         no parent answers: 192.0.2.1:9376", "UDP port"},
		},
		"a tunnel that waits here": {
			func(p *patient) { tunnelIn(p, api.Tunnel{State: api.StateOffered}) },
			[]string{
				"warning  tunnels        tunnel camera1 is offered",
				"mcc accept-tunnel camera1",
			},
		},
		"a tunnel that waits there": {
			func(p *patient) { tunnelIn(p, api.Tunnel{State: api.StatePending}) },
			[]string{
				"warning  tunnels        tunnel camera1 waits for the other node",
				"mcc nodes",
			},
		},
		"a tunnel that nobody wants": {
			func(p *patient) { tunnelIn(p, api.Tunnel{State: api.StateRejected}) },
			[]string{
				"warning  tunnels        tunnel camera1 was rejected",
				"mcc delete-tunnel camera1",
			},
		},
		"a tunnel that has ended": {
			func(p *patient) { tunnelIn(p, api.Tunnel{State: api.StateExpired}) },
			[]string{"problem  tunnels        tunnel camera1 has expired", "delete-tunnel camera1"},
		},
		"a tunnel that is disabled": {
			func(p *patient) {
				tunnelIn(p, api.Tunnel{State: api.StateDisabled, DisabledHere: true})
			},
			[]string{
				"warning  tunnels        tunnel camera1 is disabled",
				"mcc enable-tunnel camera1",
			},
		},
		"a tunnel that is disabled elsewhere": {
			func(p *patient) {
				tunnelIn(p, api.Tunnel{State: api.StateDisabled, DisabledThere: true})
			},
			[]string{"tunnel camera1 is disabled at its other end", "have it enabled there"},
		},
		"forwarding switched off": {
			func(p *patient) {
				p.system("/proc/sys/net/ipv4/conf/mcc0/forwarding", "0\n")
				tunnelIn(p, api.Tunnel{
					State: api.StateActive, Side: api.SideServer,
					External: netip.MustParseAddr("192.168.1.10"),
				})
			},
			[]string{"problem  forwarding     forwarding from mcc0 was switched off", "restart"},
		},
		"a DNS server that is silent": {
			func(p *patient) {
				p.machine.dns = func(netip.AddrPort, string) error { return errors.New("timeout") }
			},
			[]string{
				"problem  names          the daemon's DNS server at 127.0.0.1:8353",
				"dns-addr",
			},
		},
		"no module": {
			func(p *patient) { p.machine.lookup = func(string) error { return errors.New("no") } },
			[]string{
				"warning  names          programs here do not find names below .home.arpa: " +
					"/etc/nsswitch.conf says: hosts: files dns", "install libnss_mcc.so.2",
			},
		},
		"a module that does not answer": {
			func(p *patient) {
				p.system("/etc/nsswitch.conf", "hosts:\tfiles mcc [SUCCESS=return] dns # x\n")
				p.machine.lookup = func(string) error { return errors.New("no") }
			},
			[]string{"although /etc/nsswitch.conf says: hosts: files mcc", "MCC_UNIX_SOCKET_PATH"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPatient(t)
			c.harm(p)
			out, err := p.diagnose(formatTable)
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("not said: %q in\n%s", want, out)
				}
			}
			if bad := strings.Contains(out, "problem  "); bad != (err != nil) {
				t.Errorf("the exit code does not fit: %v\n%s", err, out)
			}
		})
	}
}

func TestADoctorWarnsBeforeACertificateEnds(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		from, to time.Duration // from now; 0: open
		want     string
	}{
		{0, 0, ""},
		{-time.Hour, 365 * 24 * time.Hour, ""},
		{0, -time.Hour, findingProblem},
		{0, 24 * time.Hour, findingWarning},
		{time.Hour, 0, findingWarning},
	} {
		shown := shownCert{Kind: "node", File: "x"}
		if c.from != 0 {
			shown.NotBefore = now.Add(c.from)
		}
		if c.to != 0 {
			shown.NotAfter = now.Add(c.to)
		}
		d := &doctor{machine: machine{now: func() time.Time { return now }}}
		d.lookAtValidity("keys", shown)
		got := ""
		if len(d.found) > 0 {
			got = d.found[0].State
		}
		if got != c.want {
			t.Errorf("from %v to %v: %q, want %q", c.from, c.to, got, c.want)
		}
	}
}
