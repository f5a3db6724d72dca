// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"encoding/binary"
	stdnet "net"
	"testing"
	"time"

	"staex/test/world"
)

// etherHeader is what a capture shows in front of the IP packet.
const etherHeader = 14

// echo answers every datagram on a UDP port of a host with the same bytes, until the test ends.
func (n *net) echo(host, port string) {
	n.t.Helper()
	var conn stdnet.PacketConn
	err := n.w.Host(host).Do(func() (err error) {
		var lc stdnet.ListenConfig
		conn, err = lc.ListenPacket(n.t.Context(), "udp4", "0.0.0.0:"+port)
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { conn.Close() })
	go func() {
		b := make([]byte, 2048)
		for {
			k, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			if _, err := conn.WriteTo(b[:k], from); err != nil {
				return
			}
		}
	}()
}

// ask sends datagrams of a size over one connection until that many were answered.
func (n *net) ask(conn stdnet.Conn, size, times int) {
	n.t.Helper()
	b := make([]byte, size)
	for answered, tries := 0, 0; answered < times; tries++ {
		if tries > times+20 {
			n.t.Fatal("the service does not answer")
		}
		if _, err := conn.Write(b); err != nil {
			n.t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
		if _, err := conn.Read(b); err == nil {
			answered++
		}
	}
}

// sizes are the IP lengths of the frames in a capture that carry UDP to or from port 9376.
func sizes(pcap []byte) []int {
	var list []int
	for _, f := range world.Frames(pcap) {
		const ipv4, protocol, udp, least = 12, 23, 17, etherHeader + 28
		if len(f) < least || f[ipv4] != 8 || f[protocol] != udp {
			continue
		}
		list = append(list, int(f[etherHeader+2])<<8|int(f[etherHeader+3]))
	}
	return list
}

func TestTenBytesCostSixtyTwoOnEveryLink(t *testing.T) {
	n := story(t)
	n.home.Tunnel(n.w.Host("gateway"), n.w.Host("technician"), "meter", n.ids["technician"],
		"--targets", "udp:161")
	n.echo("gateway", "161")
	meter := n.address("technician", "meter")
	conn, err := n.w.Host("technician").DialContext(t.Context(), "udp", meter.String()+":161")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	n.ask(conn, 10, 40) // a young session sends its whole counter
	const questions = 20
	near, far := n.w.Host("technician").Capture("eth0"), n.w.Host("gateway").Capture("eth0")
	n.ask(conn, 10, questions)
	for name, c := range map[string]*world.Capture{"technician": near, "gateway": far} {
		data := 0
		for _, size := range sizes(c.Stop()) {
			if size <= 62 {
				data++
			}
		}
		if data < 2*questions {
			t.Errorf("on the link of the %s only %d of %d datagrams cost 62 bytes or less",
				name, data, 2*questions)
		}
	}
}

func TestWhatLeavesHasTheServiceClassOfTheConfiguration(t *testing.T) {
	t.Parallel()
	for family, parent := range map[string]string{"IPv4": "203.0.113.1", "IPv6": "2001:db8::1"} {
		t.Run(family, func(t *testing.T) {
			t.Parallel()
			n := empty(t)
			for host, last := range map[string]string{"public": "1", "gateway": "2"} {
				h := n.w.Host(host)
				h.Join("inet", "eth0", "203.0.113."+last+"/24")
				h.Run("ip", "address", "add", "2001:db8::"+last+"/64", "dev", "eth0", "nodad")
			}
			n.node("public", "")
			seen := n.w.Host("gateway").Capture("eth0")
			n.node("gateway", parent, "dscp = 46")
			classes := map[byte]int{}
			for _, f := range world.Frames(seen.Stop()) {
				const port = 9376
				ip := f[etherHeader:]
				switch {
				case ip[0]>>4 == 4 && ip[9] == 17 && binary.BigEndian.Uint16(ip[22:]) == port &&
					ip[15] == 2:
					classes[ip[1]]++
				case ip[0]>>4 == 6 && ip[6] == 17 && binary.BigEndian.Uint16(ip[42:]) == port &&
					ip[23] == 2:
					classes[ip[0]<<4|ip[1]>>4]++
				}
			}
			if len(classes) != 1 || classes[46<<2] == 0 {
				t.Errorf("datagrams by their traffic class: %v, want %d alone", classes, 46<<2)
			}
		})
	}
}

func TestAnIdleDaemonFitsTenMebibytes(t *testing.T) {
	n := story(t)
	n.camera("gateway", "camera1")
	n.opens("http://camera1/", world.Marker1, 10*time.Second)
	const limit = 10 << 20
	for _, name := range []string{"public", "gateway", "technician"} {
		p := n.run[name]
		n.w.Until("the idle mccd of "+name+" fits", time.Minute, func() bool {
			rss := p.Resident()
			return rss != 0 && rss <= limit
		})
		t.Logf("mccd of %s holds %d bytes", name, p.Resident())
	}
}
