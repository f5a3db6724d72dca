// SPDX-License-Identifier: Apache-2.0

//go:build linux

package peer

import (
	"fmt"
	"strings"
)

// tinc is tinc 1.0, every node connected to its neighbour. With nodes in between the ends are told
// that they cannot reach each other; each node in between decrypts and encrypts again.
func tinc() Peer {
	return Peer{
		Name: "tinc", board: true, relaysMax: manyRelays, program: "tincd",
		About: "tinc 1.0 of Debian, AES-256-CBC and SHA-256; a relay decrypts",
		start: startTinc,
	}
}

func startTinc(c *chain) {
	n := len(c.hosts)
	name := func(i int) string { return fmt.Sprintf("n%d", i) }
	public := make([]string, n)
	for i, h := range c.hosts {
		var conf strings.Builder
		fmt.Fprintf(&conf, "Name=%s\nInterface=tinc0\nAddressFamily=ipv4\nMode=router\n", name(i))
		if i < n-1 {
			fmt.Fprintf(&conf, "ConnectTo=%s\n", name(i+1))
		}
		h.WriteFile("/etc/tinc/tinc.conf", conf.String())
		h.WriteFile("/etc/tinc/tinc-up", fmt.Sprintf(
			"#!/bin/sh\nip addr add %s/24 dev $INTERFACE\nip link set $INTERFACE up\n", inner(i)))
		h.Run("chmod", "755", "/etc/tinc/tinc-up")
		own := fmt.Sprintf("Subnet=%s/32\n", inner(i))
		if n > 2 {
			own += "IndirectData=yes\n"
		}
		h.WriteFile("/etc/tinc/hosts/"+name(i), own)
		h.Run("tincd", "-c", "/etc/tinc", "-K", "2048")
		public[i] = h.ReadFile("/etc/tinc/hosts/" + name(i))
	}
	for i, h := range c.hosts {
		for k := range c.hosts {
			if k == i {
				continue
			}
			text := public[k]
			if k == i+1 {
				text = fmt.Sprintf("Address=%s\n", rightOf(i)) + text
			}
			h.WriteFile("/etc/tinc/hosts/"+name(k), text)
		}
	}
	args := []string{"tincd", "-D", "-c", "/etc/tinc", "--pidfile=/run/tinc.pid"}
	for i := n - 1; i >= 0; i-- {
		c.run(i, args...)
		c.await(i, "tinc0")
	}
	c.target = inner(n - 1)
	c.again = c.repeat(nil, args...)
}
