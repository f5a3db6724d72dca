// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"math/rand/v2"
	stdnet "net"
	"sync/atomic"
	"time"
)

const (
	// pace is how often a transfer sends pieceSize bytes: 1.6 MB/s, which two busy cores carry.
	pace      = 10 * time.Millisecond
	pieceSize = 16 << 10
	// recovery is how long a transfer may need to go on after something was broken and mended:
	// TCP doubles its own patience while nothing passes.
	recovery = 60 * time.Second
)

// transfer is one TCP connection through a tunnel. Random bytes flow from the server to the
// client until it is told to end; whoever loses, doubles or changes one is found out.
type transfer struct {
	n          *net
	name       string
	got        atomic.Int64 // bytes that have arrived
	last       atomic.Int64 // when the last of them came, in nanoseconds of Unix time
	gap        atomic.Int64 // the longest time between two reads, in nanoseconds
	stop       chan struct{}
	sent, read chan digest
}

// digest is what one end saw.
type digest struct {
	bytes int64
	sum   string
	err   error
}

// transfer begins to carry bytes from a TCP port of a host to the technician, who reaches it at an
// address.
func (n *net) transfer(name, server, port, address string) *transfer {
	n.t.Helper()
	f := &transfer{
		n: n, name: name,
		stop: make(chan struct{}), sent: make(chan digest, 1), read: make(chan digest, 1),
	}
	var l stdnet.Listener
	err := n.w.Host(server).Do(func() (err error) {
		lc := stdnet.ListenConfig{KeepAlive: -1}
		l, err = lc.Listen(n.t.Context(), "tcp", ":"+port)
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { l.Close() })
	go func() { f.sent <- f.serve(l) }()
	var conn stdnet.Conn
	n.w.Until("the technician reaches "+name, soon, func() bool {
		conn, err = n.w.Host("technician").DialContext(n.t.Context(), "tcp",
			stdnet.JoinHostPort(address, port))
		return err == nil
	})
	n.t.Cleanup(func() { conn.Close() })
	// Many programs ask for no keep-alives, and a client that only reads says nothing by itself.
	if tcp, ok := conn.(*stdnet.TCPConn); !ok || tcp.SetKeepAlive(false) != nil {
		n.t.Fatal("the keep-alives of the client's kernel cannot be switched off")
	}
	go func() { f.read <- f.receive(conn) }()
	f.flows("at its beginning")
	return f
}

// serve sends until it is told to stop.
func (f *transfer) serve(l stdnet.Listener) (d digest) {
	conn, err := l.Accept()
	if err != nil {
		return digest{err: err}
	}
	defer conn.Close()
	sum, dice := sha256.New(), rand.NewChaCha8([32]byte{})
	tick := time.NewTicker(pace)
	defer tick.Stop()
	piece := make([]byte, pieceSize)
	for {
		select {
		case <-f.stop:
			return d.with(sum, nil)
		case <-tick.C:
		}
		_, _ = dice.Read(piece) // never fails
		if _, err := conn.Write(piece); err != nil {
			return d.with(sum, err)
		}
		sum.Write(piece)
		d.bytes += pieceSize
	}
}

func (d digest) with(sum hash.Hash, err error) digest {
	return digest{bytes: d.bytes, sum: hex.EncodeToString(sum.Sum(nil)), err: err}
}

// receive reads until the end of the stream.
func (f *transfer) receive(conn stdnet.Conn) (d digest) {
	sum, piece := sha256.New(), make([]byte, pieceSize)
	last := time.Now()
	for {
		n, err := conn.Read(piece)
		now := time.Now()
		f.gap.Store(max(f.gap.Load(), int64(now.Sub(last))))
		last = now
		f.last.Store(now.UnixNano())
		sum.Write(piece[:n])
		d.bytes += int64(n)
		f.got.Store(d.bytes)
		if err == io.EOF { //nolint:errorlint // a connection returns it bare
			return d.with(sum, nil)
		}
		if err != nil {
			return d.with(sum, err)
		}
	}
}

// flows waits until more arrives than can have been under way: twice the kernel's buffers.
func (f *transfer) flows(when string) {
	f.n.t.Helper()
	begin := f.got.Load()
	f.n.w.Until(f.name+" flows "+when, recovery, func() bool {
		select {
		case d := <-f.read:
			f.n.t.Fatalf("%s %s: the connection ended after %d bytes: %v\n%s", f.name, when,
				d.bytes, d.err, f.n.drops())
		default:
		}
		return f.got.Load() > begin+4*pieceSize
	})
}

// stalls waits until nothing has arrived for a second.
func (f *transfer) stalls() {
	f.n.t.Helper()
	f.n.w.Until(f.name+" stalls", recovery, func() bool {
		return time.Since(time.Unix(0, f.last.Load())) > time.Second
	})
}

// longest is the longest time between two pieces so far; the next call begins anew.
func (f *transfer) longest() time.Duration { return time.Duration(f.gap.Swap(0)) }

// finish ends the transfer: what was sent has arrived, over the one connection.
func (f *transfer) finish() {
	f.n.t.Helper()
	close(f.stop)
	sent, read := <-f.sent, <-f.read
	if sent != read {
		f.n.t.Errorf("%s: sent %+v, received %+v", f.name, sent, read)
	}
	f.n.t.Logf("%s: %d bytes over one connection", f.name, read.bytes)
}
