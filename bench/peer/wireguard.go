// SPDX-License-Identifier: Apache-2.0

//go:build linux

package peer

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"staex/test/world"
)

// startTime is how long a program may take to make its socket or device.
const startTime = 10 * time.Second

// wireguard is wireguard-go, the implementation in user space. Its relays are routers between
// two tunnels: they decrypt, forward in the kernel and encrypt again.
func wireguard() Peer {
	return Peer{
		Name: Reference, relaysMax: manyRelays, program: "bench/wireguard",
		About: "MTU 1420, keep-alive 25 s at the first host; a relay decrypts",
		start: startWireguard,
	}
}

func startWireguard(c *chain) {
	c.forward()
	n := len(c.hosts)
	secret, public := make([]string, n), make([]string, n)
	for i := range c.hosts {
		key, err := ecdh.X25519().GenerateKey(rand.Reader)
		if err != nil {
			panic(err) // the reader of crypto/rand does not fail
		}
		secret[i] = base64.StdEncoding.EncodeToString(key.Bytes())
		public[i] = base64.StdEncoding.EncodeToString(key.PublicKey().Bytes())
	}
	for i, h := range c.hosts {
		var conf strings.Builder
		fmt.Fprintf(&conf, "[Interface]\nPrivateKey=%s\nListenPort=51820\n", secret[i])
		neighbour := func(at int, endpoint, from, to int) {
			var far []string
			for k := from; k < to; k++ {
				far = append(far, inner(k).String()+"/32")
			}
			fmt.Fprintf(&conf, "[Peer]\nPublicKey=%s\nAllowedIPs=%s\n", public[at],
				strings.Join(far, ","))
			if endpoint == 1 {
				fmt.Fprintf(&conf, "Endpoint=%s:51820\n", rightOf(i))
			}
			if i == 0 {
				conf.WriteString("PersistentKeepalive=25\n")
			}
		}
		if i > 0 {
			neighbour(i-1, 0, 0, i)
		}
		if i < n-1 {
			neighbour(i+1, 1, i+1, n)
		}
		h.WriteFile("/etc/wg0.conf", conf.String())
	}
	for i := n - 1; i >= 0; i-- {
		c.configure(i, c.run(i, world.Program("bench/wireguard"), "-f", "wg0"))
	}
	c.target = inner(n - 1)
	c.again = func() Proc {
		p := c.hosts[0].Start(world.Program("bench/wireguard"), "-f", "wg0")
		c.configure(0, p)
		return Proc{Process: p}
	}
}

// configure gives a wireguard-go that has just been started its keys and its address.
func (c *chain) configure(i int, p *world.Process) {
	c.w.Until(p.Name+" makes its socket", startTime, func() bool {
		return c.hosts[i].Try("test", "-S", "/run/wireguard/wg0.sock").OK()
	})
	c.hosts[i].Run("wg", "setconf", "wg0", "/etc/wg0.conf")
	c.device(i, "wg0", 1420)
}
