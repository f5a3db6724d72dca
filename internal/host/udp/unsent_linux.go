// SPDX-License-Identifier: Apache-2.0

package udp

import "staex/internal/host/prompt"

// Unsent is how many bytes of memory the kernel holds for datagrams that have not left the machine
// yet, its own overhead included: in the socket, in the queue of a device, in the device. It is 0
// when the kernel does not tell. Any goroutine may call it.
func (c *Conn) Unsent() int {
	c.outMu.Lock()
	defer c.outMu.Unlock()
	c.out = 0
	if c.socket.raw.Control(c.outOnce) != nil {
		return 0 // closed
	}
	return int(c.out)
}

// askUnsent is called when nobody can close the socket.
func (c *Conn) askUnsent(uintptr) {
	if prompt.Unsent(uintptr(c.socket.fd), &c.out) != 0 {
		c.out = 0
	}
}
