// SPDX-License-Identifier: Apache-2.0

//go:build linux

package load

import (
	"context"
	"io"
	"net"
	"sync"
)

// Messages is an open TCP connection that carries a small message now and then, as MQTT does.
type Messages struct {
	conn     net.Conn
	listener net.Listener
	wait     sync.WaitGroup
}

// OpenMessages opens the connection.
func OpenMessages(ctx context.Context, p Path) (*Messages, error) {
	l, err := p.listenTCP(ctx, PortMessage)
	if err != nil {
		return nil, err
	}
	m := &Messages{listener: l}
	m.wait.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return // closed
		}
		defer c.Close()
		_, _ = io.Copy(io.Discard, c) // until the other end closes
	})
	if m.conn, err = p.dialTCP(ctx, PortMessage); err != nil {
		l.Close()
		return nil, err
	}
	return m, nil
}

// Say sends one message of so many bytes at once (Go sets TCP_NODELAY).
func (m *Messages) Say(size int) error {
	_, err := m.conn.Write(make([]byte, size))
	return err
}

// Close ends the connection.
func (m *Messages) Close() {
	m.conn.Close()
	m.listener.Close()
	m.wait.Wait()
}
