// SPDX-License-Identifier: Apache-2.0

package wire

import "encoding/binary"

// Ports says which conversation of a tunnel is meant, in 4 bytes: see FlowUnknown.
type Ports struct {
	Proto  uint8 // 6 TCP or 17 UDP
	V6     bool
	Target uint8
	Port   uint16
}

// portsV6 is the bit of IPv6 beside the protocol.
const portsV6 = 0x80

func (p Ports) append(dst []byte) []byte {
	proto := p.Proto
	if p.V6 {
		proto |= portsV6
	}
	return binary.BigEndian.AppendUint16(append(dst, proto, p.Target), p.Port)
}

func (c *cursor) ports() Ports {
	const tcp, udp = 6, 17
	proto := c.u8("protocol")
	p := Ports{
		Proto: proto &^ portsV6, V6: proto&portsV6 != 0,
		Target: c.u8("target"), Port: c.u16("port"),
	}
	if c.err == nil && p.Proto != tcp && p.Proto != udp {
		c.fail("protocol", ErrBadValue)
	}
	return p
}

// FlowUnknown is session message 60: the server's host answers a flow of which its end of the
// tunnel knows nothing, because it restarted.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-------------+---------------+-------------------------------+
//	|6|  protocol   |    target     |             port              |
//	+-+-------------+---------------+-------------------------------+
//
//	offset  size  field
//	0       1     protocol, 6 or 17; bit 7 set: over IPv6
//	1       1     index of the server's port in the tunnel's targets
//	2       2     the client's port
type FlowUnknown struct{ Ports Ports }

// Append appends the encoded body to dst.
func (f FlowUnknown) Append(dst []byte) []byte { return f.Ports.append(dst) }

// ParseFlowUnknown reads the body of a message.
func ParseFlowUnknown(b []byte) (FlowUnknown, error) {
	c := cursor{frame: "flow-unknown", b: b}
	f := FlowUnknown{Ports: c.ports()}
	if err := c.end(); err != nil {
		return FlowUnknown{}, err
	}
	return f, nil
}

// Flow is session message 61: the client opened this flow. It announces what a frame of the flow
// would announce, for a client that has nothing to send.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+-+-------------+---------------+---------------+
//	|     slot      |6|  protocol   |    target     |  port (high)  |
//	+---------------+-+-------------+---------------+---------------+
//	|  port (low)   |
//	+---------------+
//
//	offset  size  field
//	0       1     slot, 0 to 254, or 255: the flow has none
//	1       4     Ports
type Flow struct {
	Slot  uint8
	Ports Ports
}

// Append appends the encoded body to dst.
func (f Flow) Append(dst []byte) []byte { return f.Ports.append(append(dst, f.Slot)) }

// ParseFlow reads the body of a message.
func ParseFlow(b []byte) (Flow, error) {
	c := cursor{frame: "flow", b: b}
	f := Flow{Slot: c.u8("slot"), Ports: c.ports()}
	if err := c.end(); err != nil {
		return Flow{}, err
	}
	return f, nil
}
