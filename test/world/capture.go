// SPDX-License-Identifier: Apache-2.0

//go:build linux

package world

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// captureBuffer holds what arrives while the reader is not scheduled. The kernel grants
	// it to root and less to others; a capture with holes fails its test either way.
	captureBuffer = 32 << 20
	// frameMax is a segmentation-offload packet and its headers.
	frameMax = 65536 + 64
	// fileHeader and frameHeader are the sizes of pcap's headers.
	fileHeader, frameHeader = 24, 16
)

// Capture is everything that passes one interface of a host, in both directions, as a pcap
// file that tcpdump and Wireshark read.
type Capture struct {
	h     *Host
	iface string
	file  *os.File // the packet socket
	done  chan error
	pcap  []byte // the reader's until done
}

// Capture begins to record an interface of the host and returns when it does.
func (h *Host) Capture(iface string) *Capture {
	h.w.t.Helper()
	c := &Capture{h: h, iface: iface, done: make(chan error, 1)}
	if err := h.Do(c.open); err != nil {
		h.w.t.Fatalf("%s: capture %s: %v", h.Name, iface, err)
	}
	h.w.t.Cleanup(func() { c.file.Close() })
	go func() { c.done <- c.read() }()
	return c
}

func (c *Capture) open() error {
	link, err := net.InterfaceByName(c.iface)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET,
		unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	c.file = os.NewFile(uintptr(fd), "capture of "+c.iface)
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, captureBuffer)
	if errors.Is(err, unix.EPERM) {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, captureBuffer)
	}
	if err != nil {
		return err
	}
	const ethernet, rawIP = 1, 101
	kind := uint32(ethernet)
	if len(link.HardwareAddr) == 0 {
		kind = rawIP
	}
	c.pcap = binary.LittleEndian.AppendUint32(c.pcap, 0xa1b2c3d4)
	c.pcap = append(c.pcap, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	c.pcap = binary.LittleEndian.AppendUint32(c.pcap, frameMax)
	c.pcap = binary.LittleEndian.AppendUint32(c.pcap, kind)
	all := binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL})
	return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: link.Index})
}

// read records until the deadline that Stop sets, then what the kernel still holds.
func (c *Capture) read() error {
	frame := make([]byte, frameMax)
	for {
		n, err := c.file.Read(frame)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			return err
		}
		c.keep(frame[:n])
	}
	raw, err := c.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		for failed == nil {
			n, _, err := unix.Recvfrom(int(fd), frame, unix.MSG_DONTWAIT)
			if errors.Is(err, unix.EAGAIN) {
				break
			}
			if failed = err; err == nil {
				c.keep(frame[:n])
			}
		}
		lost, err := unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS)
		if failed == nil && err == nil && lost.Drops > 0 {
			err = fmt.Errorf("%d frames were lost", lost.Drops)
		}
		failed = errors.Join(failed, err)
	})
	return errors.Join(err, failed)
}

func (c *Capture) keep(frame []byte) {
	now := time.Now()
	c.pcap = binary.LittleEndian.AppendUint32(c.pcap, uint32(now.Unix()))
	c.pcap = binary.LittleEndian.AppendUint32(c.pcap, uint32(now.Nanosecond()/1000))
	c.pcap = binary.LittleEndian.AppendUint32(c.pcap, uint32(len(frame)))
	c.pcap = binary.LittleEndian.AppendUint32(c.pcap, uint32(len(frame)))
	c.pcap = append(c.pcap, frame...)
}

// Stop ends the capture and returns it. Everything that a program had received on the
// interface before the call is in it, and everything it had sent; if the kernel had to drop
// a frame the test fails, because what is not there could then not be told from what is lost.
func (c *Capture) Stop() []byte {
	c.h.w.t.Helper()
	if err := c.file.SetReadDeadline(time.Now()); err != nil {
		c.h.w.t.Fatalf("%s: capture %s: %v", c.h.Name, c.iface, err)
	}
	if err := <-c.done; err != nil {
		c.h.w.t.Fatalf("%s: capture %s: %v", c.h.Name, c.iface, err)
	}
	return c.pcap
}

// Frames returns the frames of a capture, in the order in which they passed.
func Frames(pcap []byte) [][]byte {
	timed := Timed(pcap)
	frames := make([][]byte, len(timed))
	for i, f := range timed {
		frames[i] = f.Bytes
	}
	return frames
}

// Frame is a frame of a capture and when it was seen, to the microsecond.
type Frame struct {
	At    time.Time
	Bytes []byte
}

// Timed returns the frames of a capture with their times.
func Timed(pcap []byte) []Frame {
	var frames []Frame
	for rest := pcap[min(fileHeader, len(pcap)):]; len(rest) >= frameHeader; {
		seconds, micros := binary.LittleEndian.Uint32(rest), binary.LittleEndian.Uint32(rest[4:])
		at := time.Unix(int64(seconds), int64(micros)*1000)
		size := int(binary.LittleEndian.Uint32(rest[8:]))
		rest = rest[frameHeader:]
		size = min(size, len(rest))
		frames = append(frames, Frame{At: at, Bytes: rest[:size]})
		rest = rest[size:]
	}
	return frames
}

// Count returns how many frames of a capture hold the bytes.
func Count(pcap, needle []byte) int {
	count := 0
	for _, frame := range Frames(pcap) {
		if bytes.Contains(frame, needle) {
			count++
		}
	}
	return count
}

// Counters are the totals of an interface since it was made.
type Counters struct {
	ReceivedBytes, ReceivedPackets int64
	SentBytes, SentPackets         int64
}

// Sub returns what was counted since an earlier reading.
func (c Counters) Sub(before Counters) Counters {
	return Counters{
		ReceivedBytes:   c.ReceivedBytes - before.ReceivedBytes,
		ReceivedPackets: c.ReceivedPackets - before.ReceivedPackets,
		SentBytes:       c.SentBytes - before.SentBytes,
		SentPackets:     c.SentPackets - before.SentPackets,
	}
}

// Counters reads the totals of an interface. On Ethernet each packet counts with its header
// of 14 bytes.
func (h *Host) Counters(iface string) Counters {
	h.w.t.Helper()
	type counts struct {
		Bytes   int64 `json:"bytes"`
		Packets int64 `json:"packets"`
	}
	var links []struct {
		Stats struct {
			RX counts `json:"rx"`
			TX counts `json:"tx"`
		} `json:"stats64"`
	}
	text := h.Run("ip", "-s", "-j", "link", "show", "dev", iface)
	if err := json.Unmarshal([]byte(text), &links); err != nil || len(links) != 1 {
		h.w.t.Fatalf("%s: ip -s -j link show %s: %v: %s", h.Name, iface, err, text)
	}
	s := links[0].Stats
	return Counters{
		ReceivedBytes: s.RX.Bytes, ReceivedPackets: s.RX.Packets,
		SentBytes: s.TX.Bytes, SentPackets: s.TX.Packets,
	}
}
