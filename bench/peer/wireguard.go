// SPDX-License-Identifier: Apache-2.0

//go:build linux

package peer

import (
	"crypto/ecdh"
	"crypto/rand"
	"fmt"
	"net"
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
		Name: Reference, board: true, relaysMax: manyRelays, program: "bench/wireguard",
		About: "MTU 1420, keep-alive 25 s at the first host; a relay decrypts",
		start: startWireguard,
	}
}

func startWireguard(c *chain) {
	c.forward()
	n := len(c.hosts)
	keys := make([]*ecdh.PrivateKey, n)
	for i := range keys {
		key, err := ecdh.X25519().GenerateKey(rand.Reader)
		if err != nil {
			panic(err) // the reader of crypto/rand does not fail
		}
		keys[i] = key
	}
	const program, device = "bench/wireguard", "wg0"
	for i := n - 1; i >= 0; i-- {
		p := c.run(i, world.Program(program), "-f", device)
		c.configure(i, p, wireguardConf(i, keys))
	}
	c.target = inner(n - 1)
	c.again = c.repeat(func(p *world.Process) { c.configure(0, p, wireguardConf(0, keys)) },
		world.Program(program), "-f", device)
}

// wireguardConf is what node i is told over its socket. Its neighbours are its peers, and what
// lies behind a neighbour is the neighbour's.
func wireguardConf(i int, keys []*ecdh.PrivateKey) string {
	var b strings.Builder
	fmt.Fprintf(&b, "set=1\nprivate_key=%x\nlisten_port=51820\n", keys[i].Bytes())
	neighbour := func(at, from, to int) {
		fmt.Fprintf(&b, "public_key=%x\n", keys[at].PublicKey().Bytes())
		for k := from; k < to; k++ {
			fmt.Fprintf(&b, "allowed_ip=%s/32\n", inner(k))
		}
		if at > i {
			fmt.Fprintf(&b, "endpoint=%s:51820\n", rightOf(i))
		}
		if i == 0 {
			b.WriteString("persistent_keepalive_interval=25\n")
		}
	}
	if i > 0 {
		neighbour(i-1, 0, i)
	}
	if i < len(keys)-1 {
		neighbour(i+1, i+1, len(keys))
	}
	b.WriteString("\n")
	return b.String()
}

// configure gives a wireguard-go that has just been started its keys and its address. It does so
// without a program of its own, because its time counts.
func (c *chain) configure(i int, p *world.Process, conf string) {
	socket := c.hosts[i].Path("/run/wireguard/wg0.sock")
	var conn net.Conn
	for end := time.Now().Add(startTime); ; time.Sleep(time.Millisecond) {
		var err error
		if conn, err = net.Dial("unix", socket); err == nil {
			break
		}
		if !p.Running() || time.Now().After(end) {
			panic(failure(fmt.Sprintf("%s: %v\n%s", p.Name, err, p.Tail())))
		}
	}
	defer conn.Close()
	answer := make([]byte, 256)
	_, err := conn.Write([]byte(conf))
	k := 0
	if err == nil {
		k, err = conn.Read(answer)
	}
	if err != nil || !strings.HasPrefix(string(answer[:k]), "errno=0") {
		panic(failure(fmt.Sprintf("%s: configure: %v %q", p.Name, err, answer[:k])))
	}
	c.device(i, "wg0", 1420)
}
