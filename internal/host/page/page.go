// SPDX-License-Identifier: Apache-2.0

// Package page is one text that programs fetch with HTTP, such as counters for a monitor. It
// answers GET and never reads a body, never keeps a connection and never serves a file.
//
// It is a few lines instead of net/http because that is larger than the rest of a small daemon.
package page

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// MaxRequest is the longest request in bytes, header fields included; a monitor sends a few
	// hundred.
	MaxRequest = 4 << 10
	// MaxConns is how many requests are served at once; who comes meanwhile is hung up on.
	MaxConns = 4
	// Patience is how long one request with its answer may take.
	Patience = 5 * time.Second
)

// Listen opens a listener at an address ("127.0.0.1:9100"), or, when at contains a slash, a socket
// file that its owner and its group may use. A socket file that nobody listens at is replaced; one
// that somebody listens at makes the error satisfy errors.Is(err, fs.ErrExist).
func Listen(at string) (net.Listener, error) {
	if !strings.Contains(at, "/") {
		l, err := net.Listen("tcp", at)
		if err != nil {
			return nil, fmt.Errorf("page: %w", err)
		}
		return l, nil
	}
	if err := clearStale(at); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", at)
	if err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	if err := os.Chmod(at, 0o660); err != nil { //nolint:gosec // a monitor is of the group
		return nil, errors.Join(fmt.Errorf("page: %w", err), l.Close())
	}
	return l, nil
}

// clearStale removes the socket of a process that is gone, and nothing else.
func clearStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("page: %w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("page: %s is a file and no socket: %w", path, fs.ErrExist)
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		_ = c.Close() // nothing was sent
		return fmt.Errorf("page: somebody listens at %s: %w", path, fs.ErrExist)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("page: %w", err)
	}
	return nil
}

// Server answers requests for one page. Path and Text are set before Serve.
type Server struct {
	Path string                 // of the page, such as "/metrics"
	Type string                 // its media type
	Text func() ([]byte, error) // makes the page; called by several goroutines

	mu     sync.Mutex // guards the fields below
	closed bool
	conns  map[net.Conn]struct{}
	active sync.WaitGroup
}

// Serve accepts connections until the listener is closed, then waits for the goroutines it has
// started, one per connection. The error is nil after the listener was closed.
func (s *Server) Serve(l net.Listener) error {
	defer s.active.Wait()
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("page: %w", err)
		}
		if !s.admit(c) {
			_ = c.Close() // it was told nothing, and is
			continue
		}
		s.active.Go(func() {
			defer s.forget(c)
			s.answer(c)
		})
	}
}

// Close ends the connections that are open and admits no more. The listener is the caller's.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for c := range s.conns {
		_ = c.Close() // interrupts its reader
	}
}

func (s *Server) admit(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.conns) >= MaxConns {
		return false
	}
	if s.conns == nil {
		s.conns = map[net.Conn]struct{}{}
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *Server) forget(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	_ = c.Close() // the answer is out, or cannot be
}

// answer serves one request.
func (s *Server) answer(c net.Conn) {
	if c.SetDeadline(time.Now().Add(Patience)) != nil {
		return
	}
	head, err := readHead(c)
	if err != nil {
		if errors.Is(err, errTooLong) {
			_ = reply(c, statusTooLong, s.Type, nil)
		}
		return
	}
	status := judge(head, s.Path)
	var text []byte
	if status == statusOK {
		if text, err = s.Text(); err != nil {
			status, text = statusUnavailable, nil
		}
	}
	_ = reply(c, status, s.Type, text) // who has gone needs no answer
}

var errTooLong = errors.New("page: request too long")

// readHead reads up to the empty line that ends a request's header (RFC 9112, section 2.1).
func readHead(r io.Reader) ([]byte, error) {
	b := make([]byte, 0, MaxRequest)
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if i := headEnd(b); i >= 0 {
			return b[:i], nil
		}
		switch {
		case err != nil:
			return nil, err
		case len(b) == cap(b):
			return nil, errTooLong
		}
	}
}

// headEnd is where the header ends, or -1. A lone line feed ends a line, too (RFC 9112, 2.2).
func headEnd(b []byte) int {
	end := -1
	for _, mark := range []string{"\r\n\r\n", "\n\n"} {
		if i := bytes.Index(b, []byte(mark)); i >= 0 && (end < 0 || i < end) {
			end = i
		}
	}
	return end
}

// The answers that there are (RFC 9110, section 15).
const (
	statusOK          = "200 OK"
	statusBad         = "400 Bad Request"
	statusNotFound    = "404 Not Found"
	statusMethod      = "405 Method Not Allowed"
	statusTooLong     = "431 Request Header Fields Too Large"
	statusUnavailable = "503 Service Unavailable"
)

// judge decides about a request by its first line.
func judge(head []byte, path string) string {
	line, _, _ := strings.Cut(string(head), "\n")
	parts := strings.Split(strings.TrimSuffix(line, "\r"), " ")
	if len(parts) != 3 || !strings.HasPrefix(parts[2], "HTTP/1.") || parts[1] == "" {
		return statusBad
	}
	target, _, _ := strings.Cut(parts[1], "?")
	switch {
	case target != path:
		return statusNotFound
	case parts[0] != "GET":
		return statusMethod
	}
	return statusOK
}

// reply writes an answer.
func reply(w io.Writer, status, mediaType string, text []byte) error {
	if status != statusOK {
		mediaType, text = "text/plain; charset=utf-8", []byte(status+"\n")
	}
	head := "HTTP/1.1 " + status + "\r\nContent-Type: " + mediaType +
		"\r\nContent-Length: " + strconv.Itoa(len(text)) + "\r\nConnection: close\r\n"
	if status == statusMethod {
		head += "Allow: GET\r\n"
	}
	_, err := w.Write(append([]byte(head+"\r\n"), text...))
	return err
}
