// SPDX-License-Identifier: Apache-2.0

//go:build linux

package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"staex/internal/daemon"
)

// listeners counts the UDP sockets of this namespace that receive at a port.
func listeners(t *testing.T, port int) int {
	t.Helper()
	const aside = "4C5D7F" // 127.93.76.0/24, whose sockets receive nothing
	text := read(t, "/proc/net/udp")
	return strings.Count(text, fmt.Sprintf(":%04X ", port)) -
		strings.Count(text, fmt.Sprintf("%s:%04X ", aside, port))
}

func TestSeveralLanesCarryManyFlowsAndOutliveTheirDevice(t *testing.T) {
	needDevices(t)
	const lanes, flows = 3, 24
	text := strings.Repeat("a page of many segments. ", 8_000)
	port := pages(t, text)
	server, client := pair(t)
	server.lanes, client.lanes = lanes, lanes
	c, s := client.start(t), server.start(t)
	for _, at := range []int{9401, 9402} {
		if n := listeners(t, at); n != lanes {
			t.Errorf("%d sockets at port %d, want %d", n, at, lanes)
		}
	}
	server.offer(t, "camera1", "tcp:"+port, client.id)
	opens := func() bool {
		got, err := fetch("127.0.0.1:8401", "camera1.home.arpa", port)
		return err == nil && got == text
	}
	many := func() {
		t.Helper()
		var all sync.WaitGroup
		for range flows {
			all.Go(func() {
				end := time.Now().Add(patience)
				for !opens() { // a busy machine takes its time
					if time.Now().After(end) {
						t.Error("a flow does not come through beside the others")
						return
					}
				}
			})
		}
		all.Wait()
	}
	until(t, "the page opens", opens)
	many()

	link, err := netlink.LinkByName("test1")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkDel(link); err != nil {
		t.Fatal(err)
	}
	until(t, "the page opens over the device that was made again", opens)
	many()
	c.end(t)
	s.end(t)
}

func TestAnotherDaemonGetsNoShareOfTheSockets(t *testing.T) {
	needDevices(t)
	n := newNetwork(t)
	first := newSite(t, n, alone(1)...)
	first.lanes = 2
	r := first.start(t)
	lines := alone(2)
	lines[0] = "listen-addr = 127.0.0.1:9401"
	second := newSite(t, n, lines...)
	err := daemon.Run(context.Background(), daemon.Options{
		Dir: second.dir, Log: &second.log,
	}.WithLanes(2))
	f, ok := errors.AsType[*daemon.Failure](err)
	if !ok || f.Exit != daemon.ExitInUse || !strings.Contains(f.Message, "listen-addr") {
		t.Errorf("the second daemon ended with %v", err)
	}
	r.end(t)
}
