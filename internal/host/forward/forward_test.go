// SPDX-License-Identifier: Apache-2.0

package forward_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"staex/internal/host/forward"
)

// patience is how long something may take on a busy machine.
const patience = 10 * time.Second

// echoTCP answers what it has read once the other side is done, so that half-closing is needed.
func echoTCP(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
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
			go func() {
				defer c.Close()
				all, _ := io.ReadAll(c)
				_, _ = c.Write(bytes.ToUpper(all))
			}()
		}
	}()
	return netip.MustParseAddrPort(l.Addr().String())
}

func echoUDP(t *testing.T) netip.AddrPort {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 2048)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = c.WriteTo(bytes.ToUpper(b[:n]), from)
		}
	}()
	return netip.MustParseAddrPort(c.LocalAddr().String())
}

// free is a port that nobody listens at.
func free(t *testing.T, network string) uint16 {
	t.Helper()
	if network == "udp" {
		c, err := net.ListenPacket(network, ":0")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return netip.MustParseAddrPort(c.LocalAddr().String()).Port()
	}
	l, err := net.Listen(network, ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String()).Port()
}

// dial opens a connection to a port of this machine that ends with the test.
func dial(t *testing.T, network string, port uint16) net.Conn {
	t.Helper()
	c, err := net.Dial(network, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

func set(t *testing.T, rules ...forward.Rule) *forward.Set {
	t.Helper()
	s := &forward.Set{}
	t.Cleanup(s.Close)
	if errs := s.Use(rules); len(errs) > 0 {
		t.Fatal(errs)
	}
	return s
}

// asked sends a text over TCP, says that it is all, and returns the answer.
func asked(t *testing.T, c net.Conn, text string) string {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(c)
	if err != nil {
		t.Error(err)
	}
	return string(all)
}

func TestAConnectionIsPassedOnWithTheEndsOfBothDirections(t *testing.T) {
	r := forward.Rule{Port: free(t, "tcp"), To: echoTCP(t)}
	set(t, r)
	long := strings.Repeat("abc", 1<<20)
	for _, text := range []string{"", "hello", long} {
		if got := asked(t, dial(t, "tcp", r.Port), text); got != strings.ToUpper(text) {
			t.Errorf("%d bytes came back as %d", len(text), len(got))
		}
	}
}

func TestDatagramsOfSeveralClientsFindTheirWayBack(t *testing.T) {
	r := forward.Rule{UDP: true, Port: free(t, "udp"), To: echoUDP(t)}
	set(t, r)
	a, b := dial(t, "udp", r.Port), dial(t, "udp", r.Port)
	for _, text := range []string{"one", "two"} {
		for name, c := range map[string]net.Conn{"a": a, "b": b} {
			if _, err := io.WriteString(c, name+text); err != nil {
				t.Fatal(err)
			}
		}
		for name, c := range map[string]net.Conn{"A": a, "B": b} {
			got := make([]byte, 100)
			n, err := c.Read(got)
			if want := name + strings.ToUpper(text); err != nil || string(got[:n]) != want {
				t.Errorf("got %q, %v, want %q", got[:n], err, want)
			}
		}
	}
}

func TestOtherRulesKeepWhatIsOpenAndEndTheRest(t *testing.T) {
	kept := forward.Rule{Port: free(t, "tcp"), To: echoTCP(t)}
	gone := forward.Rule{Port: free(t, "tcp"), To: echoTCP(t)}
	s := set(t, kept, gone)
	stays, ends := dial(t, "tcp", kept.Port), dial(t, "tcp", gone.Port)
	moved := forward.Rule{UDP: true, Port: free(t, "udp"), To: echoUDP(t)}
	if errs := s.Use([]forward.Rule{kept, moved}); len(errs) > 0 {
		t.Fatal(errs)
	}
	if got := asked(t, stays, "still here"); got != "STILL HERE" {
		t.Errorf("the connection of the rule that stays: %q", got)
	}
	if _, err := ends.Read(make([]byte, 1)); err == nil || errors.Is(err, syscall.ETIMEDOUT) {
		t.Errorf("the connection of the rule that went: %v", err)
	}
	if c, err := net.Dial("tcp", ends.RemoteAddr().String()); err == nil {
		c.Close()
		t.Error("the port of the rule that went is open")
	}
}

func TestAPortInUseIsAnErrorAndTheOtherRulesWork(t *testing.T) {
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := forward.Rule{
		Port: netip.MustParseAddrPort(l.Addr().String()).Port(), To: echoTCP(t),
	}
	good := forward.Rule{Port: free(t, "tcp"), To: echoTCP(t)}
	s := &forward.Set{}
	defer s.Close()
	errs := s.Use([]forward.Rule{taken, good})
	if len(errs) != 1 || !errors.Is(errs[0], syscall.EADDRINUSE) {
		t.Errorf("got %v", errs)
	}
	if got := asked(t, dial(t, "tcp", good.Port), "x"); got != "X" {
		t.Errorf("the other rule: %q", got)
	}
}

func TestConnectionsAreBoundedAndRoomComesBack(t *testing.T) {
	r := forward.Rule{Port: free(t, "tcp"), To: echoTCP(t)}
	set(t, r)
	var all []net.Conn
	for range forward.MaxConns {
		c := dial(t, "tcp", r.Port)
		if _, err := io.WriteString(c, "x"); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	if _, err := dial(t, "tcp", r.Port).Read(make([]byte, 1)); err == nil {
		t.Error("one more than may be is passed on")
	}
	for _, c := range all {
		if got := asked(t, c, "y"); got != "XY" {
			t.Fatalf("one of those that were admitted got %q", got)
		}
	}
	end := time.Now().Add(patience)
	for {
		c, err := net.Dial("tcp", all[0].RemoteAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(c, "again")
		_ = c.(*net.TCPConn).CloseWrite()
		got, _ := io.ReadAll(c)
		c.Close()
		if string(got) == "AGAIN" {
			return
		}
		if time.Now().After(end) {
			t.Fatal("no room came back")
		}
	}
}

func TestCloseEndsEverything(t *testing.T) {
	tcp := forward.Rule{Port: free(t, "tcp"), To: echoTCP(t)}
	udp := forward.Rule{UDP: true, Port: free(t, "udp"), To: echoUDP(t)}
	s := &forward.Set{}
	if errs := s.Use([]forward.Rule{tcp, udp}); len(errs) > 0 {
		t.Fatal(errs)
	}
	c, d := dial(t, "tcp", tcp.Port), dial(t, "udp", udp.Port)
	if _, err := io.WriteString(d, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	s.Close() // returns only when no goroutine is left
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("a connection goes on")
	}
}

func TestARuleWithAnAddressListensThereAlone(t *testing.T) {
	at := netip.MustParseAddr("127.0.0.2")
	tcp := forward.Rule{At: at, Port: free(t, "tcp"), To: echoTCP(t)}
	udp := forward.Rule{UDP: true, At: at, Port: free(t, "udp"), To: echoUDP(t)}
	s := set(t, tcp, udp)
	other := udp
	other.At = netip.MustParseAddr("127.0.0.1")
	if !s.Holds(tcp) || !s.Holds(udp) || s.Holds(other) {
		t.Error("the rules in force are not those that were given")
	}
	c, err := net.Dial("tcp", netip.AddrPortFrom(at, tcp.Port).String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := asked(t, c, "there"); got != "THERE" {
		t.Errorf("at its address: %q", got)
	}
	if c, err := net.Dial("tcp", netip.AddrPortFrom(other.At, tcp.Port).String()); err == nil {
		c.Close()
		t.Error("another address of this machine answers, too")
	}
}
