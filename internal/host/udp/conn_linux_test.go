// SPDX-License-Identifier: Apache-2.0

//go:build linux

package udp

import (
	"bytes"
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
