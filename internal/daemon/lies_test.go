// SPDX-License-Identifier: Apache-2.0

//go:build linux

package daemon_test

import (
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// inject sends a packet out of a device with an offload header of the test's choice.
func inject(t *testing.T, device string, packet []byte) {
	t.Helper()
	dev, err := net.InterfaceByName(device)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1); err != nil {
		t.Skipf("SKIPPED: this kernel takes no packets with offload headers: %v", err)
	}
	const ipv4 = 0x0008 // ETH_P_IP in network order
	to := &unix.SockaddrLinklayer{Protocol: ipv4, Ifindex: dev.Index}
	if err := unix.Sendto(fd, packet, 0, to); err != nil {
		t.Fatal(err)
	}
}

func TestADeviceWhoseHeadersLieIsAskedForSinglePackets(t *testing.T) {
	needDevices(t)
	s := newSite(t, newNetwork(t), append(alone(0), "metrics-listen = ./metrics.sock")...)
	r := s.start(t)
	lie := []byte{
		1, 0, 0, 0, 0, 0, 24, 0, 2, 0, // a checksum in the middle of nowhere
		0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 90, 0, 1, 10, 90, 0, 2,
		0, 7, 0, 7, 0, 12, 0, 0, 'l', 'i', 'e', 's',
	}
	page := monitor(s)
	// With complete checksums the same packet is none of any tunnel.
	for _, want := range []string{"bad-offload", "no-tunnel"} {
		inject(t, "test0", lie)
		until(t, "the packet is dropped as "+want, func() bool {
			return strings.Contains(page(t), `mcc_drops_total{reason="`+want+`"} 1`+"\n")
		})
	}
	if !strings.Contains(page(t), `mcc_drops_total{reason="bad-offload"} 1`+"\n") {
		t.Error("the device got a checksum wrong again")
	}
	if n := strings.Count(s.log.String(), "offload=TUNSETOFFLOAD"); n != 1 {
		t.Errorf("the log tells of it %d times, want once", n)
	}
	r.end(t)
}
