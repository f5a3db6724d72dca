// SPDX-License-Identifier: Apache-2.0

package dnsd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// MaxQueries bounds the queries answered at a time over UDP; a Resolver may have to ask the
	// network. More are dropped, and clients ask again.
	MaxQueries = 64

	// MaxStreams bounds TCP connections; clients use them for the rare answer that UDP cannot
	// carry.
	MaxStreams = 16

	// streamPatience is how long a TCP connection may take for a query or wait for the next.
	streamPatience = 5 * time.Second

	// acceptPause keeps a failing accept (no descriptors left) from using up the processor.
	acceptPause = 100 * time.Millisecond
)

// Server answers on one address by UDP and TCP.
type Server struct {
	udp *net.UDPConn
	tcp *net.TCPListener
}

// Listen takes the address for both protocols; port 0 lets the system choose one port. When it is
// taken the error satisfies errors.Is(err, syscall.EADDRINUSE).
func Listen(addr netip.AddrPort) (*Server, error) {
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, fmt.Errorf("dnsd: listen at %v: %w", addr, err)
	}
	port := udp.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	both := netip.AddrPortFrom(addr.Addr(), port)
	tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(both))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("dnsd: listen at %v: %w", addr, err), udp.Close())
	}
	return &Server{udp: udp, tcp: tcp}, nil
}

// Addr returns the address and port.
func (s *Server) Addr() netip.AddrPort { return s.tcp.Addr().(*net.TCPAddr).AddrPort() }

// Close ends Serve.
func (s *Server) Close() error {
	if err := errors.Join(s.udp.Close(), s.tcp.Close()); err != nil {
		return fmt.Errorf("dnsd: close: %w", err)
	}
	return nil
}

// Serve answers queries until Close and returns when the last answer is given. Its goroutines, at
// most MaxQueries and MaxStreams, end before it does.
func (s *Server) Serve(r Resolver, cfg Config) {
	var wg sync.WaitGroup
	wg.Go(func() { s.serveUDP(r, cfg) })
	s.serveTCP(r, cfg)
	wg.Wait()
}

func (s *Server) serveUDP(r Resolver, cfg Config) {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, MaxQueries)
	buf := make([]byte, maxQuery)
	for {
		n, from, err := s.udp.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // left by an ICMP error about an earlier answer
		}
		select {
		case slots <- struct{}{}:
		default:
			continue
		}
		query := append([]byte(nil), buf[:n]...)
		wg.Go(func() {
			defer func() { <-slots }()
			if reply := Answer(query, r, cfg); reply != nil {
				// A client that cannot be reached has gone; there is nobody to tell.
				_, _ = s.udp.WriteToUDPAddrPort(reply, from)
			}
		})
	}
}

func (s *Server) serveTCP(r Resolver, cfg Config) {
	streams := streams{open: map[net.Conn]struct{}{}}
	defer streams.end()
	for {
		conn, err := s.tcp.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(acceptPause)
			continue
		}
		if !streams.add(conn) {
			_ = conn.Close()
			continue
		}
		streams.wg.Go(func() {
			defer streams.remove(conn)
			serveStream(conn, r, cfg)
		})
	}
}

// serveStream answers the queries of one connection in turn, each after its length (RFC 1035,
// section 4.2.2), until the client is done or too slow.
func serveStream(conn net.Conn, r Resolver, cfg Config) {
	var size [2]byte
	for {
		if conn.SetDeadline(time.Now().Add(streamPatience)) != nil {
			return
		}
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		reply := Answer(query, r, cfg)
		if reply == nil {
			return
		}
		out := binary.BigEndian.AppendUint16(nil, uint16(len(reply)))
		if _, err := conn.Write(append(out, reply...)); err != nil {
			return
		}
	}
}

// streams are the open TCP connections, so that the end of the server is theirs too.
type streams struct {
	wg   sync.WaitGroup
	mu   sync.Mutex // guards open
	open map[net.Conn]struct{}
}

func (s *streams) add(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) >= MaxStreams {
		return false
	}
	s.open[c] = struct{}{}
	return true
}

func (s *streams) remove(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
	_ = c.Close()
}

func (s *streams) end() {
	s.mu.Lock()
	for c := range s.open {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}
