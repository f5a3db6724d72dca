// SPDX-License-Identifier: Apache-2.0

package page_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"staex/internal/host/page"
)

// serve serves a text at a listener until the test ends.
func serve(t *testing.T, l net.Listener, text func() ([]byte, error)) *page.Server {
	t.Helper()
	s := &page.Server{Path: "/metrics", Type: "text/plain; version=0.0.4", Text: text}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = l.Close()
		s.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

func listen(t *testing.T, at string) net.Listener {
	t.Helper()
	l, err := page.Listen(at)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func hello() ([]byte, error) { return []byte("a 1\n"), nil }

// say sends bytes and returns what comes back.
func say(t *testing.T, l net.Listener, request string) string {
	t.Helper()
	c, err := net.Dial(l.Addr().Network(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(c, request) // a long one may be cut off
	if h, ok := c.(interface{ CloseWrite() error }); ok {
		_ = h.CloseWrite()
	}
	answer, _ := io.ReadAll(c)
	return string(answer)
}

func TestAStandardClientGetsThePage(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	serve(t, l, hello)
	for range 3 {
		r, err := http.Get("http://" + l.Addr().String() + "/metrics?x=1")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || r.StatusCode != 200 || string(text) != "a 1\n" ||
			r.Header.Get("Content-Type") != "text/plain; version=0.0.4" {
			t.Errorf("%v, %v: %q", r.Status, err, text)
		}
	}
}

func TestAnythingElseGetsAnErrorOfItsOwn(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	serve(t, l, hello)
	long := "GET /" + strings.Repeat("a", 5000) + " HTTP/1.1\r"
	for request, want := range map[string]string{
		"GET /metrics HTTP/1.0\n\n":                "HTTP/1.1 200 ",
		"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n": "HTTP/1.1 200 ",
		"POST /metrics HTTP/1.1\r\n\r\nGET":        "HTTP/1.1 405 ",
		"GET / HTTP/1.1\r\n\r\n":                   "HTTP/1.1 404 ",
		"GET /metrics/../etc HTTP/1.1\r\n\r\n":     "HTTP/1.1 404 ",
		"GET  HTTP/1.1\r\n\r\n":                    "HTTP/1.1 400 ",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":         "HTTP/1.1 400 ",
		"hello\r\n\r\n":                            "HTTP/1.1 400 ",
		"\r\n\r\n":                                 "HTTP/1.1 400 ",
		"":                                         "",
		"GET /metrics HTTP/1.1\r\n":                "",
		long:                                       "HTTP/1.1 431 ",
	} {
		got := say(t, l, request)
		if !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%.30q got %.40q, want %q", request, got, want)
		}
	}
}

func TestAPageThatCannotBeMadeIsAnError(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	serve(t, l, func() ([]byte, error) { return nil, errors.New("stopping") })
	if got := say(t, l, "GET /metrics HTTP/1.1\r\n\r\n"); !strings.HasPrefix(got,
		"HTTP/1.1 503 ") || strings.Contains(got, "stopping") {
		t.Errorf("%q", got)
	}
}

func TestWhoSaysNothingKeepsNobodyOut(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	s := serve(t, l, hello)
	var silent []net.Conn
	for range page.MaxConns {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		silent = append(silent, c)
	}
	// One more is hung up on; that it was tells that the others are being served.
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if b, _ := io.ReadAll(c); len(b) != 0 {
		t.Errorf("one too many got %q", b)
	}
	s.Close() // as at the end: it waits for nobody
	for _, c := range silent {
		if b, _ := io.ReadAll(c); len(b) != 0 {
			t.Errorf("a silent one got %q", b)
		}
	}
}

func TestASocketFileServesAndAStaleOneIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.sock")
	l := listen(t, path)
	serve(t, l, hello)
	if got := say(t, l, "GET /metrics HTTP/1.1\r\n\r\n"); !strings.HasSuffix(got, "a 1\n") {
		t.Errorf("%q", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := page.Listen(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second listener: %v", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = l.Close() // as a process that was killed
	again := listen(t, path)
	_ = again.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := page.Listen(file); !errors.Is(err, fs.ErrExist) {
		t.Errorf("in the place of a file: %v", err)
	}
	if _, err := page.Listen("127.0.0.1:99999"); err == nil {
		t.Error("a port that does not exist")
	}
}

func FuzzARequestIsAnsweredOnceOrNotAtAll(f *testing.F) {
	for _, seed := range []string{
		"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "GET /metrics HTTP/1.0\n\n",
		"POST / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n", "x\n\n", "\r\n\r\n", "GET /metrics HTTP/1.1", "", "\x00\n\r\n",
		"GET " + strings.Repeat("/", page.MaxRequest) + "\n\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, request []byte) {
		here, there := net.Pipe()
		l := &single{conn: there, closed: make(chan struct{})}
		s := &page.Server{Path: "/metrics", Type: "text/plain", Text: hello}
		done := make(chan error, 1)
		go func() { done <- s.Serve(l) }()
		go func() {
			_, _ = here.Write(request)
			if !bytes.Contains(request, []byte("\n\n")) &&
				!bytes.Contains(request, []byte("\r\n\r\n")) {
				_ = here.Close() // it would be waited for
			}
		}()
		answer, _ := io.ReadAll(here)
		_ = here.Close()
		close(l.closed)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := bytes.Count(answer, []byte("HTTP/1.1 ")); n > 1 ||
			n == 0 && len(answer) > 0 || len(answer) > 300 {
			t.Errorf("%q got %q", request, answer)
		}
	})
}

// single is a listener with one connection.
type single struct {
	conn   net.Conn
	closed chan struct{}
}

func (l *single) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *single) Close() error   { return nil }
func (l *single) Addr() net.Addr { return &net.UnixAddr{} }
