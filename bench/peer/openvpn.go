// SPDX-License-Identifier: Apache-2.0

//go:build linux

package peer

import (
	"fmt"
	"strings"
)

// openvpn is OpenVPN from one machine to another, in user space.
func openvpn() Peer {
	return Peer{
		Name: "openvpn", program: "openvpn",
		About: "OpenVPN of Debian, UDP, TLS between two, AES-256-GCM, ping 25; no relays",
		start: startOpenVPN,
	}
}

const openvpnConf = `dev tun0
dev-type tun
proto udp4
ifconfig %s %s
dh none
cert /etc/ovpn/c.pem
key /etc/ovpn/k.pem
peer-fingerprint %s
data-ciphers AES-256-GCM
disable-dco
ping 25
ping-restart 120
verb 1
%s
`

func startOpenVPN(c *chain) {
	prints := make([]string, 2)
	for i, h := range c.hosts {
		h.WriteFile("/etc/ovpn/made", "")
		h.Run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1",
			"-nodes", "-days", "30", "-config", "/dev/null", "-subj", "/CN="+h.Name,
			"-keyout", "/etc/ovpn/k.pem", "-out", "/etc/ovpn/c.pem")
		out := h.Run("openssl", "x509", "-in", "/etc/ovpn/c.pem", "-noout", "-fingerprint",
			"-sha256")
		_, text, _ := strings.Cut(out, "=")
		prints[i] = strings.TrimSpace(text)
	}
	role := []string{
		fmt.Sprintf("tls-client\nnobind\nremote %s 1194", rightOf(0)),
		"tls-server\nport 1194",
	}
	args := []string{"openvpn", "--config", "/etc/ovpn/c.conf"}
	for i := 1; i >= 0; i-- {
		c.hosts[i].WriteFile("/etc/ovpn/c.conf", fmt.Sprintf(openvpnConf, inner(i), inner(1-i),
			prints[1-i], role[i]))
		c.run(i, args...)
	}
	c.target = inner(1)
	c.again = c.repeat(nil, args...)
}
