// SPDX-License-Identifier: Apache-2.0

//go:build linux

package daemon_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"staex/internal/api"
	"staex/internal/conf"
	"staex/internal/daemon"
	"staex/internal/ident"
)

// patience is how long a condition may take to become true on a busy machine.
const patience = 20 * time.Second

// until waits for a condition.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// network is a network's key and certificate.
type network struct {
	secret *ident.Secret
	cert   *ident.NetworkCert
}

func newSecret(t *testing.T) *ident.Secret {
	t.Helper()
	s, err := ident.NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	n := &network{secret: newSecret(t)}
	key := n.secret.NetworkKey()
	n.cert = &ident.NetworkCert{Key: key, Authority: key, Serial: 1, Name: "home"}
	if err := ident.SignNetworkCert(n.cert, n.secret); err != nil {
		t.Fatal(err)
	}
	return n
}

// site is the configuration directory of one node.
type site struct {
	dir string
	id  ident.NodeID
	net *network
	log lockedBuffer

	lanes   int    // of its daemon; 0 lets the machine decide
	expires uint32 // of tunnels that it offers, in Unix seconds; 0 never
	static  netip.Addr
}

// newSite writes the directory of a node: key, certificates and configuration.
func newSite(t *testing.T, n *network, lines ...string) *site {
	t.Helper()
	s := &site{dir: t.TempDir(), net: n}
	secret := newSecret(t)
	s.id = secret.ID()
	cert := &ident.NodeCert{Network: n.cert.Key.Hash(), Key: s.id, Serial: 1}
	if err := ident.SignNodeCert(cert, n.secret); err != nil {
		t.Fatal(err)
	}
	s.write(t, "node-private-key.txt", ident.EncodeSecretText(secret))
	s.write(t, "node-certificate.txt", ident.EncodeText(cert.Append(nil)))
	s.write(t, "network-certificate.txt", ident.EncodeText(n.cert.Append(nil)))
	s.write(t, "network-names-key.txt", ident.EncodeNamesKeyText(n.secret.NamesKey()))
	s.configure(t, lines...)
	return s
}

// configure writes mcc.conf: the lines, and what keeps the node inside its directory.
func (s *site) configure(t *testing.T, lines ...string) {
	t.Helper()
	own := "data-dir = data\nunix-socket-path = sock\n"
	rest := "\nuser = root\ndnsmasq-enable = false\n" // the machine's Dnsmasq is none of ours
	s.write(t, "mcc.conf", []byte(own+strings.Join(lines, "\n")+rest))
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(s.path(name)), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path(name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// offer writes the files of a tunnel to a target on this node.
func (s *site) offer(t *testing.T, name, target string, to ident.NodeID) ident.NodeID {
	t.Helper()
	secret := newSecret(t)
	targets, err := ident.ParseTargets(target)
	if err != nil {
		t.Fatal(err)
	}
	cert := &ident.EndpointCert{
		Kind: ident.ServerEndpoint, Network: s.net.cert.Key.Hash(), Key: secret.ID(), Peer: to,
		Serial: 1, Targets: targets, Names: []string{name}, Static: s.static,
		Validity: ident.Validity{NotAfter: s.expires},
	}
	if err := ident.SignEndpointCert(cert, s.net.secret); err != nil {
		t.Fatal(err)
	}
	dir := s.path("tunnels")
	f := conf.Tunnel{
		Name: name, File: filepath.Join(dir, name+".conf"),
		Certificate: filepath.Join(dir, name+"-certificate.txt"),
		PrivateKey:  filepath.Join(dir, name+"-private-key.txt"), Names: cert.Names,
		Static: s.static,
	}
	s.write(t, "tunnels/"+name+"-private-key.txt", ident.EncodeSecretText(secret))
	s.write(t, "tunnels/"+name+"-certificate.txt", ident.EncodeText(cert.Append(nil)))
	s.write(t, "tunnels/"+name+".conf", f.Format())
	return cert.Key
}

// running is a daemon in this process.
type running struct {
	s      *site
	stop   context.CancelFunc
	ended  chan error
	reload chan os.Signal
}

// start runs a daemon and returns when it answers.
func (s *site) start(t *testing.T) *running {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r := &running{s: s, stop: stop, ended: make(chan error, 1), reload: make(chan os.Signal)}
	o := daemon.Options{Dir: s.dir, Log: &s.log, Reload: r.reload}
	go func() { r.ended <- daemon.Run(ctx, o.WithLanes(s.lanes)) }()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of %s:\n%s", s.dir, s.log.String())
		}
		stop()
	})
	until(t, "the daemon answers", func() bool {
		select {
		case err := <-r.ended:
			t.Fatalf("the daemon ended: %v", err)
		default:
		}
		c, err := api.Dial(s.path("sock"))
		if err != nil {
			return false
		}
		return c.Call(api.OpID, nil, nil) == nil && c.Close() == nil
	})
	return r
}

// end stops the daemon and waits until it has.
func (r *running) end(t *testing.T) {
	t.Helper()
	r.stop()
	select {
	case err := <-r.ended:
		if err != nil {
			t.Errorf("the daemon ended with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the daemon does not end")
	}
}

// call asks the daemon; the error is what a client gets.
func (r *running) call(t *testing.T, op string, args, result any) error {
	t.Helper()
	c, err := api.Dial(r.s.path("sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.Call(op, args, result)
}

// ask is call for requests that must succeed.
func (r *running) ask(t *testing.T, op string, args, result any) {
	t.Helper()
	if err := r.call(t, op, args, result); err != nil {
		t.Fatalf("%s: %v", op, err)
	}
}

func (r *running) tunnels(t *testing.T) []api.Tunnel {
	t.Helper()
	var list api.TunnelsReply
	r.ask(t, api.OpTunnels, nil, &list)
	return list.Tunnels
}

// states says which tunnels there are and how they are: "camera1 active".
func (r *running) states(t *testing.T) string {
	t.Helper()
	var all []string
	for _, x := range r.tunnels(t) {
		all = append(all, x.Name+" "+x.State)
	}
	return strings.Join(all, ", ")
}

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// lines of a node number i of several in one network namespace: nothing may be shared.
func alone(i int) []string {
	return []string{
		fmt.Sprintf("listen-addr = 127.0.0.1:%d", 9400+i),
		fmt.Sprintf("tun-device-name = test%d", i),
		fmt.Sprintf("firewall-chain-name = TEST%d", i),
		fmt.Sprintf("dns-addr = 127.0.0.1:%d", 8400+i),
		fmt.Sprintf("resolver.ipv4-network = 10.%d.0.0/16", 90+i),
		fmt.Sprintf("resolver.ipv6-network = %v", netip.PrefixFrom(v6Range(i), 16)),
	}
}

func v6Range(i int) netip.Addr {
	return netip.AddrFrom16([16]byte{0x02, byte(i)})
}
