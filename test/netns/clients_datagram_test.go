// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"bytes"
	"math/rand/v2"
	stdnet "net"
	"testing"
	"time"
)

// mirror answers every datagram on a UDP port of a host with the same bytes, over IPv4 and IPv6,
// until the test ends.
func (n *net) mirror(host, port string) {
	n.t.Helper()
	var conn stdnet.PacketConn
	err := n.w.Host(host).Do(func() (err error) {
		var lc stdnet.ListenConfig
		conn, err = lc.ListenPacket(n.t.Context(), "udp", "[::]:"+port)
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { conn.Close() })
	go func() {
		b := make([]byte, 65536)
		for {
			k, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(b[:k], from) // who asks notices
		}
	}()
}

// mirrored sends random datagrams of every size and fails for those that do not come back.
func (n *net) mirrored(address string, sizes []int) {
	n.t.Helper()
	conn, err := n.w.Host("technician").DialContext(n.t.Context(), "udp", address)
	if err != nil {
		n.t.Fatal(err)
	}
	defer conn.Close()
	dice := rand.New(rand.NewPCG(1, 2))
	got := make([]byte, 65536)
	for _, size := range sizes {
		want := make([]byte, size)
		for i := range want {
			want[i] = byte(dice.Uint32())
		}
		const tries, wait = 5, 2 * time.Second
		back := false
		for try := 0; try < tries && !back; try++ {
			if _, err := conn.Write(want); err != nil {
				n.t.Fatalf("%s: %d bytes: %v", address, size, err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(wait))
			k, err := conn.Read(got)
			back = err == nil && bytes.Equal(got[:k], want)
		}
		if !back {
			n.t.Errorf("%s: %d bytes do not come back\n%s", address, size, n.drops())
			return
		}
	}
}

// allSizes are the datagrams that fit a device of 1,500 bytes, one by one.
func allSizes() []int {
	var sizes []int
	for size := 1; size <= 1400; size++ {
		sizes = append(sizes, size)
	}
	return sizes
}

func TestDatagramsOfEverySizeComeBack(t *testing.T) {
	n := clients(t)
	for _, host := range []string{"gateway", "camera"} {
		n.mirror(host, "7")
	}
	n.regular("near", "udp:7")
	n.external("beside", "udp:7")
	four, six := n.addresses("near")
	beside := n.address("technician", "beside").String()
	huge := []int{1452, 1453, 1472, 1473, 2000, 4000, 9000, 16000, 32000, 65000}
	for _, address := range []string{four, six, beside} {
		n.mirrored(stdnet.JoinHostPort(address, "7"), append(allSizes(), huge...))
	}
	n.mirrored(stdnet.JoinHostPort(four, "7"), []int{65507}) // all that IPv4 can say
	n.at("technician", "ping", "-4", "-c3", "-i0.2", "-s3000", "near")
	n.at("technician", "ping", "-6", "-c3", "-i0.2", "-s3000", "near")
}
