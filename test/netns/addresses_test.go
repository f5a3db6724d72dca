// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"testing"

	"staex/test/world"
)

func TestAParentIsReachedAtEachOfItsAddresses(t *testing.T) {
	t.Parallel()
	n := empty(t)
	public := n.w.Host("public")
	public.Join("inet", "eth0", "203.0.113.1/24")
	for _, more := range []string{
		"203.0.113.101/24", "2001:db8::1/64", "2001:db8::101/64", "2001:db8::102/64",
	} {
		public.Run("ip", "address", "add", more, "dev", "eth0", "nodad")
	}
	n.node("public", "")
	for i, parent := range []string{
		"203.0.113.1", "203.0.113.101", "2001:db8::1", "2001:db8::101", "2001:db8::102",
	} {
		name, last := "leaf"+string(rune('a'+i)), string(rune('2'+i))
		h := n.w.Host(name)
		h.Join("inet", "eth0", "203.0.113."+last+"/24")
		h.Run("ip", "address", "add", "2001:db8::"+last+"/64", "dev", "eth0", "nodad")
		n.node(name, parent)
	}
	n.echo("leafa", "161")
	n.home.Tunnel(n.w.Host("leafa"), n.w.Host("leafb"), "meter", n.ids["leafb"],
		"--targets", "udp:161")
	conn, err := n.w.Host("leafb").DialContext(t.Context(), "udp",
		n.address("leafb", "meter").String()+":161")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	seen := n.w.Host("leafb").Capture("eth0")
	n.ask(conn, 10, 20)
	sources := map[byte]int{}
	for _, f := range world.Frames(seen.Stop()) {
		const own = 3 // the last byte of leafb's address
		if ip := f[etherHeader:]; ip[0]>>4 == 4 && ip[9] == 17 && ip[15] != own {
			sources[ip[15]]++
		}
	}
	if len(sources) != 1 || sources[101] == 0 {
		t.Errorf("datagrams by the last byte of their source: %v, want 101 alone", sources)
	}
}
