// SPDX-License-Identifier: Apache-2.0

package scan_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"staex/test/world/scan"
)

func TestTheScannerTellsOpenFromClosedTCPPorts(t *testing.T) {
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	shut, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	shut.Close()

	ports := []uint16{portOf(t, open.Addr()), portOf(t, shut.Addr())}
	got, err := scan.TCP(t.Context(), &net.Dialer{}, netip.MustParseAddr("127.0.0.1"), ports,
		5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	want := []scan.Finding{{ports[0], scan.Open}, {ports[1], scan.Closed}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheScannerTellsAnsweringFromSilentAndClosedUDPPorts(t *testing.T) {
	var conns []net.PacketConn
	var ports []uint16
	for range 3 {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
		ports = append(ports, portOf(t, conn.LocalAddr()))
	}
	go func() { // the first answers, the second only listens
		b := make([]byte, 100)
		if n, from, err := conns[0].ReadFrom(b); err == nil {
			_, _ = conns[0].WriteTo(b[:n], from)
		}
	}()
	conns[2].Close()

	got, err := scan.UDP(t.Context(), &net.Dialer{}, netip.MustParseAddr("127.0.0.1"), ports,
		[]byte("knock"), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	want := []scan.Finding{{ports[0], scan.Open}, {ports[1], scan.Silent}, {ports[2], scan.Closed}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func portOf(t *testing.T, a net.Addr) uint16 {
	t.Helper()
	return netip.MustParseAddrPort(a.String()).Port()
}
