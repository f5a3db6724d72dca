// SPDX-License-Identifier: Apache-2.0

//go:build linux

package udp

import (
	"errors"
	"syscall"
	"testing"
)

func TestSocketsOfOneAddressShareItsSendersAndNobodyElseGetsAny(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		first := listen(t, addr)
		group := []*Conn{first}
		for range 2 {
			c, err := first.Beside(Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			if c.LocalAddr() != first.LocalAddr() {
				t.Fatalf("the second socket is at %v, want %v", c.LocalAddr(), first.LocalAddr())
			}
			group = append(group, c)
		}
		// Who begins as we did is another daemon.
		if _, err := Listen(first.LocalAddr(), Options{}); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("another daemon got %v, want EADDRINUSE", err)
		}
		buf, busy := make([]byte, MaxBatch), map[int]bool{}
		for range 50 {
			sender := listen(t, addr)
			const each = 4
			for range each {
				if err := sender.Write([]byte("x"), 0, first.LocalAddr()); err != nil {
					t.Fatal(err)
				}
			}
			served := 0
			for i, c := range group {
				got := 0
				for {
					n, _, from, err := c.ReadNow(buf)
					if err != nil || n > 0 && from != sender.LocalAddr() {
						t.Fatal(n, from, err)
					}
					if n == 0 {
						break
					}
					got += n
				}
				if got > 0 {
					served, busy[i] = served+got, true
				}
				if got != 0 && got != each {
					t.Errorf("socket %d has %d of %d datagrams of one sender", i, got, each)
				}
			}
			if served != each {
				t.Errorf("%d of %d datagrams arrived", served, each)
			}
			// Answers come from the address that was asked, whichever socket sends them.
			if err := group[2].Write([]byte("y"), 0, sender.LocalAddr()); err != nil {
				t.Fatal(err)
			}
			if _, from := receive(t, sender, 1); from != first.LocalAddr() {
				t.Errorf("the answer came from %v", from)
			}
			_ = sender.Close()
		}
		if len(busy) != len(group) {
			t.Errorf("%d of %d sockets had senders", len(busy), len(group))
		}
	}
}
