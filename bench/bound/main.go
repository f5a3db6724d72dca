// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command bound carries packets between two machines with everything that the kernel offers and
// nothing that a network needs: one fixed key, one peer, no handshake, no replay window, and a lost
// piece loses its whole super-packet. It shows what a network on this machine can reach at most,
// and it is never to be used as one.
package main

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// header is a counter; its upper bits mark the first and the last piece of a super-packet.
	header      = 8
	first, last = 1 << 62, 1 << 63
	counterBits = 1<<48 - 1
	tag         = 16
	// piece is how much of a super-packet travels in one datagram of 1500 bytes.
	piece = 1500 - 20 - 8 - header - tag
	// together is how many datagrams fit one send.
	together = 65000 / (piece + header + tag)
	// room is for a super-packet and what stands in front of it.
	room        = 66 << 10
	bufferBytes = 8 << 20
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: bound DEVICE LISTEN PEER")
		fmt.Fprintln(os.Stderr, "       bound LISTEN LEFT RIGHT")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "bound:", err)
		os.Exit(1)
	}
}

// run is a relay where the first argument is an address, and an end else.
func run(first, second, third string) error {
	from, err := netip.ParseAddrPort(second)
	if err != nil {
		return err
	}
	to, err := netip.ParseAddrPort(third)
	if err != nil {
		return err
	}
	if listen, err := netip.ParseAddrPort(first); err == nil {
		return relay(listen, from, to)
	}
	return end(first, from, to)
}

// end carries packets between a device and the network.
func end(device string, from, to netip.AddrPort) error {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		return err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return err
	}
	tun, err := open(device)
	if err != nil {
		return fmt.Errorf("open %s: %w", device, err)
	}
	conn, err := net.DialUDP("udp4", net.UDPAddrFromAddrPort(from), net.UDPAddrFromAddrPort(to))
	if err != nil {
		return err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	err = raw.Control(func(fd uintptr) {
		for option, value := range map[int]int{
			unix.SO_RCVBUFFORCE: bufferBytes, unix.SO_SNDBUFFORCE: bufferBytes,
		} {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option, value) // else as it is
		}
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1)
	})
	if err != nil {
		return err
	}
	ended := make(chan error)
	go func() { ended <- up(tun, conn, aead) }()
	go func() { ended <- down(tun, conn, aead) }()
	return <-ended
}

// open makes the device, with super-packets.
func open(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	r, err := unix.NewIfreq(name)
	if err != nil {
		return nil, err
	}
	r.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, r); err != nil {
		return nil, err
	}
	const checksum, tso4, tso6, uso4, uso6 = 1, 2, 4, 0x20, 0x40
	err = unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, checksum|tso4|tso6|uso4|uso6)
	if err != nil { // a kernel before 6.2
		err = unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, checksum|tso4|tso6)
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// segmented is the control message that asks the kernel to cut a send into datagrams.
func segmented(size int) []byte {
	b := make([]byte, unix.CmsgSpace(2))
	binary.NativeEndian.PutUint64(b, uint64(unix.CmsgLen(2)))
	binary.NativeEndian.PutUint32(b[8:], unix.IPPROTO_UDP)
	binary.NativeEndian.PutUint32(b[12:], unix.UDP_SEGMENT)
	binary.NativeEndian.PutUint16(b[16:], uint16(size))
	return b
}

// up carries super-packets from the device to the network.
func up(tun *os.File, conn *net.UDPConn, aead cipher.AEAD) error {
	in, out := make([]byte, room), make([]byte, 0, 2*room)
	nonce := make([]byte, aead.NonceSize())
	control := segmented(header + piece + tag)
	counter := uint64(0)
	send := func() {
		oob := control
		if len(out) <= header+piece+tag {
			oob = nil
		}
		_, _, _ = conn.WriteMsgUDPAddrPort(out, oob, netip.AddrPort{}) // lost is lost
		out = out[:0]
	}
	for {
		n, err := tun.Read(in)
		if err != nil {
			return err
		}
		count := (n + piece - 1) / piece
		for i := range count {
			if i > 0 && i%together == 0 {
				send()
			}
			counter++
			mark := counter & counterBits
			if i == 0 {
				mark |= first
			}
			if i == count-1 {
				mark |= last
			}
			at := len(out)
			out = binary.LittleEndian.AppendUint64(out, mark)
			copy(nonce[4:], out[at:])
			out = aead.Seal(out, nonce, in[i*piece:min((i+1)*piece, n)], nil)
		}
		send()
	}
}

// down carries them from the network to the device.
func down(tun *os.File, conn *net.UDPConn, aead cipher.AEAD) error {
	in, packet := make([]byte, room), make([]byte, 0, 2*room)
	control := make([]byte, 64)
	nonce := make([]byte, aead.NonceSize())
	next := uint64(0)
	for {
		n, k, _, _, err := conn.ReadMsgUDPAddrPort(in, control)
		if err != nil {
			continue // the other end is not there yet
		}
		size := n
		if k >= unix.CmsgLen(2) {
			size = int(binary.NativeEndian.Uint16(control[unix.CmsgLen(0):]))
		}
		for rest := in[:n]; len(rest) >= header+tag; {
			datagram := rest[:min(size, len(rest))]
			rest = rest[len(datagram):]
			copy(nonce[4:], datagram[:header])
			mark := binary.LittleEndian.Uint64(datagram)
			switch {
			case mark&first != 0:
				packet = packet[:0]
			case mark&counterBits != next:
				continue
			}
			opened, err := aead.Open(packet, nonce, datagram[header:], nil)
			if err != nil {
				continue
			}
			packet, next = opened, mark&counterBits+1
			if mark&last != 0 {
				_, _ = tun.Write(packet) // what the kernel does not take is lost
			}
		}
	}
}
