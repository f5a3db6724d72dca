// SPDX-License-Identifier: Apache-2.0

//go:build linux

package udp

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWithoutSegmentationTheSameDatagramsArrive(t *testing.T) {
	for name, turnOff := range map[string]func(c *Conn){
		"kernel without UDP_SEGMENT": func(c *Conn) { c.gso = false },
		"device that refused":        func(c *Conn) { c.pause = 2 },
	} {
		t.Run(name, func(t *testing.T) {
			a, b := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
			turnOff(a)
			sent := bytes.Repeat([]byte("01234567"), 312)
			if err := a.Write(sent, 1000, b.LocalAddr()); err != nil {
				t.Fatal(err)
			}
			got, _ := receive(t, b, 3)
			if !slices.EqualFunc(got, slices.Collect(slices.Chunk(sent, 1000)), bytes.Equal) {
				t.Errorf("%d datagrams differ from those sent", len(got))
			}
			if a.pause > 1 {
				t.Error("the pause does not end")
			}
		})
	}
}

func TestASocketKnowsThatMoreArrivesThanIsRead(t *testing.T) {
	a := listen(t, "127.0.0.1:0")
	looks := 0
	k := kernel{(*message).sendmsg, func(m *message, fd uintptr) {
		if looks++; looks > 1 {
			m.recvmsg(fd)
			return
		}
		m.n, m.errno = 0, unix.EAGAIN // nothing is there, and then something comes
		to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), portOf(t, fd))
		for range 2 {
			if err := a.Write([]byte("at last"), 0, to); err != nil {
				t.Error(err)
			}
		}
	}}
	b, err := listenOn(k, netip.MustParseAddrPort("127.0.0.1:0"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	looks = 0 // the socket tried the kernel already
	buf := make([]byte, MaxBatch)
	for i, behind := range []bool{false, true} {
		if _, _, _, err := b.Read(buf); err != nil || b.Behind() != behind {
			t.Errorf("read %d: behind is %v, error %v", i, b.Behind(), err)
		}
	}
}

func portOf(t *testing.T, fd uintptr) uint16 {
	sa, err := unix.Getsockname(int(fd))
	if err != nil {
		t.Error(err)
	}
	at, _ := addrPort(sa)
	return at.Port()
}

func TestTheSocketForbidsFragmentsAndAcceptsRuns(t *testing.T) {
	c := listen(t, "127.0.0.1:0")
	for _, o := range []struct {
		name             string
		level, opt, want int
	}{
		{"IP_MTU_DISCOVER", unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE},
		{"UDP_GRO", unix.IPPROTO_UDP, unix.UDP_GRO, 1},
	} {
		got, err := unix.GetsockoptInt(c.socket.fd, o.level, o.opt)
		if err != nil || got != o.want {
			t.Errorf("%s is %d (%v), want %d", o.name, got, err, o.want)
		}
	}
}

func TestWhoAskedOneAddressIsAnsweredFromIt(t *testing.T) {
	server, client := listen(t, "0.0.0.0:0"), listen(t, "127.0.0.1:0")
	ask := func(at string) netip.AddrPort {
		to := netip.AddrPortFrom(netip.MustParseAddr(at), server.LocalAddr().Port())
		if err := client.Write([]byte("?"), 0, to); err != nil {
			t.Fatal(err)
		}
		_, peer := receive(t, server, 1)
		server.AnswerHere(peer)
		run := bytes.Repeat([]byte("!"), 2500) // with the size of its segments beside the source
		if err := server.Write(run, 1000, peer); err != nil {
			t.Fatal(err)
		}
		_, from := receive(t, client, 3)
		return from
	}
	for _, at := range []string{"127.0.0.7", "127.0.0.8", "127.0.0.1"} {
		if from := ask(at); from.Addr().String() != at {
			t.Errorf("who asks %s is answered from %v", at, from)
		}
	}
	if server.pins.used.Load() {
		t.Error("what the machine chooses by itself is remembered")
	}
}

func TestASourceThatIsGoneIsForgotten(t *testing.T) {
	server, client := listen(t, "0.0.0.0:0"), listen(t, "127.0.0.1:0")
	server.pins.put(client.LocalAddr(), netip.MustParseAddr("192.0.2.7")) // not ours
	if err := server.Write([]byte("!"), 0, client.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	if _, from := receive(t, client, 1); from.Addr().String() != "127.0.0.1" {
		t.Errorf("answered from %v", from)
	}
	if server.pins.used.Load() {
		t.Error("it is still remembered")
	}
}
