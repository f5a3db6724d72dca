// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"staex/internal/ident"
)

// handle is a Handler of one function.
type handle func(Peer, Request) (any, error)

func (h handle) Handle(_ context.Context, p Peer, r Request) (any, error) { return h(p, r) }

// socketPath is a path short enough for a Unix socket whatever the test is called.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "api")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "sock")
}

// own is the access of a machine without the groups.
func own() Access {
	return Access{Own: uint32(os.Geteuid())}
}

// serve runs a server until the test ends and returns its path.
func serve(t *testing.T, a Access, h Handler) string {
	t.Helper()
	path := socketPath(t)
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Access: a}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l, h) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-done; !errors.Is(err, ErrServerClosed) {
			t.Errorf("Serve returned %v", err)
		}
	})
	return path
}

func dial(t *testing.T, path string) *Client {
	t.Helper()
	c, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func someID(n byte) ident.NodeID { return ident.SecretFromSeed([32]byte{n}).ID() }

func TestRequestsOfOneConnectionAreAnsweredInOrder(t *testing.T) {
	path := serve(t, own(), handle(func(p Peer, r Request) (any, error) {
		if p.UID != uint32(os.Geteuid()) || int(p.PID) != os.Getpid() || p.Level != LevelChange {
			return nil, fmt.Errorf("the peer is %+v", p)
		}
		var args TunnelArgs
		if err := r.Decode(&args); err != nil {
			return nil, err
		}
		return TunnelReply{ID: someID(1), Name: args.Tunnel, State: r.Op}, nil
	}))
	c := dial(t, path)
	if c.Path() != path {
		t.Errorf("path %s", c.Path())
	}
	for i := range 10 {
		var got TunnelReply
		name := fmt.Sprint("t", i)
		if err := c.Call(OpEnableTunnel, TunnelArgs{name}, &got); err != nil {
			t.Fatal(err)
		}
		if want := (TunnelReply{someID(1), name, OpEnableTunnel}); got != want {
			t.Errorf("got %+v", got)
		}
	}
	if err := c.Call(OpReloadTunnels, nil, nil); err != nil {
		t.Error(err)
	}
}

func TestErrorsKeepTheirCodeAndHint(t *testing.T) {
	path := serve(t, own(), handle(func(_ Peer, r Request) (any, error) {
		switch r.Op {
		case OpRoute:
			return nil, fmt.Errorf("wrapped: %w",
				Errorf(CodeNotFound, "no route to %s", "x").WithHint("see mcc nodes"))
		case OpPing:
			return nil, fmt.Errorf("ping: %w", context.DeadlineExceeded)
		case OpDir:
			return make(chan int), nil
		case OpNodes:
			return strings.Repeat("x", MaxLine), nil
		}
		return nil, errors.New("it broke")
	}))
	c := dial(t, path)
	for _, want := range []struct {
		op   string
		code Code
		text string
		hint string
	}{
		{OpRoute, CodeNotFound, "no route to x", "see mcc nodes"},
		{OpPing, CodeTimeout, "ping took longer than 30s", ""},
		{OpStatus, CodeFailed, "it broke", ""},
		{OpDir, CodeFailed, "encode the result", ""},
		{OpNodes, CodeFailed, "more than one line may have", ""},
	} {
		var e *Error
		err := c.Call(want.op, nil, nil)
		if !errors.As(err, &e) || e.Code != want.code || e.Hint != want.hint ||
			!strings.Contains(e.Error(), want.text) {
			t.Errorf("%s: %+v", want.op, err)
		}
	}
}

func TestArgumentsAreDecodedStrictly(t *testing.T) {
	for _, c := range []struct {
		args string
		ok   bool
	}{
		{``, true},
		{`{"tunnel":"a"}`, true},
		{`{"tunel":"a"}`, false},
		{`{"tunnel":1}`, false},
		{`{} {}`, false},
	} {
		var e *Error
		err := Request{OpDeleteTunnel, json.RawMessage(c.args)}.Decode(&TunnelArgs{})
		if (err == nil) != c.ok || err != nil && (!errors.As(err, &e) || e.Code != CodeBadRequest) {
			t.Errorf("%s: %v", c.args, err)
		}
	}
}

func TestWhoMayDoWhat(t *testing.T) {
	mcc, admin := GroupID{100, true}, GroupID{101, true}
	for _, c := range []struct {
		name   string
		access Access
		peer   Peer
		want   Level
	}{
		{"root may change", Access{7, mcc, admin, nil}, Peer{UID: 0}, LevelChange},
		{"a stranger may nothing", Access{7, mcc, admin, nil}, Peer{UID: 5, GID: 5}, LevelNone},
		{"a reader may read", Access{7, mcc, admin, nil}, Peer{UID: 5, GID: 100}, LevelRead},
		{
			"also by another group",
			Access{7, mcc, admin, nil},
			Peer{UID: 5, Groups: []uint32{4, 100}},
			LevelRead,
		},
		{
			"an admin may change",
			Access{7, mcc, admin, nil},
			Peer{UID: 5, Groups: []uint32{101}},
			LevelChange,
		},
		{
			"where groups exist the daemon's user is nobody special",
			Access{7, mcc, admin, nil},
			Peer{UID: 7, GID: 7},
			LevelNone,
		},
		{"without groups it may change", Access{Own: 7}, Peer{UID: 7}, LevelChange},
		{"without groups others may nothing", Access{Own: 7}, Peer{UID: 8}, LevelNone},
		{"a missing group has no members", Access{Own: 7}, Peer{UID: 8, GID: 0}, LevelNone},
		{
			"without readers the daemon's user may read",
			Access{7, GroupID{}, admin, nil},
			Peer{UID: 7},
			LevelRead,
		},
	} {
		if got := c.access.Level(c.peer); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestChangingNeedsMoreThanReading(t *testing.T) {
	for _, op := range []string{
		OpAcceptTunnel, OpRejectTunnel, OpDisableTunnel, OpEnableTunnel, OpDeleteTunnel,
		OpReloadTunnels, "", "something-new",
	} {
		if permit(Peer{Level: LevelRead}, op) == nil {
			t.Errorf("a reader may %q", op)
		}
		if err := permit(Peer{Level: LevelChange}, op); err != nil {
			t.Errorf("an admin may not %q: %v", op, err)
		}
	}
	for _, op := range []string{
		OpID, OpParent, OpHealth, OpNodes, OpResolve, OpRoute, OpTunnels, OpPing, OpDir, OpStatus,
	} {
		if err := permit(Peer{Level: LevelRead}, op); err != nil {
			t.Errorf("a reader may not %q: %v", op, err)
		}
		if permit(Peer{}, op) == nil {
			t.Errorf("a stranger may %q", op)
		}
	}
	if err := permit(Peer{}, OpLookup); err != nil {
		t.Errorf("a stranger may not look up names: %v", err)
	}
}

func TestNonsenseIsAnsweredWithBadRequest(t *testing.T) {
	path := serve(t, own(), handle(func(Peer, Request) (any, error) { return nil, nil }))
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	lines := bufio.NewScanner(conn)
	for _, c := range []struct{ send, want string }{
		{`{"op":"id"}`, `{"ok":true}`},
		{`hello`, `"code":"bad-request"`},
		{``, `"code":"bad-request"`},
		{`{"op":5}`, `"code":"bad-request"`},
		{strings.Repeat("x", MaxLine+1), `longer than 1048576 bytes`},
	} {
		if _, err := fmt.Fprintln(conn, c.send); err != nil {
			t.Fatal(err)
		}
		if !lines.Scan() || !strings.Contains(lines.Text(), c.want) {
			t.Errorf("%.20q: answer %q", c.send, lines.Text())
		}
	}
}

func TestMoreThanTheMostConnectionsAreTurnedAway(t *testing.T) {
	path := serve(t, own(), handle(func(Peer, Request) (any, error) { return nil, nil }))
	var clients []*Client
	for range MaxConnections {
		c := dial(t, path)
		if err := c.Call(OpID, nil, nil); err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	if err := dial(t, path).Call(OpID, nil, nil); err == nil ||
		!strings.Contains(err.Error(), "64 clients") {
		t.Errorf("got %v", err)
	}
	if err := clients[0].Close(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(5 * time.Second)
	for dial(t, path).Call(OpID, nil, nil) != nil {
		if time.Now().After(deadline) {
			t.Fatal("a place that became free was not given away")
		}
	}
}

func TestACallGivesUpAfterItsTimeout(t *testing.T) {
	release := make(chan struct{})
	var once sync.Once
	stop := func() { once.Do(func() { close(release) }) }
	defer stop()
	path := serve(t, own(), handle(func(Peer, Request) (any, error) {
		<-release
		return nil, nil
	}))
	c := dial(t, path)
	c.Timeout = 20 * time.Millisecond
	if err := c.Call(OpID, nil, nil); codeOf(err) != CodeTimeout {
		t.Errorf("got %v", err)
	}
}

func TestNoDaemonIsSaidAsSuch(t *testing.T) {
	path := socketPath(t)
	if _, err := Dial(path); codeOf(err) != CodeNoDaemon {
		t.Errorf("no socket: %v", err)
	}
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	if _, err := Dial(path); codeOf(err) != CodeNoDaemon {
		t.Errorf("dead socket: %v", err)
	}
}

func TestADeadSocketIsReplacedAndALiveOneIsNot(t *testing.T) {
	path := socketPath(t)
	dead, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	_ = dead.Close()
	live, err := Listen(path)
	if err != nil {
		t.Fatalf("over a dead socket: %v", err)
	}
	defer live.Close()
	if _, err := Listen(path); !errors.Is(err, ErrInUse) {
		t.Errorf("over a live socket: %v", err)
	}
	file := filepath.Join(filepath.Dir(path), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(file); err == nil {
		t.Error("a file that is no socket was replaced")
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

func TestOnlyTheRightUsersMayBeTheDaemon(t *testing.T) {
	self := uint32(os.Geteuid())
	if err := believable(Peer{UID: 0}, false); err != nil {
		t.Error(err)
	}
	if err := believable(Peer{UID: self}, true); err != nil {
		t.Error(err)
	}
	if self != 0 && believable(Peer{UID: self}, false) == nil {
		t.Error("the own user is believed at a default place")
	}
	if believable(Peer{UID: 4294967000}, true) == nil {
		t.Error("any user is believed")
	}
}

func TestTheLargestNodesReplyFitsALine(t *testing.T) {
	n := Node{
		ID: someID(1), Parent: someID(2), LastSeen: time.Now(), Type: TypeServerEndpoint,
		Address: "[2001:0db8:1111:2222:3333:4444:5555:6666%interface]:65535", Self: true,
	}
	for i := range 16 {
		n.Tags = append(n.Tags, strings.Repeat(fmt.Sprint(i), 63)[:63])
	}
	r := NodesReply{More: true}
	for range MaxNodes {
		r.Nodes = append(r.Nodes, n)
	}
	if _, err := encode(replyTo(r, nil)); err != nil {
		t.Error(err)
	}
}

func TestRepliesSurviveTheWire(t *testing.T) {
	want := TunnelsReply{Tunnels: []Tunnel{{
		ID: someID(1), Name: "camera", Side: SideServer, State: StateActive,
		Local: someID(1), Remote: someID(2), RemoteNode: someID(3), Network: "0011223344556677",
		Targets: []ident.Target{{Proto: ident.ProtoTCP, Port: 80}}, Names: []string{"camera"},
		Static: netip.MustParseAddr("10.115.0.1"), External: netip.MustParseAddr("10.0.0.1"),
		Expires: time.Unix(1800000000, 0).UTC(), DisabledHere: true,
	}, {ID: someID(4), Side: SideClient, State: StateOffered, RemoteNode: someID(5)}}}
	path := serve(t, own(), handle(func(Peer, Request) (any, error) { return want, nil }))
	var got TunnelsReply
	if err := dial(t, path).Call(OpTunnels, nil, &got); err != nil {
		t.Fatal(err)
	}
	sameAddr := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := cmp.Diff(want, got, sameAddr); diff != "" {
		t.Error(diff)
	}
}

func TestCloseEndsConnectionsThatWait(t *testing.T) {
	path := socketPath(t)
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Access: own()}
	done := make(chan error)
	go func() {
		done <- s.Serve(l, handle(func(Peer, Request) (any, error) { return nil, nil }))
	}()
	c := dial(t, path)
	if err := c.Call(OpID, nil, nil); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := <-done; !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve returned %v", err)
	}
	if err := c.Call(OpID, nil, nil); err == nil {
		t.Error("a closed server answers")
	}
	if err := s.Serve(l, nil); !errors.Is(err, ErrServerClosed) {
		t.Errorf("a closed server serves: %v", err)
	}
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		`{"op":"nodes","args":{"all":true,"after":""}}`, `{"op":"ping"}`, `{`, `null`, `[]`,
		`{"op":"route","args":{"destination":"x"}}`, `{"op":"x","args":null}`,
	} {
		f.Add([]byte(s))
	}
	h := handle(func(_ Peer, r Request) (any, error) {
		for _, into := range []any{
			&NodesArgs{}, &ResolveArgs{}, &RouteArgs{}, &TunnelArgs{}, &PingArgs{},
		} {
			if err := r.Decode(into); err != nil {
				return nil, err
			}
		}
		return r, nil
	})
	f.Fuzz(func(t *testing.T, line []byte) {
		r := answer(Peer{Level: LevelChange}, line, h)
		if r.OK == (r.Code != "") {
			t.Fatalf("%+v", r)
		}
		if _, err := encode(r); err != nil && len(line) < MaxLine/8 {
			t.Fatal(err)
		}
	})
}

func TestTheMachinesOwnUsersAreKnown(t *testing.T) {
	a := SystemAccess()
	if a.Level(a.identify(Peer{UID: 0})) != LevelChange {
		t.Error("root may not change")
	}
	if a.Own != uint32(os.Geteuid()) {
		t.Errorf("own user %d", a.Own)
	}
	if p := a.identify(Peer{UID: 4294967000, GID: 4294967000}); p.Level != LevelNone {
		t.Errorf("an unknown user has level %d", p.Level)
	}
}
