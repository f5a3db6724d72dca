// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"bytes"
	"crypto/sha256"
	"io"
	stdnet "net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

const python = "/usr/bin/python3"

// askScript asks an address and port for a datagram until an error comes back, and prints what the
// kernel says about it: the error's name, who sent it, and to which address the question went.
const askScript = `
import errno, ipaddress, select, socket, sys
v6 = ":" in sys.argv[1]
s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
IP_RECVERR, IPV6_RECVERR = 11, 25
s.setsockopt(socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP,
             IPV6_RECVERR if v6 else IP_RECVERR, 1)
s.connect((sys.argv[1], int(sys.argv[2])))
for i in range(10):
    try:
        s.send(b"anybody?")
    except OSError:
        pass
    if not select.select([], [], [s], 0)[2]:
        select.select([s], [], [], 2)
    try:
        _, control, _, to = s.recvmsg(1500, 512, socket.MSG_ERRQUEUE)
    except BlockingIOError:
        continue
    e = control[0][2]
    who = e[16 + 8:16 + 24] if v6 else e[16 + 4:16 + 8]
    print(errno.errorcode[int.from_bytes(e[:4], sys.byteorder)], ipaddress.ip_address(who), to[0])
    sys.exit(0)
print("silence")
`

// complaint is what a host's kernel is told of a datagram to an address and port.
func (n *net) complaint(host, address, port string) string {
	n.t.Helper()
	n.w.Host(host).WriteFile("/run/ask.py", askScript)
	return strings.TrimSpace(n.at(host, python, "/run/ask.py", address, port))
}

func TestAClosedPortIsRefusedAtOnceUnderTheAddressOfTheTunnel(t *testing.T) {
	n := clients(t, python, "dig", "curl")
	n.regular("near", "udp:5353,udp:53")
	n.external("beside", "udp:5353")
	n.home.Tunnel(n.w.Host("gateway"), n.w.Host("technician"), "absent", n.ids["technician"],
		"--targets", "tcp:80,udp:5353", "--external-ip-address", "192.168.1.77")
	four, six := n.addresses("near")
	beside := n.address("technician", "beside").String()
	for _, address := range []string{four, six, beside} {
		want := strings.Join([]string{"ECONNREFUSED", address, address}, " ")
		if got := n.complaint("technician", address, "5353"); got != want {
			t.Errorf("%s: %s, want %s\n%s", address, got, want, n.drops())
		}
	}
	r := n.w.Host("technician").Try("dig", "+tries=1", "+time=20", "@"+four, "example.org")
	if !strings.Contains(r.Stdout, "connection refused") {
		t.Errorf("dig: %s%s", r.Stdout, r.Stderr)
	}
	absent := n.address("technician", "absent").String()
	want := strings.Join([]string{"EHOSTUNREACH", absent, absent}, " ")
	if got := n.complaint("technician", absent, "5353"); got != want {
		t.Errorf("a device that is not there: %s, want %s\n%s", got, want, n.drops())
	}
	r = n.w.Host("technician").Try("curl", "-sS", "-m", "20", "http://absent/")
	const couldNotConnect = 7 // 28 would be a timeout
	if r.Code != couldNotConnect {
		t.Errorf("curl: %d, want %d: %s\n%s", r.Code, couldNotConnect, r.Stderr, n.drops())
	}
}

// largeScript sends a datagram that may not be cut and prints whether it came back, whether the
// kernel complained, and what it believes to fit then.
const largeScript = `
import errno, socket, sys
v6 = ":" in sys.argv[1]
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, DO, IP_MTU, IPV6_MTU = 10, 23, 2, 14, 24
level = socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP
s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(level, IPV6_MTU_DISCOVER if v6 else IP_MTU_DISCOVER, DO)
s.connect((sys.argv[1], int(sys.argv[2])))
s.settimeout(2)
big = b"x" * 1430
s.send(big)
back = told = False
while not (back and told):
    try:
        back = s.recv(2000) == big
    except TimeoutError:
        break
    except OSError as e: # the kernel says by the way that it was too big
        told = e.errno == errno.EMSGSIZE
print(back, told, s.getsockopt(level, IPV6_MTU if v6 else IP_MTU))
`

func TestAProgramThatWantsToKnowLearnsWhatFits(t *testing.T) {
	n := clients(t, python)
	n.mirror("gateway", "7")
	n.w.Host("technician").WriteFile("/run/large.py", largeScript)
	n.regular("near", "udp:7")
	for _, name := range []string{"gateway", "technician"} {
		n.configure(name, "tun-device-mtu = 1500")
	}
	four, six := n.addresses("near")
	for _, address := range []string{four, six} {
		n.w.Until("the kernel knows what fits to "+address, patience, func() bool {
			for _, family := range []string{"-4", "-6"} { // or an earlier try is remembered
				n.w.Host("technician").Run("ip", family, "route", "flush", "cache")
			}
			got := strings.Fields(n.at("technician", python, "/run/large.py", address, "7"))
			return len(got) == 3 && got[0] == "True" && got[1] == "True" && got[2] != "1500"
		})
	}
}

// The hops and the devices behind a tunnel are nobody's business.
func TestTracingATunnelFindsItsEndAlone(t *testing.T) {
	n := clients(t, "ping")
	n.external("beside", "udp:5353")
	beside := n.address("technician", "beside")
	n.w.Until("the endpoint answers", 10*time.Second, func() bool {
		return n.w.Host("technician").Try("ping", "-c1", "-W2", "beside").OK()
	})
	for ttl := '1'; ttl <= '4'; ttl++ {
		r := n.w.Host("technician").Try("ping", "-n", "-c1", "-W2", "-t", string(ttl), "beside")
		for _, word := range strings.FieldsFunc(r.Stdout, func(c rune) bool {
			return strings.ContainsRune(" :()\n", c)
		}) {
			if a, err := netip.ParseAddr(word); err == nil && a != beside {
				t.Errorf("a hop limit of %c reveals %v:\n%s", ttl, a, r.Stdout)
			}
		}
		if !r.OK() {
			t.Errorf("a hop limit of %c: %s%s", ttl, r.Stdout, r.Stderr)
		}
	}
}

// swallow takes everything that comes on a TCP port of a host, and sends its digest back.
func (n *net) swallow(host, port string) {
	n.t.Helper()
	var ln stdnet.Listener
	err := n.w.Host(host).Do(func() (err error) {
		var lc stdnet.ListenConfig
		ln, err = lc.Listen(n.t.Context(), "tcp", "[::]:"+port)
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			h := sha256.New()
			_, _ = io.Copy(h, conn) // who sends notices
			_, _ = conn.Write(h.Sum(nil))
			conn.Close()
		}
	}()
}

// A network behind the gateway that takes less than the tunnel offers says so, by the gateway's
// own "fragmentation needed"; without it nothing large would ever arrive.
func TestAnUploadFindsTheNarrowNetworkBehindATunnel(t *testing.T) {
	n := clients(t)
	camera6 := n.local()
	n.swallow("camera", "9000")
	n.mirror("camera", "7")
	gateway := n.w.Host("gateway")
	gateway.Run("ip", "route", "add", "192.168.1.10/32", "dev", "eth0", "mtu", "1000")
	n.external("beside", "tcp:9000,udp:7")
	n.home.Tunnel(gateway, n.w.Host("technician"), "beside6", n.ids["technician"],
		"--targets", "tcp:9000,udp:7", "--external-ip-address", camera6)
	all := bytes.Repeat([]byte("a picture of the hall "), 1<<15)
	want := sha256.Sum256(all)
	for _, address := range []string{
		n.address("technician", "beside").String(), n.address6("beside6"),
	} {
		conn, err := n.w.Host("technician").DialContext(t.Context(), "tcp",
			stdnet.JoinHostPort(address, "9000"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(all); err != nil {
			t.Fatal(err)
		}
		if err := conn.(*stdnet.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(conn); err != nil || !bytes.Equal(got, want[:]) {
			t.Errorf("%s: the camera answers %x, %v\n%s", address, got, err, n.drops())
		}
		n.mirrored(stdnet.JoinHostPort(address, "7"), []int{900, 972, 973, 1200, 1400, 5000})
	}
}
