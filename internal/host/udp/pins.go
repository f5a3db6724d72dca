// SPDX-License-Identifier: Apache-2.0

package udp

import (
	"net/netip"
	"sync"
	"sync/atomic"
)

// maxPins bounds the receivers that a socket remembers an address for. When there are more, those
// before are forgotten: they get answers from the machine's own choice until they ask anew.
const maxPins = 4096

// pins are the own addresses from which receivers are answered, where the machine would choose
// another one: whoever asked one address of a machine takes no answer from another. All sockets of
// one address and port share them.
type pins struct {
	used atomic.Bool // most machines need none
	mu   sync.Mutex
	own  map[netip.AddrPort]netip.Addr
}

func (p *pins) of(to netip.AddrPort) (own netip.Addr, ok bool) {
	if !p.used.Load() {
		return own, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	own, ok = p.own[to]
	return own, ok
}

func (p *pins) put(to netip.AddrPort, own netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.own == nil || len(p.own) >= maxPins {
		p.own = map[netip.AddrPort]netip.Addr{}
	}
	p.own[to] = own
	p.used.Store(true)
}

func (p *pins) drop(to netip.AddrPort) {
	if !p.used.Load() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.own, to)
	p.used.Store(len(p.own) > 0)
}
