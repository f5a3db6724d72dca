// SPDX-License-Identifier: Apache-2.0

// Package plane is the fast path: it takes batches of packets through tables that the slow path
// writes, and never starts a handshake, reads a clock, allocates per packet or touches a socket.
package plane

import (
	"net/netip"
	"sync/atomic"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/flow"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

// LinkID names a link to a neighbour; zero is no link.
type LinkID uint32

const (
	// TagSize is the size of the authentication tag of a sealed frame in bytes (RFC 8439).
	TagSize = 16
	// headRoom is the largest header of a data frame in bytes: long counter included.
	headRoom = 8
	// MaxSegments is how many datagrams one send may hold (the kernel's UDP_MAX_SEGMENTS).
	MaxSegments = 64
	// MaxSend is how many bytes one send may hold; 64 KiB less room for IP and UDP headers.
	MaxSend = 65000
)

// mark writes only when the reading moved: a batch is one reading, so the cache line stays shared.
func mark(a *atomic.Int64, now time.Duration) {
	if a.Load() != int64(now) {
		a.Store(int64(now))
	}
}

// RowKind says what happens to a frame that carries a row's label.
type RowKind uint8

// The kinds of label rows. The zero kind is an empty row.
const (
	RowNone    RowKind = iota
	RowTransit         // swap the label and send on
	RowSession         // the frame ends here and belongs to a session
	RowControl         // the frame ends here and belongs to a link
)

// Row is one entry of the label table.
type Row struct {
	Kind    RowKind
	Label   wire.Label // the whole label, so that a stale one is recognised
	In      *Link      // whose label this is; nil for control rows, which may roam
	ID      LinkID     // the link of a control row
	Out     wire.Label // transit: the label the next hop chose
	To      *Link      // transit: the next hop
	Session *Session   // session rows
	Used    *atomic.Int64
	Hop     *Hop // hop MACs after junk; mostly nil
}

// Path is how a session's frames leave: which neighbour, under which label, in what size.
type Path struct {
	Link  *Link
	Label wire.Label
	Size  int32           // largest UDP payload in bytes that reaches the other end
	Sign  *session.HopKey // makes hop MACs for the neighbour; mostly nil
}

// size is the largest UDP payload in bytes that reaches the other end, as far as is known.
func (p *Path) size() int { return min(int(p.Size), p.Link.Size()) }

// room is the largest plaintext in bytes that one frame carries.
func (p *Path) room() int {
	room := p.size() - headRoom - TagSize
	if p.Sign != nil {
		room -= wire.HopMACSize
	}
	return room
}

// Session is one end of an encrypted session as the fast path sees it.
type Session struct {
	Send  *session.Sender
	Recv  *session.Receiver
	Peer  *Peer // nil for a session between nodes, which carries control messages only
	Key   uint64
	path  atomic.Pointer[Path]
	heard atomic.Int64
	sent  atomic.Int64
	data  atomic.Int64 // last packet of a tunnel, in either direction
	first atomic.Int64 // first unanswered send
	parts flow.Reassembly
	partN atomic.Uint32
	refs  atomic.Pointer[flow.Refs] // made with the first TCP flow
}

// headers are the TCP headers that both ends know. They live and die with the session, because its
// counters are what names them.
func (s *Session) headers() *flow.Refs {
	if r := s.refs.Load(); r != nil {
		return r
	}
	s.refs.CompareAndSwap(nil, new(flow.Refs))
	return s.refs.Load()
}

// SetPath publishes where the session's frames go. What was sent another way is no longer waited
// for.
func (s *Session) SetPath(p *Path) {
	s.path.Store(p)
	s.first.Store(0)
}

// SignPath puts hop MACs on what the session sends from now on, or none when key is nil. It must
// have a path.
func (s *Session) SignPath(key *session.HopKey) {
	p := *s.path.Load()
	p.Sign = key
	s.path.Store(&p)
}

// ResizePath sets the largest UDP payload in bytes that reaches the other end. The session must
// have a path.
func (s *Session) ResizePath(bytes int) {
	p := *s.path.Load()
	p.Size = int32(bytes)
	s.path.Store(&p)
}

// long reports whether the n frames from a counter on carry 32 bits of it.
func (s *Session) long(now time.Duration, first uint64, n int) bool {
	fast := s.Send.Fast(now) // asked every time, because it counts
	return fast || s.Send.LongBatch(first, n)
}

// Path is where the session's frames go; nil while there is no way.
func (s *Session) Path() *Path { return s.path.Load() }

// Heard is when a frame of this session last opened, on the Up clock.
func (s *Session) Heard() time.Duration { return time.Duration(s.heard.Load()) }

// Sent is when a frame of this session was last sent, on the Up clock.
func (s *Session) Sent() time.Duration { return time.Duration(s.sent.Load()) }

// Data is when a packet of a tunnel last passed in either direction, on the Up clock. Messages
// about the session itself do not count.
func (s *Session) Data() time.Duration { return time.Duration(s.data.Load()) }

// Waiting is when the oldest send after the last sign of life left; zero when nothing waits.
func (s *Session) Waiting() time.Duration { return time.Duration(s.first.Load()) }

func (s *Session) markHeard(now time.Duration) {
	mark(&s.heard, now)
	if s.first.Load() != 0 {
		s.first.Store(0)
	}
	s.Send.Heard()
}

func (s *Session) markSent(now time.Duration) {
	mark(&s.sent, now)
	if s.first.Load() == 0 {
		s.first.Store(int64(now))
	}
}

// Side is which end of a tunnel this node holds.
type Side uint8

// The two ends of a tunnel.
const (
	SideServer Side = 1
	SideClient Side = 2
	// SideNode is either end of what two nodes of one network exchange outside tunnels.
	SideNode Side = 3
)

// Policy is what one tunnel allows at this end. It never changes; a change is a new policy.
type Policy struct {
	On       bool
	Side     Side
	Targets  []ident.Target
	Local4   netip.Addr // this end's inner address: the node's own, or the external device's
	Local6   netip.Addr
	Remote4  netip.Addr // the other endpoint's lease on this node
	Remote6  netip.Addr
	External bool
}

// Peer is the other endpoint of one tunnel: policy, flows and the session of the moment.
type Peer struct {
	Key     uint64
	policy  atomic.Pointer[Policy]
	session atomic.Pointer[Session]
	other   atomic.Pointer[Session]
	Client  flow.ClientSlots
	Server  flow.ServerSlots

	errorsOut, errorsIn, large pace
}

// SetPolicy publishes what the tunnel allows from now on.
func (p *Peer) SetPolicy(pol *Policy) { p.policy.Store(pol) }

// Policy is what the tunnel allows now.
func (p *Peer) Policy() *Policy { return p.policy.Load() }

// SetSession publishes the session that carries the tunnel; nil while there is none.
func (p *Peer) SetSession(s *Session) { p.session.Store(s) }

// Session is the session that carries the tunnel now, or nil.
func (p *Peer) Session() *Session { return p.session.Load() }

// SetOther publishes a session that may deliver beside the one that carries the tunnel: the one
// before it, or one whose other end has not confirmed it yet. nil takes it away.
func (p *Peer) SetOther(s *Session) { p.other.Store(s) }

// Other is the session that may deliver beside the one that carries the tunnel, or nil.
func (p *Peer) Other() *Session { return p.other.Load() }

// way is the session that carries the tunnel and its path; both are nil while either is missing.
func (p *Peer) way() (*Session, *Path) {
	s := p.Session()
	if s == nil {
		return nil, nil
	}
	path := s.Path()
	if path == nil {
		return nil, nil
	}
	return s, path
}

// delivers is what may be delivered of a session now, or the reason why nothing may.
func (s *Session) delivers() (*Policy, drop.Reason) {
	if s.Peer == nil {
		return nil, drop.NoTunnel
	}
	pol := s.Peer.Policy()
	if pol == nil || !pol.On || !s.Peer.takes(s) {
		return nil, drop.TunnelDisabled
	}
	return pol, drop.None
}

// takes reports whether what came in a session may be delivered.
func (p *Peer) takes(s *Session) bool { return p.Session() == s || p.Other() == s }

// Run is one send: bytes Off to Off+Len of a buffer, in datagrams of Seg bytes, to one neighbour.
type Run struct {
	Off, Len, Seg int
	To            netip.AddrPort
}

// Control is a datagram for the slow path. B aliases the receive buffer.
type Control struct {
	Link LinkID // the link whose control label the frame carries; zero for a stranger
	From netip.AddrPort
	B    []byte
}

// NoticeKind says what the fast path saw.
type NoticeKind uint8

// What the fast path tells the slow path.
const (
	NoticeUnknownLabel NoticeKind = iota + 1 // a frame with a label that has no row
	NoticeSession                            // a session message for the slow path (Body)
	NoticeBusy                               // a session that was quiet sends again
	NoticeUnknownLink                        // a link frame with a label that has no row
	NoticeWrongSource                        // a frame of a link from another address (Link, From)
	NoticeTooBig                             // a frame longer than the next link carries (Link)
	NoticeJunk                               // frames under a label that did not open (Link, Count)
)

// Notice is one thing the fast path saw and the slow path should act on.
type Notice struct {
	Kind    NoticeKind
	From    netip.AddrPort
	Label   wire.Label
	Link    *Link
	Session *Session
	Count   int
	Body    []byte // aliases the receive buffer or a copy owned by the worker until the next call
}

// Counters are the drops and traffic of one worker. They may be read at any time.
type Counters struct {
	Drops  [drop.Count]atomic.Uint64
	Opened atomic.Uint64
	Sealed atomic.Uint64
	Moved  atomic.Uint64
}
