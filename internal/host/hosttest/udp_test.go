// SPDX-License-Identifier: Apache-2.0

package hosttest_test

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"

	"staex/internal/host/hosttest"
)

func TestTheUDPTwinPassesTheSuite(t *testing.T) {
	var n hosttest.Internet
	hosttest.TestUDP(t, hosttest.UDPHost{
		ReadNow: true,
		Listen:  func(a netip.AddrPort) (hosttest.UDPConn, error) { return n.Listen(a) },
	})
}

func TestTheInternetLosesWhatItIsTold(t *testing.T) {
	var n hosttest.Internet
	a, err := n.Listen(netip.MustParseAddrPort("192.0.2.1:9376"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := n.Listen(netip.MustParseAddrPort("192.0.2.2:9376"))
	if err != nil {
		t.Fatal(err)
	}
	n.SetFilter(func(from, to netip.AddrPort, d []byte) bool {
		return from == a.LocalAddr() && to == b.LocalAddr() && d[0] != 'b'
	})
	if err := a.Write([]byte("aabbcc"), 2, b.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	for _, want := range []string{"aa", "cc", ""} {
		if got, _, _, err := b.ReadNow(buf); err != nil || string(buf[:got]) != want {
			t.Errorf("received %q (%v), want %q", buf[:got], err, want)
		}
	}
	n.SetFilter(nil)
	n.SetLimit(1000)
	if err := a.Write(make([]byte, 1001), 0, b.LocalAddr()); !errors.Is(err, syscall.EMSGSIZE) {
		t.Errorf("got %v, want EMSGSIZE", err)
	}
	if err := a.Write(make([]byte, 1001), 500, b.LocalAddr()); err != nil {
		t.Error(err)
	}
}

func TestTwinsWaitInSyntheticTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n hosttest.Internet
		sock, err := n.Listen(netip.MustParseAddrPort("192.0.2.1:0"))
		if err != nil {
			t.Fatal(err)
		}
		dev := hosttest.NewTUN("staex0")
		ended := make(chan error, 2)
		go func() {
			_, _, _, err := sock.Read(make([]byte, 100))
			ended <- err
		}()
		go func() {
			_, err := dev.Read(make([]byte, 100))
			ended <- err
		}()
		synctest.Wait() // returns only if both are waiting
		if err := errors.Join(sock.Close(), dev.Close()); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := <-ended; err == nil {
				t.Error("a read of a closed twin succeeded")
			}
		}
	})
}
