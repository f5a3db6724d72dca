// SPDX-License-Identifier: Apache-2.0

//go:build linux

package peer

import (
	"fmt"
	"strings"

	"staex/test/world"
)

// nebula is Nebula as its example configuration has it. The hub is lighthouse and, with a node in
// between, relay; what its relays carry stays encrypted from end to end.
func nebula() Peer {
	return Peer{
		Name: "nebula", relaysMax: 1, program: "bench/nebula",
		About: "example configuration (MTU 1300, AES-GCM, punchy on); a relay cannot read",
		start: func(c *chain) { startNebula(c, "", "") },
	}
}

// nebulaOffload is the same with the offloads of 1.12, which are off unless asked for.
func nebulaOffload() Peer {
	return Peer{
		Name: "nebula-offload", relaysMax: 1, program: "bench/nebula",
		About: "the same with tun.use_offloads and listen.udp_offloads",
		start: func(c *chain) {
			version := c.hosts[0].Run(world.Program("bench/nebula"), "-version")
			for _, old := range []string{" 1.10.", " 1.11.", " 1.9."} {
				if strings.Contains(version, old) {
					panic(failure("offloads came with 1.12, here is" +
						strings.TrimPrefix(strings.TrimSpace(version), "Version:")))
				}
			}
			startNebula(c, ", udp_offloads: true", ", use_offloads: true")
		},
	}
}

const nebulaConf = `pki: {ca: /etc/nebula/ca.crt, cert: /etc/nebula/h.crt, key: /etc/nebula/h.key}
static_host_map: {%s}
lighthouse: {am_lighthouse: %v, interval: 60, hosts: [%s]}
listen: {host: 0.0.0.0, port: 4242%s}
punchy: {punch: true}
relay: {am_relay: %v, use_relays: true, relays: [%s]}
tun: {disabled: false, dev: neb0, drop_local_broadcast: false, drop_multicast: false,
  tx_queue: 500, mtu: 1300%s}
logging: {level: warning, format: text}
firewall:
  outbound_action: drop
  inbound_action: drop
  conntrack: {tcp_timeout: 12m, udp_timeout: 3m, default_timeout: 10m}
  outbound: [{port: any, proto: any, host: any}]
  inbound: [{port: any, proto: any, host: any}]
`

func startNebula(c *chain, listen, tun string) {
	n := len(c.hosts)
	hub := n / 2 // the last of two, the one in between of three
	office, cert := c.hosts[hub], world.Program("bench/nebula-cert")
	office.WriteFile("/etc/nebula/made", "")
	office.Run(cert, "ca", "-name", "bench", "-out-crt", "/etc/nebula/ca.crt",
		"-out-key", "/etc/nebula/ca.key")
	for i, h := range c.hosts {
		office.Run(cert, "sign", "-ca-crt", "/etc/nebula/ca.crt", "-ca-key", "/etc/nebula/ca.key",
			"-name", h.Name, "-networks", inner(i).String()+"/24",
			"-out-crt", "/etc/nebula/"+h.Name+".crt", "-out-key", "/etc/nebula/"+h.Name+".key")
		h.WriteFile("/etc/nebula/ca.crt", office.ReadFile("/etc/nebula/ca.crt"))
		h.WriteFile("/etc/nebula/h.crt", office.ReadFile("/etc/nebula/"+h.Name+".crt"))
		h.WriteFile("/etc/nebula/h.key", office.ReadFile("/etc/nebula/"+h.Name+".key"))
		where, hosts, relays := "", "", ""
		if i != hub {
			address := rightOf(0)
			if i > hub {
				address = leftOf(hub)
			}
			hosts = fmt.Sprintf("%q", inner(hub).String())
			where = fmt.Sprintf(`%s: ["%s:4242"]`, hosts, address)
			if n > 2 {
				relays = hosts
			}
		}
		h.WriteFile("/etc/nebula/config.yml", fmt.Sprintf(nebulaConf, where, i == hub, hosts,
			listen, i == hub && n > 2, relays, tun))
	}
	args := []string{world.Program("bench/nebula"), "-config", "/etc/nebula/config.yml"}
	c.run(hub, args...)
	c.await(hub, "neb0")
	for i := range c.hosts {
		if i != hub {
			c.run(i, args...)
			c.await(i, "neb0")
		}
	}
	c.target = inner(n - 1)
	c.again = c.repeat(nil, args...)
}
