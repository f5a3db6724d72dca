// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"encoding/binary"
	"fmt"
	stdnet "net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"staex/test/world"
)

const (
	// slowRate is what the slow line carries in bits a second.
	slowRate = 4_000_000
	// beatEvery and beatSize are a heartbeat: what a device says of itself all the time.
	beatEvery = 20 * time.Millisecond
	beatSize  = 40
	// beats is how many of them one measurement takes.
	beats = 300
)

// lines is a relay with a cable of its own to each of three leaves: near and side are fast.
//
//	near .1.2 ── .1.1 relay .2.1 ── far  .2.2
//	                  relay .3.1 ── side .3.2
//
// in 10.0.0.0/16 or in fd00:0::/32.
func lines(t *testing.T, six bool) *net {
	t.Helper()
	w := world.New(t)
	w.NeedTUN()
	w.NeedPrograms("tc")
	n := &net{
		t: t, w: w, home: w.Found("home"), ids: map[string]string{},
		run: map[string]*world.Process{},
	}
	n.node("relay", "")
	for i, name := range []string{"near", "far", "side"} {
		here, there, parent := fmt.Sprintf("10.0.%d.1/24", i), fmt.Sprintf("10.0.%d.2/24", i),
			fmt.Sprintf("10.0.%d.1", i)
		if six {
			here, there = fmt.Sprintf("fd00:0:%d::1/64", i), fmt.Sprintf("fd00:0:%d::2/64", i)
			parent = fmt.Sprintf("[fd00:0:%d::1]", i)
		}
		w.Host("relay").Cable(name, here, w.Host(name), "eth0", there)
		n.node(name, parent)
	}
	return n
}

// slow makes a line carry slowRate from a host on, with a queue that pushes back when it is full.
func (n *net) slow(host, iface string) {
	n.t.Helper()
	n.w.Host(host).Run("tc", "qdisc", "add", "dev", iface, "root", "tbf",
		"rate", "4mbit", "burst", "10k", "latency", "400ms")
}

// to makes a tunnel from the node near to a port of a host, and says where near finds it.
func (n *net) to(host, name, target string) string {
	n.t.Helper()
	n.home.Tunnel(n.w.Host(host), n.w.Host("near"), name, n.ids["near"], "--targets", target)
	return n.address("near", name).String()
}

// flood is a TCP connection from near that is always full.
type flood struct{ got atomic.Int64 }

// flood begins to send to a TCP port of a host.
func (n *net) flood(host, name, port string) *flood {
	n.t.Helper()
	f, address := &flood{}, n.to(host, name, "tcp:"+port)
	var l stdnet.Listener
	err := n.w.Host(host).Do(func() (err error) {
		var lc stdnet.ListenConfig
		l, err = lc.Listen(n.t.Context(), "tcp4", "0.0.0.0:"+port)
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		b := make([]byte, 1<<16)
		for {
			k, err := conn.Read(b)
			if f.got.Add(int64(k)); err != nil {
				return
			}
		}
	}()
	var conn stdnet.Conn
	n.w.Until("near reaches "+name, soon, func() bool {
		conn, err = n.w.Host("near").DialContext(n.t.Context(), "tcp", address+":"+port)
		return err == nil
	})
	n.t.Cleanup(func() { conn.Close() })
	greedy(n.t, conn)
	go func() {
		b := make([]byte, 1<<16)
		for err := error(nil); err == nil; {
			_, err = conn.Write(b)
		}
	}()
	return f
}

// greedy makes a connection fill whatever queue there is, as most kernels do unasked.
func greedy(t *testing.T, conn stdnet.Conn) {
	t.Helper()
	raw, err := conn.(*stdnet.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "cubic")
	})
	if err != nil {
		t.Fatal(err)
	}
}

// heartbeat is a service that is told something small again and again.
type heartbeat struct {
	n    *net
	conn stdnet.Conn
	bulk *flood // beside which it beats

	mu   sync.Mutex // guards what follows
	late []time.Duration
	past []int64 // bytes of bulk that arrived while a beat was under way
}

// heartbeat opens a UDP port of a host and a connection of near to it.
func (n *net) heartbeat(host, name, port string) *heartbeat {
	n.t.Helper()
	h, address := &heartbeat{n: n, bulk: new(flood)}, n.to(host, name, "udp:"+port)
	var l stdnet.PacketConn
	err := n.w.Host(host).Do(func() (err error) {
		var lc stdnet.ListenConfig
		l, err = lc.ListenPacket(n.t.Context(), "udp4", "0.0.0.0:"+port)
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { l.Close() })
	go h.listen(l)
	h.conn, err = n.w.Host("near").DialContext(n.t.Context(), "udp", address+":"+port)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { h.conn.Close() })
	n.w.Until(name+" beats", soon, func() bool { h.beat(); return h.count() > 0 })
	return h
}

func (h *heartbeat) listen(l stdnet.PacketConn) {
	b := make([]byte, beatSize)
	for {
		if _, _, err := l.ReadFrom(b); err != nil {
			return
		}
		sent := time.Unix(0, int64(binary.BigEndian.Uint64(b)))
		h.mu.Lock()
		h.late = append(h.late, time.Since(sent))
		h.past = append(h.past, h.bulk.got.Load()-int64(binary.BigEndian.Uint64(b[8:])))
		h.mu.Unlock()
	}
}

func (h *heartbeat) beat() {
	h.n.t.Helper()
	b := make([]byte, beatSize)
	binary.BigEndian.PutUint64(b, uint64(time.Now().UnixNano()))
	binary.BigEndian.PutUint64(b[8:], uint64(h.bulk.got.Load()))
	if _, err := h.conn.Write(b); err != nil {
		h.n.t.Fatal(err)
	}
}

func (h *heartbeat) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.late)
}

// run beats for a while beside a bulk transfer, and tells how many of them arrived, and how much of
// the bulk typically did so while one was under way. What is under way still when the last one has
// left does not count.
func (h *heartbeat) run(what string, bulk *flood) (arrived int, past int64) {
	h.n.t.Helper()
	h.mu.Lock()
	h.bulk, h.late, h.past = bulk, nil, nil
	h.mu.Unlock()
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for range beats {
		<-tick.C
		h.beat()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	k := len(h.late)
	if k == 0 {
		h.n.t.Fatalf("%s: no beat arrived\n%s", what, h.n.drops())
	}
	slices.Sort(h.late)
	slices.Sort(h.past)
	h.n.t.Logf("%s: %d of %d beats, median %v, 95 %% within %v; %d bytes of bulk meanwhile", what,
		k, beats, h.late[k/2], h.late[k*95/100], h.past[k/2])
	return k, h.past[k/2]
}

// TestABulkTransferDoesNotStarveAHeartbeatWhereALineIsSlow fills the line of a relay to one child,
// and then that of a leaf to its relay.
func TestABulkTransferDoesNotStarveAHeartbeatWhereALineIsSlow(t *testing.T) {
	t.Parallel()
	const (
		enough = beats * 95 / 100
		// most is what a full line may deliver of the bulk while a beat is under way: a tenth of
		// what it does when they wait in one queue.
		most = 16 << 10
	)
	for _, at := range []struct {
		name, host, iface string
		six               bool
	}{
		{"from a relay to its child", "relay", "far", false},
		{"from a leaf to its relay", "near", "eth0", false},
		{"from a relay to its child over IPv6", "relay", "far", true},
	} {
		t.Run(at.name, func(t *testing.T) {
			t.Parallel()
			n := lines(t, at.six)
			h := n.heartbeat("far", "beat", "9001")
			n.slow(at.host, at.iface)
			f := n.flood("far", "bulk", "9000")
			n.w.Until("the line is full", soon, func() bool { return f.got.Load() > 1<<20 })
			begin, from := time.Now(), f.got.Load()
			arrived, past := h.run("beside a bulk transfer", f)
			rate := float64(f.got.Load()-from) * 8 / time.Since(begin).Seconds()
			t.Logf("the transfer has %.2f Mbit/s", rate/1e6)
			if arrived < enough || past > most {
				t.Errorf("%d of %d beats, and %d bytes go before one\n%s", arrived, beats, past,
					n.drops())
			}
			if rate < slowRate*7/10 {
				t.Errorf("the transfer has only %.2f Mbit/s\n%s", rate/1e6, n.drops())
			}
			if at.host == "relay" {
				n.another(f)
			}
		})
	}
}

// another fills a fast line of the relay, whose slow one is full.
func (n *net) another(slow *flood) {
	n.t.Helper()
	fast := n.flood("side", "aside", "9003")
	before := slow.got.Load()
	const share = 8 // a bulk transfer over the slow line gets no more than its rate
	n.w.Until("the fast line carries many times what the slow one does", soon, func() bool {
		return fast.got.Load() > share*(slow.got.Load()-before) && fast.got.Load() > 8<<20
	})
}
