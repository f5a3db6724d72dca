// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A Handler carries out requests. It is called from one goroutine per connection, only
// with requests that the peer may make. An error that is an *Error reaches the client with
// its code and hint, any other with CodeFailed.
type Handler interface {
	Handle(ctx context.Context, peer Peer, req Request) (result any, err error)
}

// A Server answers at one or more listeners. The zero value serves nobody but root and
// needs no further setup; Access is set before Serve.
type Server struct {
	Access Access

	mu     sync.Mutex // guards the fields below
	conns  map[net.Conn]struct{}
	lists  map[net.Listener]struct{}
	closed bool
	active sync.WaitGroup // connections being served

	strangers atomic.Int32 // connections of users at LevelNone
}

// ErrServerClosed is what Serve returns after Close.
var ErrServerClosed = errors.New("control server closed")

// Serve accepts connections until Close or until the listener fails, then waits for the
// goroutines it has started, one per connection. The error is never nil.
func (s *Server) Serve(l net.Listener, h Handler) error {
	if !s.watch(l) {
		return ErrServerClosed
	}
	defer s.active.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			if s.isClosed() {
				return ErrServerClosed
			}
			return fmt.Errorf("control server: %w", err)
		}
		if full := s.admit(c); full != nil {
			s.turnAway(c, full)
			continue
		}
		go func() {
			defer s.active.Done()
			s.serveConn(c, h)
		}()
	}
}

// Close ends every listener and connection and returns when all goroutines are done.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for l := range s.lists {
		_ = l.Close() // the error of a listener that is already closed
	}
	for c := range s.conns {
		_ = c.Close() // interrupts its reader
	}
	s.mu.Unlock()
	s.active.Wait()
}

func (s *Server) watch(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.lists == nil {
		s.lists = make(map[net.Listener]struct{})
		s.conns = make(map[net.Conn]struct{})
	}
	s.lists[l] = struct{}{}
	return true
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// admit counts a connection in, or says why not. Counting under the lock is what lets
// Close be sure that it waits for everybody.
func (s *Server) admit(c net.Conn) *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return Errorf(CodeFailed, "the daemon is stopping")
	case len(s.conns) >= MaxConnections:
		return Errorf(CodeFailed, "the daemon has %d clients already", MaxConnections).
			WithHint("try again in a minute")
	}
	s.conns[c] = struct{}{}
	s.active.Add(1)
	return nil
}

// admitStranger counts a user in who may do nothing but look names up, or says why not.
func (s *Server) admitStranger() *Error {
	if s.strangers.Add(1) <= maxStrangers {
		return nil
	}
	s.strangers.Add(-1)
	return Errorf(CodeFailed, "%d users look names up already", maxStrangers)
}

// turnAway answers without reading anything. It must not delay others: the short line
// fits the socket's buffer, and the deadline holds where it does not.
func (s *Server) turnAway(c net.Conn, why *Error) {
	_ = c.SetDeadline(time.Now().Add(100 * time.Millisecond))
	_ = send(c, failure(why))
	_ = c.Close()
}

// serveConn answers the requests of one connection in their order.
func (s *Server) serveConn(c net.Conn, h Handler) {
	defer func() {
		_ = c.Close() // the peer may be gone, there is nobody to tell
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	peer, err := peerOf(c)
	if err != nil {
		s.turnAway(c, Errorf(CodeNotPermitted, "%v", err))
		return
	}
	peer = s.Access.identify(peer)
	lines := bufio.NewScanner(c)
	lines.Buffer(make([]byte, 0, 4096), MaxLine)
	patience := IdleTimeout
	if peer.Level == LevelNone {
		if full := s.admitStranger(); full != nil {
			s.turnAway(c, full)
			return
		}
		defer s.strangers.Add(-1)
		patience = strangerTimeout
	}
	for {
		if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return
		}
		if !lines.Scan() {
			if errors.Is(lines.Err(), bufio.ErrTooLong) {
				s.turnAway(c, Errorf(CodeBadRequest,
					"the request is longer than %d bytes", MaxLine))
			}
			return
		}
		if send(c, answer(peer, lines.Bytes(), h)) != nil {
			return
		}
		if peer.Level == LevelNone {
			return // one answer is a name, or tells a stranger why not; it gets no second
		}
	}
}

// answer carries out one request.
func answer(peer Peer, line []byte, h Handler) Reply {
	var req Request
	if err := json.Unmarshal(line, &req); err != nil {
		return failure(Errorf(CodeBadRequest, "the request is not JSON: %v", err))
	}
	if denied := permit(peer, req.Op); denied != nil {
		return failure(denied)
	}
	ctx, cancel := context.WithTimeout(context.Background(), RequestTimeout)
	defer cancel()
	result, err := h.Handle(ctx, peer, req)
	if errors.Is(err, context.DeadlineExceeded) {
		err = Errorf(CodeTimeout, "%s took longer than %v", req.Op, RequestTimeout)
	}
	return replyTo(result, err)
}

// send writes one reply.
func send(c net.Conn, r Reply) error {
	line, err := encode(r)
	if err != nil {
		line, err = encode(failure(err))
	}
	if err != nil {
		return err
	}
	if err := c.SetWriteDeadline(time.Now().Add(ioTimeout)); err != nil {
		return fmt.Errorf("send a reply: %w", err)
	}
	if _, err := c.Write(line); err != nil {
		return fmt.Errorf("send a reply: %w", err)
	}
	return nil
}
