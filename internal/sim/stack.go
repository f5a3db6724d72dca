// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"net/netip"

	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
	"staex/internal/overlay/node"
)

const offloadSize = flow.OffloadSize

// Packet is a UDP datagram, a TCP segment or an echo as the host's stack sees it.
type Packet struct {
	Proto    uint8
	Src, Dst netip.AddrPort
	Header   string // of the transport protocol
	Payload  string
}

// deliver takes a packet, behind its offload header, for the host's stack.
func (h *Host) deliver(p []byte) {
	off, _ := flow.ParseOffload(p)
	ip := p[flow.OffloadSize:]
	if off.Partial() {
		flow.FinishChecksum(ip)
	}
	var v flow.View
	if r := v.Parse(ip); r == drop.Protocol {
		h.deliverWhole(&v, ip)
		return
	} else if r != drop.None {
		h.w.broken("%s was given a packet that does not parse: %v", h.Name, r)
		return
	}
	if !v.ChecksumOK(ip) {
		h.w.broken("%s was given a packet with a wrong checksum", h.Name)
	}
	got := Packet{
		Proto: v.Proto, Src: netip.AddrPortFrom(v.Src, v.SrcPort),
		Dst:    netip.AddrPortFrom(v.Dst, v.DstPort),
		Header: string(ip[v.Transport:v.Payload]), Payload: string(ip[v.Payload:]),
	}
	h.permitted(got)
	h.Got = append(h.Got, got)
	if h.Serve == nil {
		return
	}
	if answer := h.Serve(got); answer != nil {
		h.SendIP(UDP(got.Dst, got.Src, answer))
	}
}

// deliverWhole takes a packet that is neither UDP nor TCP nor ICMP.
func (h *Host) deliverWhole(v *flow.View, ip []byte) {
	got := Packet{
		Proto: v.Proto, Src: netip.AddrPortFrom(v.Src, 0), Dst: netip.AddrPortFrom(v.Dst, 0),
		Payload: string(ip[v.Payload:]),
	}
	if !h.open(got) {
		h.w.broken("%s was given a packet of protocol %d from %v", h.Name, v.Proto, v.Src)
	}
	h.Got = append(h.Got, got)
}

// open reports whether two nodes of one network both allow each other's packets.
func (h *Host) open(p Packet) bool {
	id, ok := h.Node.ByAddr(p.Src.Addr())
	if !ok || !h.cfg.NodeTraffic {
		return false
	}
	for _, o := range h.w.hosts {
		if o.ID() == id {
			return o.cfg.NodeTraffic && o.Who.Cert.Network == h.Who.Cert.Network
		}
	}
	return false
}

// permitted is the invariant of the whole product: nothing is delivered without a tunnel that
// names its protocol and port at this end, or two nodes that both allow everything.
func (h *Host) permitted(p Packet) {
	if p.Proto != flow.ProtoUDP && p.Proto != flow.ProtoTCP {
		return
	}
	if h.open(p) {
		return
	}
	for _, t := range h.Node.Tunnels() {
		if !t.Active(0) {
			continue
		}
		for _, port := range []uint16{p.Src.Port(), p.Dst.Port()} {
			if _, ok := t.TargetIndex(p.Proto, port); ok {
				return
			}
		}
	}
	h.w.broken("%s was given a packet that no tunnel permits: %v to %v", h.Name, p.Src, p.Dst)
}

// UDP builds an IPv4 or IPv6 packet with a UDP datagram and a complete checksum.
func UDP(src, dst netip.AddrPort, payload []byte) []byte {
	c := flow.Compact{Kind: flow.KindUDP, V6: dst.Addr().Is6()}
	e := flow.Ends{Src: src.Addr(), Dst: dst.Addr(), SrcPort: src.Port(), DstPort: dst.Port()}
	n := flow.HeaderLen(&c)
	p := append(make([]byte, n), payload...)
	flow.PutHeaders(p, &c, e, len(payload))
	flow.FinishChecksum(p)
	return p
}

// Echo builds an ICMP echo request.
func Echo(src, dst netip.Addr, id, seq uint16, payload []byte) []byte {
	c := flow.Compact{Kind: flow.KindEcho, V6: dst.Is6(), EchoID: id, EchoSeq: seq}
	p := append(make([]byte, flow.HeaderLen(&c)), payload...)
	flow.PutHeaders(p, &c, flow.Ends{Src: src, Dst: dst}, len(payload))
	flow.PutEcho(p)
	return p
}

// Own is the host's own inner IPv4 address.
func (h *Host) Own() netip.Addr { return h.Node.Tables().Self().V4 }

// Tunnel makes a tunnel on this host for the node of another one, as `mcc create-tunnel` does.
func (h *Host) Tunnel(name string, client *Host, targets ...ident.Target) ident.NodeID {
	secret, err := ident.NewSecret(h.rand)
	must(err)
	cert := &ident.EndpointCert{
		Kind: ident.ServerEndpoint, Key: secret.ID(), Peer: client.ID(), Targets: targets,
		Names: []string{name},
	}
	must(ident.SignEndpointCert(cert, h.w.network.Secret))
	h.tunnels = append(h.tunnels, node.ServerTunnel{Name: name, Cert: cert, Secret: secret})
	must(h.Apply(node.SetTunnels{Tunnels: h.tunnels}))
	return secret.ID()
}

// Address is where this host's programs find a name.
func (h *Host) Address(name string) (netip.Addr, bool) {
	id, ok := h.Node.Named(name)
	if !ok {
		return netip.Addr{}, false
	}
	l, ok := h.Node.Lease(h.w.reading(), id)
	return l.V4, ok
}

// Ask sends a UDP datagram from a local port to a named endpoint.
func (h *Host) Ask(name string, from, to uint16, payload string) bool {
	addr, ok := h.Address(name)
	if ok {
		h.SendIP(UDP(netip.AddrPortFrom(h.Own(), from), netip.AddrPortFrom(addr, to),
			[]byte(payload)))
	}
	return ok
}

// Answered reports whether the host's stack received a payload since the last Forget.
func (h *Host) Answered(payload string) bool {
	for _, p := range h.Got {
		if p.Payload == payload {
			return true
		}
	}
	return false
}

// Forget clears what was received.
func (h *Host) Forget() { h.Got = nil }

// Shout is a service that answers in capitals.
func Shout(p Packet) []byte {
	b := []byte(p.Payload)
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			b[i] = c - 32
		}
	}
	return b
}
