// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nft_test

import (
	"net"
	"testing"
	"time"

	"staex/internal/host/nft"
)

// A stream that stands must not be torn down because another target came or went, and not even
// because its own was taken back for a while: whoever gives it back expects it to go on.
func TestAStreamOutlivesEveryChangeOfTheTargets(t *testing.T) {
	w := newWorld(t)
	own, other := target(6, 8000), target(6, 8001)
	w.set(t, own)
	var ln net.Listener
	w.lan.Do(t, func() {
		var err error
		if ln, err = net.Listen("tcp4", lanIP+":8000"); err != nil {
			t.Fatal(err)
		}
	})
	defer ln.Close()
	var client net.Conn
	w.client.Do(t, func() {
		var err error
		if client, err = net.DialTimeout("tcp4", lanIP+":8000", patience); err != nil {
			t.Fatal(err)
		}
	})
	defer client.Close()
	device, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	for _, c := range []net.Conn{client, device} {
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
	}
	arrives := func(when string) {
		t.Helper()
		if _, err := device.Write([]byte("x")); err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if _, err := client.Read(make([]byte, 1)); err != nil {
			t.Fatalf("%s: %v", when, err)
		}
	}
	arrives("at first")
	for _, step := range []struct {
		when string
		all  []nft.External
	}{
		{"beside another target", []nft.External{own, other}},
		{"after the other went", []nft.External{own}},
	} {
		w.set(t, step.all...)
		arrives(step.when)
	}
	w.set(t)
	if _, err := device.Write([]byte("y")); err != nil {
		t.Fatal(err)
	}
	w.settle(t, w.lan, lanIP)
	w.set(t, own)
	if _, err := client.Read(make([]byte, 1)); err != nil {
		t.Fatalf("after its target was taken back and given again: %v", err)
	}
	arrives("at last")

	// A program that was killed finds its table again when it starts, and knows its targets a
	// moment later.
	w.gateway.Do(t, func() {
		if w.nat, err = nft.Open("staex"); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := device.Write([]byte("z")); err != nil {
		t.Fatal(err)
	}
	w.settle(t, w.lan, lanIP)
	w.set(t, own)
	if _, err := client.Read(make([]byte, 1)); err != nil {
		t.Fatalf("after a restart: %v", err)
	}
}
