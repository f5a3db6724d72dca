// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	stdnet "net"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"staex/test/world"
)

// acknowledged reports whether the other end's TCP has confirmed all that was written.
func (n *net) acknowledged(conn stdnet.Conn) bool {
	n.t.Helper()
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		n.t.Fatal(err)
	}
	var info *unix.TCPInfo
	var failed error
	err = raw.Control(func(fd uintptr) {
		info, failed = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	})
	if err != nil || failed != nil {
		n.t.Fatal(err, failed)
	}
	return info.Unacked == 0 && info.Notsent_bytes == 0
}

// dataSizes are the IPv4 lengths of the data frames in a capture.
func dataSizes(pcap []byte) (list []int) {
	for _, f := range world.Frames(pcap) {
		const ipv4, protocol, payload = 12, 23, etherHeader + 28
		if len(f) <= payload || f[ipv4] != 8 || f[protocol] != 17 || f[payload]>>4 != 1 {
			continue
		}
		list = append(list, int(f[etherHeader+2])<<8|int(f[etherHeader+3]))
	}
	return list
}

// TestAnMQTTPublishAndItsAcknowledgementCostAtMost140Bytes sends messages of 20 bytes to a real
// broker and weighs what passes the link of the relay.
func TestAnMQTTPublishAndItsAcknowledgementCostAtMost140Bytes(t *testing.T) {
	n := clients(t, "mosquitto", "mosquitto_sub")
	const warm, messages = 60, 40
	n.w.Host("gateway").WriteFile("/etc/mosquitto.conf",
		"listener 1883\nallow_anonymous true\nuser root\nqueue_qos0_messages true\n")
	n.serves(n.w.Host("gateway").Start("mosquitto", "-c", "/etc/mosquitto.conf"),
		"gateway", "1883")
	sub := []string{"mosquitto_sub", "-h", "127.0.0.1", "-i", "reader", "-c", "-t", "meter/1"}
	n.at("gateway", append(sub, "-q", "1", "-E")...) // the broker keeps messages for it from now on
	n.regular("broker", "tcp:1883")
	addr := n.address("technician", "broker").String() + ":1883"
	conn, err := n.w.Host("technician").DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// CONNECT of MQTT 3.1.1 with a clean session, no keep-alive, client "m"; then CONNACK.
	if _, err := conn.Write([]byte("\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01m")); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	publish := []byte("\x30\x12\x00\x07meter/1-23.4 \xc2\xb0C") // 20 bytes, of which 9 the message
	if len(publish) != 20 {
		t.Fatalf("the message has %d bytes", len(publish))
	}
	say := func(times int) {
		for range times {
			if _, err := conn.Write(publish); err != nil {
				t.Fatal(err)
			}
			n.w.Until("the broker's TCP confirms", soon, func() bool {
				return n.acknowledged(conn)
			})
		}
	}
	say(warm) // a young session sends its whole counter
	link := n.w.Host("public").Capture("eth0")
	say(messages)
	total, frames := 0, 0
	for _, size := range dataSizes(link.Stop()) {
		total, frames = total+size, frames+1
	}
	got := n.at("gateway", append(sub, "-q", "1", "-C", strconv.Itoa(warm+messages))...)
	if strings.Count(got, "23.4 °C") != warm+messages {
		t.Errorf("the broker has %q", got)
	}
	const crossings = 2 // each frame comes to the relay and leaves it
	each := float64(total) / messages / crossings
	t.Logf("%d data frames, %.1f bytes a publish and its acknowledgement", frames, each)
	if frames < messages*crossings*2 || each > 140 {
		t.Errorf("%d data frames; a publish and its acknowledgement cost %.1f bytes", frames, each)
	}
}

// TestLossCostsALongTransferNoFrameButTheLostOnes fetches a big file through a line that loses,
// over either family: the file is whole, and no header referred to one that had been lost.
func TestLossCostsALongTransferNoFrameButTheLostOnes(t *testing.T) {
	n := clients(t, "curl")
	for _, router := range []string{"homenat", "officenat"} {
		n.w.Host(router).Rules(lossy)
	}
	n.web("gateway", "8000")
	n.regular("files", "tcp:8000")
	want := n.file("gateway", "/run/files/big", bulk)
	for _, family := range []string{"-4", "-6"} {
		n.fetches(family, "technician", "http://files:8000/big", want)
	}
	for name := range n.run {
		if text := n.at(name, "mcc", "status"); strings.Contains(text, "no-reference") {
			t.Errorf("%s dropped frames for their headers:\n%s", name, text)
		}
	}
}
