// SPDX-License-Identifier: Apache-2.0

package dnsmasq_test

import (
	"net/netip"
	"testing"

	"staex/internal/host/dnsmasq"
)

func TestTheFileHasTheLinesOfTheManual(t *testing.T) {
	c := dnsmasq.Config{
		Server: netip.MustParseAddrPort("127.0.0.1:8353"), Domain: ".home.arpa",
		Ranges: []netip.Prefix{
			netip.MustParsePrefix("10.83.0.0/16"), netip.MustParsePrefix("200::/7"),
		},
	}
	want := `# Made by mccd: names of the network are asked for at its DNS server.
server=/home.arpa/127.0.0.1#8353
server=//127.0.0.1#8353
server=/83.10.in-addr.arpa/127.0.0.1#8353
server=/2.0.ip6.arpa/127.0.0.1#8353
server=/3.0.ip6.arpa/127.0.0.1#8353
rebind-domain-ok=/home.arpa/
`
	if got := c.Text(); got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestAServerOnEveryAddressIsAskedOnThisMachine(t *testing.T) {
	for server, want := range map[string]string{
		"0.0.0.0:53": "127.0.0.1#53", "[::]:8353": "::1#8353", "[fd00::1]:53": "fd00::1#53",
		"192.168.1.1:53": "192.168.1.1#53",
	} {
		c := dnsmasq.Config{
			Server: netip.MustParseAddrPort(server), Domain: "staex",
			Ranges: []netip.Prefix{netip.MustParsePrefix("10.80.0.0/15")},
		}
		text := "# Made by mccd: names of the network are asked for at its DNS server.\n" +
			"server=/staex/" + want + "\nserver=//" + want + "\n" +
			"server=/80.10.in-addr.arpa/" + want + "\nserver=/81.10.in-addr.arpa/" + want + "\n" +
			"rebind-domain-ok=/staex/\n"
		if got := c.Text(); got != text {
			t.Errorf("%s: got\n%s", server, got)
		}
	}
}
