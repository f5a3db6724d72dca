// SPDX-License-Identifier: Apache-2.0

//go:build linux

package udp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"staex/internal/host/prompt"
)

// This is the one file of the room with package unsafe. sendmsg and recvmsg take a structure of
// pointers, and the wrappers of x/sys allocate an address per call, which the fast path may not.
// Every pointer below leads into the message itself or into the caller's buffer; both are kept
// alive across the call, and nothing is kept by the kernel after it.

// message is the argument of one sendmsg or recvmsg, reused from call to call by its one owner.
type message struct {
	v4        bool
	body      []byte
	seg       int // sending: cut into pieces of this size; 0 means do not
	n         int
	errno     syscall.Errno
	truncated bool
	run       prompt.Run // receiving

	header  unix.Msghdr
	vector  unix.Iovec
	name4   unix.RawSockaddrInet4
	name6   unix.RawSockaddrInet6
	_       [0]uint64 // aligns control messages, which start with a word
	control [64]byte  // size of a segment 24, source 40 at most

	// Of a socket aside, which has an address of its own and sends from another one.
	aside bool
	// pinned: from is where this receiver has asked.
	pinned bool

	from  [16]byte   // that address; of IPv4 0 lets the kernel choose
	fixed bool       // it is that of a socket; else it was chosen for aimed
	aimed netip.Addr // whom it was chosen for
	shots int        // sends left until it is chosen again
}

// prepare points the header at the body and the address.
func (m *message) prepare(controlLen int) {
	m.vector.Base = unsafe.SliceData(m.body)
	m.vector.SetLen(len(m.body))
	m.header = unix.Msghdr{Iov: &m.vector}
	m.header.SetIovlen(1)
	if m.v4 {
		m.header.Name = (*byte)(unsafe.Pointer(&m.name4))
		m.header.Namelen = unix.SizeofSockaddrInet4
	} else {
		m.header.Name = (*byte)(unsafe.Pointer(&m.name6))
		m.header.Namelen = unix.SizeofSockaddrInet6
	}
	if controlLen > 0 {
		m.header.Control = &m.control[0]
		m.header.SetControllen(controlLen)
	}
}

// recvmsg fills body, n, the sender and the control bytes.
func (m *message) recvmsg(fd uintptr) {
	m.prepare(len(m.control))
	m.n, m.errno = m.run.Recvmsg(fd, &m.header)
	runtime.KeepAlive(m.body)
	m.truncated = m.errno == 0 && m.header.Flags&unix.MSG_TRUNC != 0
}

// sendmsg sends body to the address set before.
func (m *message) sendmsg(fd uintptr) {
	used := 0
	if m.seg > 0 {
		var b []byte
		b, used = m.attach(used, unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2)
		binary.NativeEndian.PutUint16(b, uint16(m.seg))
	}
	if m.aside || m.pinned {
		used = m.attachSource(used)
	}
	m.prepare(used)
	m.errno = prompt.Sendmsg(fd, &m.header)
	runtime.KeepAlive(m.body)
}

// attach begins a control message of size bytes behind what is used of the control bytes.
func (m *message) attach(used, level, kind, size int) (body []byte, end int) {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&m.control[used]))
	h.Level, h.Type = int32(level), int32(kind)
	h.SetLen(unix.CmsgLen(size))
	body = m.control[used+unix.CmsgLen(0):][:size]
	return body, used + unix.CmsgSpace(size)
}

// attachSource says from which address to send (in_pktinfo, in6_pktinfo), by whatever device.
func (m *message) attachSource(used int) (end int) {
	var b []byte
	if m.v4 {
		b, end = m.attach(used, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		clear(b)
		copy(b[4:8], m.from[12:])
		return end
	}
	b, end = m.attach(used, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
	clear(b)
	copy(b, m.from[:])
	return end
}

// segment returns the datagram size the kernel reported, or n when it joined nothing. What it
// reported is not sane when it can be no size of these datagrams, or when some of it was lost.
func (m *message) segment() (size int, sane bool) {
	size, sane = m.n, m.header.Flags&unix.MSG_CTRUNC == 0
	whole := m.eachControl(func(level, kind int32, b []byte) bool {
		if level != unix.IPPROTO_UDP || kind != unix.UDP_GRO || len(b) < 4 {
			return true
		}
		if seg := int(int32(binary.NativeEndian.Uint32(b))); seg > 0 && seg <= m.n {
			size, sane = seg, true
		} else {
			sane = false
		}
		return false
	})
	if !whole {
		return m.n, false
	}
	return size, sane
}

// arrivedAt is the own address that the datagrams were sent to, or the zero Addr.
func (m *message) arrivedAt() (at netip.Addr) {
	m.eachControl(func(level, kind int32, b []byte) bool {
		switch {
		case level == unix.IPPROTO_IP && kind == unix.IP_PKTINFO &&
			len(b) >= unix.SizeofInet4Pktinfo:
			at = netip.AddrFrom4([4]byte(b[4:8]))
		case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_PKTINFO &&
			len(b) >= unix.SizeofInet6Pktinfo:
			at = netip.AddrFrom16([16]byte(b[:16]))
		}
		return !at.IsValid()
	})
	return at
}

// eachControl calls f for each control message until it returns false, and reports whether all of
// them have a form.
func (m *message) eachControl(f func(level, kind int32, body []byte) bool) bool {
	oob := m.control[:min(int(m.header.Controllen), len(m.control))]
	for len(oob) >= unix.CmsgLen(0) {
		h := (*unix.Cmsghdr)(unsafe.Pointer(unsafe.SliceData(oob)))
		length := int(h.Len)
		if length < unix.CmsgLen(0) || length > len(oob) {
			return false
		}
		if !f(h.Level, h.Type, oob[unix.CmsgLen(0):length]) {
			return true
		}
		oob = oob[min(len(oob), unix.CmsgSpace(length-unix.CmsgLen(0))):]
	}
	return true
}

// sender returns the address recvmsg stored. Only link-local IPv6 senders carry a zone, a number.
func (m *message) sender() netip.AddrPort {
	if m.v4 {
		return netip.AddrPortFrom(netip.AddrFrom4(m.name4.Addr), swap(m.name4.Port))
	}
	a := netip.AddrFrom16(m.name6.Addr)
	if m.name6.Scope_id != 0 {
		a = a.WithZone(strconv.FormatUint(uint64(m.name6.Scope_id), 10))
	}
	return netip.AddrPortFrom(a, swap(m.name6.Port))
}

// address sets the receiver of the next sends.
func (m *message) address(to netip.AddrPort) error {
	a := to.Addr().Unmap()
	if a.Is4() != m.v4 || !a.IsValid() {
		return fmt.Errorf("udp: send to %v: %w", to, unix.EAFNOSUPPORT)
	}
	if m.v4 {
		m.name4 = unix.RawSockaddrInet4{
			Family: unix.AF_INET, Port: swap(to.Port()), Addr: a.As4(),
		}
		return nil
	}
	index, err := scope(a.Zone())
	if err != nil {
		return err
	}
	m.name6 = unix.RawSockaddrInet6{
		Family: unix.AF_INET6, Port: swap(to.Port()), Addr: a.As16(), Scope_id: index,
	}
	return nil
}

// swap turns a port in host order into the network order the kernel stores, and back.
func swap(port uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], port)
	return binary.NativeEndian.Uint16(b[:])
}
