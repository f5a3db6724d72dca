// SPDX-License-Identifier: Apache-2.0

//go:build linux

package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"os"
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

func TestLanesThatWereLostComeBackWithTheDevice(t *testing.T) {
	needDevices(t)
	const lanes = 3
	s := newSite(t, newNetwork(t), alone(1)...)
	s.lanes = lanes
	r := s.start(t)
	if n := queues(t, "test1"); n != lanes {
		t.Skipf("SKIPPED: this kernel gives %d queues; needs Linux 3.8", n)
	}
	admins := &netlink.Tuntap{
		LinkAttrs: netlink.LinkAttrs{Name: "test1"}, Mode: netlink.TUNTAP_MODE_TUN,
		Flags: netlink.TUNTAP_DEFAULTS | netlink.TUNTAP_NO_PI | netlink.TUNTAP_VNET_HDR,
	}
	until(t, "somebody else was faster to make the device", func() bool {
		removeDevice(t, "test1")
		return netlink.LinkAdd(admins) == nil
	})
	until(t, "its only queue is used", func() bool { return queues(t, "test1") == 1 })
	removeDevice(t, "test1")
	until(t, "all queues are back", func() bool { return queues(t, "test1") == lanes })
	r.end(t)
}

// removeDevice deletes a device, if it is there.
func removeDevice(t *testing.T, name string) {
	t.Helper()
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil {
		t.Log(err)
	}
}

// queues counts the open files that are queues of a device.
func queues(t *testing.T, name string) (n int) {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fdinfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, _ := os.ReadFile("/proc/self/fdinfo/" + f.Name()) // may be closed by now
		if strings.Contains(string(text), "iff:\t"+name+"\n") {
			n++
		}
	}
	return n
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
