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
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"staex/internal/daemon"
	"staex/internal/host/disk"
	"staex/internal/host/netif"
	"staex/internal/host/tun"
	"staex/internal/host/udp"
	"staex/internal/ident"
)

// failure is how a daemon on the site fails to start.
func failure(t *testing.T, s *site) *daemon.Failure {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := daemon.Run(ctx, daemon.Options{Dir: s.dir, Log: io.Discard})
	f, ok := errors.AsType[*daemon.Failure](err)
	if !ok {
		t.Fatalf("the daemon did not fail to start: %v", err)
	}
	return f
}

// expect checks a failure: its exit code, words of its sentence, and that it says what to do.
func expect(t *testing.T, f *daemon.Failure, exit int, words ...string) {
	t.Helper()
	if f.Exit != exit {
		t.Errorf("exit code %d, want %d: %s", f.Exit, exit, f.Message)
	}
	for _, w := range words {
		if !strings.Contains(f.Message+"\n"+f.Hint, w) {
			t.Errorf("%q is not in\n%s\n%s", w, f.Message, f.Hint)
		}
	}
	if f.Hint == "" {
		t.Errorf("no hint for: %s", f.Message)
	}
}

func TestEveryMistakeInTheFilesHasItsSentenceAndExitCode(t *testing.T) {
	const config, key = daemon.ExitConfig, daemon.ExitKey
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, s *site)
		exit  int
		words []string
	}{
		{
			"no configuration", func(t *testing.T, s *site) { remove(t, s, "mcc.conf") },
			config,
			[]string{"there is no configuration at", "mcc.conf", "mcc init"},
		},
		{
			"an unknown key", func(t *testing.T, s *site) { s.configure(t, "parent = 192.0.2.1") },
			config,
			[]string{`mcc.conf:3: unknown key "parent", did you mean "parents"?`, "-C"},
		},
		{
			"two mistakes", func(t *testing.T, s *site) { s.configure(t, "x = 1", "tags = a b") },
			config,
			[]string{"mcc.conf:3:", "mcc.conf:4:"},
		},
		{
			"no key", func(t *testing.T, s *site) { remove(t, s, "node-private-key.txt") },
			key,
			[]string{"node-private-key", "there is no file", "mcc init"},
		},
		{"a key for everybody", func(t *testing.T, s *site) {
			if err := os.Chmod(s.path("node-private-key.txt"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, key, []string{"readable by others", "chmod 600"}},
		{"a key that is none", func(t *testing.T, s *site) {
			s.write(t, "node-private-key.txt", []byte("hello\n"))
		}, key, []string{"node-private-key", "not a BASE64 text"}},
		{"a key with a passphrase", func(t *testing.T, s *site) {
			text, err := ident.EncodeSecretTextWithPassphrase(newSecret(t), []byte("x"),
				strings.NewReader(strings.Repeat("s", 64)))
			if err != nil {
				t.Fatal(err)
			}
			s.write(t, "node-private-key.txt", text)
		}, key, []string{"passphrase"}},
		{"another node's key", func(t *testing.T, s *site) {
			s.write(t, "node-private-key.txt", ident.EncodeSecretText(newSecret(t)))
		}, key, []string{"the node certificate is for", "belong together"}},
		{"another network's certificate", func(t *testing.T, s *site) {
			s.write(t, "network-certificate.txt", ident.EncodeText(newNetwork(t).cert.Append(nil)))
		}, key, []string{"is of network", "not among network-certificates"}},
		{"a certificate cut in half", func(t *testing.T, s *site) {
			s.write(t, "node-certificate.txt", []byte("AQIDBA==\n"))
		}, key, []string{"node-certificate", "not a valid certificate"}},
		{"names that somebody else's key gave", func(t *testing.T, s *site) {
			s.named(t, s.id, newNetwork(t))
		}, key, []string{"the names certificate", "another network"}},
		{"names of another node", func(t *testing.T, s *site) {
			s.named(t, newSecret(t).ID(), s.net)
		}, key, []string{"is for node", "generate-names-certificate"}},
		{"a names key for everybody", func(t *testing.T, s *site) {
			if err := os.Chmod(s.path("network-names-key.txt"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, key, []string{"names key", "chmod 600"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, newNetwork(t))
			c.spoil(t, s)
			expect(t, failure(t, s), c.exit, c.words...)
			if err := daemon.Check(s.dir); err == nil {
				t.Error("--check finds nothing wrong")
			}
		})
	}
}

// named gives a name to a node and puts the certificate where this one looks for its own.
func (s *site) named(t *testing.T, node ident.NodeID, by *network) {
	t.Helper()
	c := &ident.NamesCert{Key: node, Names: []string{"hall"}}
	if err := ident.SignNamesCert(c, by.secret); err != nil {
		t.Fatal(err)
	}
	s.write(t, "names-certificate.txt", ident.EncodeText(c.Append(nil)))
}

func remove(t *testing.T, s *site, name string) {
	t.Helper()
	if err := os.Remove(s.path(name)); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsInUseHasItsSentenceAndExitCode(t *testing.T) {
	needDevices(t)
	n := newNetwork(t)
	const lo = "127.0.0.1"
	for _, c := range []struct {
		name  string
		lines []string
		take  func(t *testing.T, s *site) io.Closer
		words []string
	}{
		{"the port", []string{"listen-addr = 127.0.0.1:9376"}, func(*testing.T, *site) io.Closer {
			return closer(udp.Listen(netip.MustParseAddrPort(lo+":9376"), udp.Options{}))
		}, []string{"listen-addr: UDP port 9376 is in use"}},
		{"the port in one family", nil, func(*testing.T, *site) io.Closer {
			return closer(udp.Listen(netip.MustParseAddrPort("[::]:9376"), udp.Options{}))
		}, []string{"listen-addr: UDP port 9376 is in use"}},
		{"the DNS port", nil, func(*testing.T, *site) io.Closer {
			return closer(net.ListenPacket("udp", lo+":8353"))
		}, []string{"dns-addr: 127.0.0.1:8353 is in use", "dns-enable = false"}},
		{"the device", nil, func(*testing.T, *site) io.Closer {
			return closer(tun.Open("mcc0", 0))
		}, []string{"tun-device-name", "uses the device mcc0"}},
		{"the IPv4 range", nil, func(t *testing.T, _ *site) io.Closer {
			return occupy(t, "10.83.7.1/24")
		}, []string{"resolver.ipv4-network: 10.83.0.0/16 overlaps the route 10.83.7.0/24 of"}},
		{"the IPv6 range", nil, func(t *testing.T, _ *site) io.Closer {
			return occupy(t, "200:7::1/64")
		}, []string{"resolver.ipv6-network: 200::/7 overlaps the route 200:7::/64"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, n, c.lines...)
			taken := c.take(t, s)
			defer taken.Close()
			expect(t, failure(t, s), daemon.ExitInUse, append(c.words, "mcc.conf")...)
		})
	}
	t.Run("the socket", func(t *testing.T) {
		s := newSite(t, n, alone(2)...)
		d := s.start(t)
		other := newSite(t, n, alone(1)...)
		text := strings.Replace(read(t, other.path("mcc.conf")), "= sock", "= "+s.path("sock"), 1)
		other.write(t, "mcc.conf", []byte(text))
		expect(t, failure(t, other), daemon.ExitInUse, "unix-socket-path", "another daemon is")
		d.ask(t, "id", nil, nil) // the first one was not disturbed
		d.end(t)
	})
}

// closer is for calls that must succeed.
func closer[T io.Closer](c T, err error) io.Closer {
	if err != nil {
		panic(err)
	}
	return c
}

// occupy gives a device an address of the overlay's ranges.
func occupy(t *testing.T, prefix string) io.Closer {
	t.Helper()
	dev, err := tun.Open("other", 0)
	if err != nil {
		t.Fatal(err)
	}
	addrs := []netip.Prefix{netip.MustParsePrefix(prefix)}
	if _, err := netif.Up("other", 0, addrs, nil); err != nil {
		t.Fatal(err)
	}
	return dev
}

// The service manager starts a daemon with this exit code again.
func TestAnAddressThatTheMachineDoesNotHaveYetIsWaitedFor(t *testing.T) {
	needDevices(t)
	n := newNetwork(t)
	for _, key := range []string{"listen-addr", "dns-addr", "metrics-listen"} {
		s := newSite(t, n, key+" = 192.0.2.1:9399")
		expect(t, failure(t, s), daemon.ExitInUse, key+": ", "on this machine?", "tries again")
	}
	s := newSite(t, n, "metrics-listen = /nowhere/at/all")
	expect(t, failure(t, s), daemon.ExitConfig, "metrics-listen: ", "on this machine?")
}

func TestADataDirectoryThatCannotBeUsedHasItsExitCode(t *testing.T) {
	needDevices(t)
	n := newNetwork(t)
	t.Run("a file", func(t *testing.T) {
		s := newSite(t, n)
		s.write(t, "data", []byte("precious"))
		expect(t, failure(t, s), daemon.ExitData, "data-dir", s.path("data"))
		if read(t, s.path("data")) != "precious" {
			t.Error("the file was overwritten")
		}
	})
	t.Run("in use", func(t *testing.T) {
		s := newSite(t, n)
		store, err := disk.Open(s.path("data"))
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		expect(t, failure(t, s), daemon.ExitData, "another mccd uses")
	})
	for name, room := range map[string]string{
		"no room for a file": "size=64k,nr_inodes=1",
		"no room in a file":  "size=4k",
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, n)
			data := s.path("data")
			s.write(t, "data/none", nil) // makes the directory
			if err := unix.Mount("tmpfs", data, "tmpfs", 0, room); err != nil {
				t.Skipf("SKIPPED: needs to mount: %v; type: sudo -E go test ./internal/daemon", err)
			}
			defer func() { _ = unix.Unmount(data, unix.MNT_DETACH) }()
			_ = os.WriteFile(filepath.Join(data, "ballast"), make([]byte, 4096), 0o600)
			expect(t, failure(t, s), daemon.ExitData, "no space left", "make room on the disk of")
		})
	}
	t.Run("damaged", func(t *testing.T) {
		s := newSite(t, n)
		s.start(t).end(t)
		s.write(t, "data/tunnel-"+s.id.String(), []byte("half of a"))
		expect(t, failure(t, s), daemon.ExitData, "tunnel-", "restore it from a backup")
		s.write(t, "data/lease-secret", []byte("short"))
		expect(t, failure(t, s), daemon.ExitData, "lease-secret")
		if read(t, s.path("data/lease-secret")) != "short" {
			t.Error("the secret was overwritten")
		}
	})
}

func TestWithoutTheRightToMakeDevicesTheExitCodeSaysSo(t *testing.T) {
	needDevices(t)
	s := newSite(t, newNetwork(t))
	// A thread without the capability in its bounding set gives it to no program that it starts.
	type result struct {
		out  []byte
		code int
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // for good: the thread is thrown away
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_NET_ADMIN, 0, 0, 0); err != nil {
			done <- result{[]byte(err.Error()), -1}
			return
		}
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), runEnv+"="+s.dir)
		out, _ := cmd.CombinedOutput()
		done <- result{out, cmd.ProcessState.ExitCode()}
	}()
	r := <-done
	if r.code != daemon.ExitPermission || !strings.Contains(string(r.out), "no permission") {
		t.Errorf("exit code %d: %s", r.code, r.out)
	}
}

func TestCheckReadsTunnelsToo(t *testing.T) {
	s := newSite(t, newNetwork(t))
	s.offer(t, "camera1", "tcp:80", s.id)
	if err := daemon.Check(s.dir); err != nil {
		t.Error(err)
	}
	s.write(t, "tunnels/camera1-private-key.txt", ident.EncodeSecretText(newSecret(t)))
	s.offer(t, "camera2", "tcp:80", s.id)
	remove(t, s, "tunnels/camera2-certificate.txt")
	err := daemon.Check(s.dir)
	f, ok := errors.AsType[*daemon.Failure](err)
	if !ok || f.Exit != daemon.ExitConfig || strings.Count(f.Message, "tunnel ") != 2 ||
		!strings.Contains(f.Message, "do not belong together") {
		t.Errorf("got %v", err)
	}
}

func TestAnEmptyConfigurationIsEnoughForANode(t *testing.T) {
	s := newSite(t, newNetwork(t))
	remove(t, s, "mcc.conf")
	f, _ := errors.AsType[*daemon.Failure](daemon.Check(s.dir))
	expect(t, f, daemon.ExitConfig, "no configuration at", "touch ")
	s.write(t, "mcc.conf", nil)
	if err := daemon.Check(s.dir); err != nil {
		t.Error(err)
	}
}
