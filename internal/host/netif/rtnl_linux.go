// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netif

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// answerLimit is how long the kernel has for the next part of an answer, which it gives at once
	// unless one was lost.
	answerLimit = time.Minute
	// answerMost is the size in bytes of the largest part of an answer; the kernel's own limit for
	// lists is the same.
	answerMost = 32 << 10
	// listTries is how often a list is asked for that changes while the kernel tells it.
	listTries = 8
)

var (
	// errListChanged is returned where a list may lack something because of a change meanwhile.
	errListChanged = fmt.Errorf("the list changed while it was read: %w", unix.EINTR)
	// errShort is returned for a message that ends too early.
	errShort = errors.New("a message of the kernel is too short")
	// errLong is returned for an answer that does not fit.
	errLong = errors.New("a message of the kernel is too long")
)

// rtnl asks the kernel about devices, addresses and routes, and to change them (rtnetlink(7)). Its
// errors are the kernel's numbers. One goroutine may use it.
type rtnl struct {
	fd       int
	sequence uint32
	buf      []byte
}

// request is a message to the kernel: the header of its kind and attributes.
type request struct {
	kind  uint16
	flags uint16
	head  []byte
	attrs []byte
}

// withKernel opens a socket for a group of requests. It never waits long: what the kernel has to
// say is there when a request was sent.
func withKernel(do func(k *rtnl) error) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("netif: open rtnetlink: %w", err)
	}
	defer unix.Close(fd)
	limit := unix.NsecToTimeval(answerLimit.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return fmt.Errorf("netif: open rtnetlink: %w", err)
	}
	return do(&rtnl{fd: fd, buf: make([]byte, answerMost)})
}

// list asks for all there is of a kind. It calls again from the beginning, after restart, when
// something changed meanwhile.
func (k *rtnl) list(r request, restart func(), take func(m syscall.NetlinkMessage) error) error {
	r.flags = unix.NLM_F_DUMP
	for try := 1; ; try++ {
		restart()
		if err := k.ask(r, take); try == listTries || !errors.Is(err, errListChanged) {
			return err
		}
	}
}

// change asks for a change and waits until it is done.
func (k *rtnl) change(r request) error {
	r.flags |= unix.NLM_F_ACK
	return k.ask(r, func(syscall.NetlinkMessage) error { return nil })
}

// ask sends a request and hands out the messages of the answer, which are valid until take returns.
func (k *rtnl) ask(r request, take func(m syscall.NetlinkMessage) error) error {
	if err := k.send(r); err != nil {
		return err
	}
	changed := false
	for {
		messages, err := k.receive()
		if err != nil {
			return err
		}
		for _, m := range messages {
			if m.Header.Seq != k.sequence {
				continue // of a request that was given up
			}
			changed = changed || m.Header.Flags&unix.NLM_F_DUMP_INTR != 0
			if t := m.Header.Type; t == unix.NLMSG_ERROR || t == unix.NLMSG_DONE {
				if err := result(m); err != nil || !changed {
					return err
				}
				return errListChanged
			}
			if err := take(m); err != nil {
				return err
			}
			if (m.Header.Flags|r.flags)&(unix.NLM_F_MULTI|unix.NLM_F_ACK) == 0 {
				return nil // all there is
			}
		}
	}
}

func (k *rtnl) send(r request) error {
	k.sequence++
	b := binary.NativeEndian.AppendUint32(nil,
		uint32(unix.SizeofNlMsghdr+len(r.head)+len(r.attrs)))
	b = binary.NativeEndian.AppendUint16(b, r.kind)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|r.flags)
	b = binary.NativeEndian.AppendUint32(b, k.sequence)
	b = binary.NativeEndian.AppendUint32(b, 0) // from whoever has the socket
	b = append(append(b, r.head...), r.attrs...)
	for {
		err := unix.Sendto(k.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// receive reads one part of an answer, which is valid until the next.
func (k *rtnl) receive() ([]syscall.NetlinkMessage, error) {
	for {
		n, from, err := unix.Recvfrom(k.fd, k.buf, unix.MSG_TRUNC)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if n > len(k.buf) {
			return nil, errLong
		}
		if a, ok := from.(*unix.SockaddrNetlink); !ok || a.Pid != 0 {
			continue // not from the kernel
		}
		return syscall.ParseNetlinkMessage(k.buf[:n])
	}
}

// result reads how a request ended.
func result(m syscall.NetlinkMessage) error {
	if len(m.Data) < 4 {
		if m.Header.Type == unix.NLMSG_DONE {
			return nil // old kernels say no more
		}
		return errShort
	}
	if number := int32(binary.NativeEndian.Uint32(m.Data)); number != 0 {
		return unix.Errno(-number)
	}
	return nil
}
