// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"testing"
)

// TUNDevice is what the suite asks of a TUN device.
type TUNDevice interface {
	Name() string
	Read(b []byte) (int, error)
	ReadNow(b []byte) (int, error)
	Write(b []byte) error
	Close() error
}

// TUNHost is a device under test with the host behind it: a UDP socket at Here that speaks with
// There, an address whose packets go into the device.
type TUNHost struct {
	Device      TUNDevice
	Here, There netip.AddrPort
	Emit        func(payload []byte) // one datagram from Here to There
	Absorb      func() []byte        // the payload of the next datagram from There to Here
	OnlyWaits   bool                 // this device reads only by waiting; ReadNow gives nothing
}

// TestTUN is the suite that the device and its twin both pass. open makes a fresh device.
func TestTUN(t *testing.T, open func(t *testing.T) TUNHost) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, h TUNHost)
	}{
		{"it has a name", func(t *testing.T, h TUNHost) {
			if h.Device.Name() == "" {
				t.Error("the device has no name")
			}
		}},
		{"a packet of the host comes out behind its header", tunReads},
		{"packets come out in order", tunKeepsOrder},
		{"a written packet reaches the host", tunWrites},
		{"a read that may not wait does not", tunReadsNow},
		{"closing ends a waiting read and every later call", tunCloses},
		{"nonsense is refused", tunRefuses},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

const tunBuffer = tunHeader + 65535

func tunReads(t *testing.T, h TUNHost) {
	h.Emit([]byte("out"))
	buf := make([]byte, tunBuffer)
	n, err := h.Device.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	checkDatagram(t, buf[:n], h.Here, h.There, "out")
}

func tunKeepsOrder(t *testing.T, h TUNHost) {
	h.Emit([]byte("one"))
	h.Emit([]byte("two"))
	buf := make([]byte, tunBuffer)
	for _, want := range []string{"one", "two"} {
		n, err := h.Device.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		checkDatagram(t, buf[:n], h.Here, h.There, want)
	}
}

func tunWrites(t *testing.T, h TUNHost) {
	for _, payload := range []string{"in", "and again"} {
		if err := h.Device.Write(Datagram(h.There, h.Here, []byte(payload))); err != nil {
			t.Fatal(err)
		}
		if got := h.Absorb(); string(got) != payload {
			t.Errorf("the host received %q, want %q", got, payload)
		}
	}
}

func tunReadsNow(t *testing.T, h TUNHost) {
	buf := make([]byte, tunBuffer)
	if n, err := h.Device.ReadNow(buf); n != 0 || err != nil {
		t.Fatalf("an idle device gave %d bytes and %v", n, err)
	}
	h.Emit([]byte("now"))
	n, err := h.Device.ReadNow(buf)
	if h.OnlyWaits && n == 0 && err == nil {
		n, err = h.Device.Read(buf)
	}
	if err != nil {
		t.Fatal(err)
	}
	checkDatagram(t, buf[:n], h.Here, h.There, "now")
}

func tunCloses(t *testing.T, h TUNHost) {
	ended := make(chan error)
	go func() {
		_, err := h.Device.Read(make([]byte, tunBuffer))
		ended <- err
	}()
	if err := h.Device.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("the waiting read got %v, want os.ErrClosed", err)
	}
	if _, err := h.Device.ReadNow(make([]byte, 100)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a read afterwards got %v, want os.ErrClosed", err)
	}
	err := h.Device.Write(Datagram(h.There, h.Here, []byte("x")))
	if !errors.Is(err, os.ErrClosed) {
		t.Errorf("a write afterwards got %v, want os.ErrClosed", err)
	}
	if err := h.Device.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a second close got %v, want os.ErrClosed", err)
	}
}

func tunRefuses(t *testing.T, h TUNHost) {
	for _, b := range [][]byte{nil, make([]byte, tunHeader), make([]byte, tunHeader+40)} {
		if h.Device.Write(b) == nil {
			t.Errorf("%d bytes of nothing were accepted", len(b))
		}
	}
}

func checkDatagram(t *testing.T, b []byte, from, to netip.AddrPort, payload string) {
	t.Helper()
	src, dst, got, ok := ParseDatagram(b)
	if !ok || src != from || dst != to || string(got) != payload {
		t.Errorf("got %q from %v to %v (valid: %v), want %q from %v to %v",
			got, src, dst, ok, payload, from, to)
	}
}

// Datagram builds an IPv4 UDP packet behind an empty offload header. The UDP checksum is 0, which
// means none (RFC 768).
func Datagram(from, to netip.AddrPort, payload []byte) []byte {
	b := make([]byte, tunHeader+28, tunHeader+28+len(payload))
	p := b[tunHeader:]
	p[0], p[8], p[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(p[2:], uint16(28+len(payload)))
	copy(p[12:], from.Addr().AsSlice())
	copy(p[16:], to.Addr().AsSlice())
	binary.BigEndian.PutUint16(p[10:], ^sum(p[:20]))
	binary.BigEndian.PutUint16(p[20:], from.Port())
	binary.BigEndian.PutUint16(p[22:], to.Port())
	binary.BigEndian.PutUint16(p[24:], uint16(8+len(payload)))
	return append(b, payload...)
}

// ParseDatagram is the inverse of [Datagram]; it ignores the UDP checksum, which a host with
// offloads leaves unfinished.
func ParseDatagram(b []byte) (from, to netip.AddrPort, payload []byte, ok bool) {
	if len(b) < tunHeader+28 {
		return from, to, nil, false
	}
	p := b[tunHeader:]
	ok = p[0] == 0x45 && p[9] == 17 && sum(p[:20]) == 0xffff &&
		int(binary.BigEndian.Uint16(p[2:])) == len(p)
	src, dst := netip.AddrFrom4([4]byte(p[12:16])), netip.AddrFrom4([4]byte(p[16:20]))
	from = netip.AddrPortFrom(src, binary.BigEndian.Uint16(p[20:]))
	to = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(p[22:]))
	return from, to, bytes.Clone(p[28:]), ok
}

// sum is the Internet checksum (RFC 1071) before the final complement.
func sum(b []byte) uint16 {
	var s uint32
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
