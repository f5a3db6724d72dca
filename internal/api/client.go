// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// A Client asks one daemon. It is for one goroutine at a time.
type Client struct {
	// Timeout is how long one call may take; Dial sets a little more than what the
	// daemon gives itself.
	Timeout time.Duration

	conn  net.Conn
	lines *bufio.Reader
	path  string
}

// Dial connects to the daemon at path, or, if path is empty, at the first default place
// where one answers. It believes only a daemon run by root or by the user mcc, and where
// path is given also one of the caller's own user. The error is an *Error.
func Dial(path string) (*Client, error) {
	if path != "" {
		return dialAt(path, true)
	}
	var first error
	for _, p := range DefaultPaths() {
		c, err := dialAt(p, false)
		if err == nil {
			return c, nil
		}
		if first == nil || codeOf(first) == CodeNoDaemon && codeOf(err) != CodeNoDaemon {
			first = err
		}
	}
	if codeOf(first) == CodeNoDaemon {
		return nil, noDaemon(strings.Join(DefaultPaths(), " or "), nil)
	}
	return nil, first
}

func dialAt(path string, explicit bool) (*Client, error) {
	conn, err := net.DialTimeout("unix", path, ioTimeout)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, Errorf(CodeNotPermitted, "the socket %s: permission denied", path).
			WithHint("use sudo, or join the group " + ReadGroup)
	case err != nil:
		return nil, noDaemon(path, err)
	}
	peer, err := peerOf(conn)
	if err == nil {
		err = believable(peer, explicit)
	}
	if err != nil {
		_ = conn.Close() // nothing was sent
		return nil, Errorf(CodeNotPermitted, "the program at %s is not trusted: %v", path, err).
			WithHint("if you started it yourself, name its socket with --unix")
	}
	return &Client{
		Timeout: RequestTimeout + ioTimeout,
		conn:    conn,
		lines:   bufio.NewReader(conn),
		path:    path,
	}, nil
}

// noDaemon says that nobody listens. A missing socket and a dead one look the same to a
// person; other reasons are worth a word.
func noDaemon(path string, err error) *Error {
	e := Errorf(CodeNoDaemon, "no daemon answers at %s", path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED) {
		e.Message += ": " + err.Error()
	}
	return e.WithHint("start it with: systemctl start mcc, or name its socket with --unix")
}

func codeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeFailed
}

// Path is where the daemon was found.
func (c *Client) Path() string { return c.path }

// Close ends the connection.
func (c *Client) Close() error {
	if err := c.conn.Close(); err != nil {
		return fmt.Errorf("close the control socket: %w", err)
	}
	return nil
}

// Call asks for one operation and decodes its result. Both args and result may be nil.
// The error is an *Error. After CodeTimeout the connection cannot be used any more.
func (c *Client) Call(op string, args, result any) error {
	req := Request{Op: op}
	if args != nil {
		raw, err := json.Marshal(args)
		if err != nil {
			return Errorf(CodeBadRequest, "%s: %v", op, err)
		}
		req.Args = raw
	}
	line, err := encode(req)
	if err != nil {
		return Errorf(CodeBadRequest, "%s: %v", op, err)
	}
	reply, err := c.exchange(line)
	if err != nil {
		return lost(op, err)
	}
	if !reply.OK {
		return &Error{Code: reply.Code, Message: reply.Error, Hint: reply.Hint}
	}
	if result == nil || len(reply.Result) == 0 {
		return nil
	}
	if err := json.Unmarshal(reply.Result, result); err != nil {
		return Errorf(CodeFailed, "%s: the daemon's answer is not understood: %v", op, err).
			WithHint("mcc and mccd should have the same version")
	}
	return nil
}

// exchange sends a line and reads the reply. A daemon that turns a client away answers
// without reading, so the answer counts even when sending has failed.
func (c *Client) exchange(line []byte) (Reply, error) {
	var r Reply
	if err := c.conn.SetDeadline(time.Now().Add(c.Timeout)); err != nil {
		return r, fmt.Errorf("set the deadline: %w", err)
	}
	_, unsent := c.conn.Write(line)
	answer, err := c.readLine()
	if err != nil {
		return r, errors.Join(unsent, err)
	}
	if err := json.Unmarshal(answer, &r); err != nil {
		return r, fmt.Errorf("the daemon's answer is not JSON: %w", err)
	}
	return r, nil
}

// readLine reads up to the end of a line, at most MaxLine bytes.
func (c *Client) readLine() ([]byte, error) {
	var line []byte
	for {
		part, err := c.lines.ReadSlice('\n')
		if len(line)+len(part) > MaxLine+1 {
			return nil, errors.New("the daemon's answer is too long")
		}
		line = append(line, part...)
		if err == nil {
			return line, nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, fmt.Errorf("read the answer: %w", err)
		}
	}
}

// lost explains a conversation that broke.
func lost(op string, err error) *Error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return Errorf(CodeTimeout, "%s: the daemon did not answer in time", op).
			WithHint("see its log: journalctl -u mcc")
	case errors.Is(err, io.EOF):
		return Errorf(CodeNoDaemon, "%s: the daemon closed the connection", op).
			WithHint("see its log: journalctl -u mcc")
	}
	return Errorf(CodeFailed, "%s: %v", op, err)
}
