// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tun_test

import (
	"bytes"
	"net"
	"testing"

	wgtun "golang.zx2c4.com/wireguard/tun"

	"staex/internal/host/hosttest"
	"staex/internal/host/tun"
)

// openPlain makes the device that other systems have, by way of wireguard's driver for Linux.
func openPlain(t *testing.T) (*tun.Plain, *net.UDPConn) {
	t.Helper()
	var dev *tun.Plain
	sock := listen(t, func() string {
		driver, err := wgtun.CreateTUN("plain%d", 1400)
		if err != nil {
			t.Fatal(err)
		}
		if dev, err = tun.NewPlain(driver); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = dev.Close() })
		return dev.Name()
	})
	return dev, sock
}

func TestAPlainDeviceBehavesLikeTheTwin(t *testing.T) {
	hosttest.TestTUN(t, func(t *testing.T) hosttest.TUNHost {
		dev, sock := openPlain(t)
		h := behind(t, dev, sock)
		h.OnlyWaits = true
		return h
	})
}

func TestAHostWithAPlainDeviceReceivesWhatASuperPacketStandsFor(t *testing.T) {
	dev, sock := openPlain(t)
	b := super{from: there, to: here, udp: true, payload: 1700, size: 500}.packet()
	if err := dev.Write(b); err != nil {
		t.Fatal(err)
	}
	sent := b[len(b)-1700:]
	for len(sent) > 0 {
		want := sent[:min(500, len(sent))]
		sent = sent[len(want):]
		got := make([]byte, 2000)
		n, err := sock.Read(got)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got[:n], want) {
			t.Errorf("the host received % x, want % x", got[:n], want)
		}
	}
}
