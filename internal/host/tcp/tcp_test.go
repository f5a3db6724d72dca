// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tcp_test

import (
	"encoding/hex"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"

	"staex/internal/host/tcp"
)

// pair is a connection of this process with itself, over a family.
func pair(t *testing.T, network, address string) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	defer l.Close()
	if near, err = net.Dial(network, l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	return near, far
}

func TestLivingConnectionsAreFoundByTheirOtherEnd(t *testing.T) {
	for network, c := range map[string]struct{ address, within, without string }{
		"tcp4": {"127.0.0.1:0", "127.0.0.0/8", "10.0.0.0/8"},
		"tcp6": {"[::1]:0", "::1/128", "200::/7"},
	} {
		near, far := pair(t, network, c.address)
		want := tcp.Conn{
			Local:  netip.MustParseAddrPort(near.LocalAddr().String()),
			Remote: netip.MustParseAddrPort(near.RemoteAddr().String()),
		}
		found := func(within string) bool {
			t.Helper()
			all, err := tcp.Connections([]netip.Prefix{netip.MustParsePrefix(within)})
			if err != nil {
				t.Fatal(err)
			}
			return slices.Contains(all, want)
		}
		if !found(c.within) {
			t.Errorf("%v is not found", want)
		}
		if found(c.without) {
			t.Errorf("%v is found in %s", want, c.without)
		}
		// The other end has said its last word: nothing has to be kept alive for it.
		far.Close()
		if _, err := io.ReadAll(near); err != nil {
			t.Fatal(err)
		}
		near.Close()
		if found(c.within) {
			t.Errorf("%v is found although it is closed", want)
		}
	}
}

func TestAReminderIsASegmentThatKernelsAnswer(t *testing.T) {
	for want, c := range map[string]tcp.Conn{
		"4500002800000000400666280a5300020a530001" + "1f909c40000000000000000050100000df5b0000": {
			Local:  netip.MustParseAddrPort("10.83.0.1:40000"),
			Remote: netip.MustParseAddrPort("10.83.0.2:8080"),
		},
		"6000000000140640" + "fd000000000000000000000000000002" +
			"fd000000000000000000000000000001" + "1f909c40000000000000000050100000" + "f9ff0000": {
			Local:  netip.MustParseAddrPort("[fd00::1]:40000"),
			Remote: netip.MustParseAddrPort("[fd00::2]:8080"),
		},
	} {
		if got := hex.EncodeToString(c.Reminder()); got != want {
			t.Errorf("%v:\n got %s\nwant %s", c, got, want)
		}
	}
}
