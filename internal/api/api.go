// SPDX-License-Identifier: Apache-2.0

// Package api is the control contract: what a program on the same machine may ask the
// daemon over its Unix socket, and both ends of that conversation. It never decides what
// an answer is; the daemon does.
//
// A request is one line of JSON and so is its reply. A connection carries any number of
// requests, which are answered in order:
//
//	{"op":"parent"}
//	{"ok":true,"result":{"address":"192.0.2.7:9376"}}
//	{"op":"route","args":{"destination":"4cc9..."}}
//	{"ok":false,"code":"not-found","error":"no route to 4cc9...","hint":"see mcc nodes"}
package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Limits of the conversation.
const (
	// MaxLine is the longest line in bytes, without its end: it bounds what one
	// connection costs. Long lists are asked for in pieces.
	MaxLine = 1 << 20
	// MaxConnections is how many clients are served at once.
	MaxConnections = 64
	// RequestTimeout is how long one request may take inside the daemon.
	RequestTimeout = 30 * time.Second
	// IdleTimeout is how long a connection may wait for its next complete request.
	IdleTimeout = time.Minute
	// maxStrangers is how many of these connections users may have who may do nothing but look
	// names up: they must not be able to shut out everybody else.
	maxStrangers = MaxConnections / 2
	// strangerTimeout is how long such a connection may wait for its request.
	strangerTimeout = 2 * time.Second
	// ioTimeout is how long the other end may take to accept a line.
	ioTimeout = 10 * time.Second
)

// A Request asks for one operation.
type Request struct {
	Op   string          `json:"op"`
	Args json.RawMessage `json:"args,omitempty"`
}

// Decode reads the arguments into a struct of this package. Unknown fields are refused,
// so that a misspelt option is not silently dropped. The error is an *Error.
func (r Request) Decode(into any) error {
	if len(r.Args) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(r.Args))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return Errorf(CodeBadRequest, "arguments of %s: %v", r.Op, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Errorf(CodeBadRequest, "arguments of %s: more than one value", r.Op)
	}
	return nil
}

// A Reply answers one request.
type Reply struct {
	OK     bool            `json:"ok"`
	Result json.RawMessage `json:"result,omitempty"`
	Code   Code            `json:"code,omitempty"`
	Error  string          `json:"error,omitempty"`
	Hint   string          `json:"hint,omitempty"`
}

// A Code says what kind of failure it was. Codes are never renamed.
type Code string

// The codes of failures.
const (
	// CodeFailed is any failure without a code of its own.
	CodeFailed Code = "failed"
	// CodeBadRequest is a request that makes no sense.
	CodeBadRequest Code = "bad-request"
	// CodeNoDaemon is for clients: nobody listens at the socket.
	CodeNoDaemon Code = "no-daemon"
	// CodeNotFound says that there is no such node, tunnel, name or route.
	CodeNotFound Code = "not-found"
	// CodeNoAnswer says that a node exists but did not answer.
	CodeNoAnswer Code = "no-answer"
	// CodeNotPermitted says that this user may not do that.
	CodeNotPermitted Code = "not-permitted"
	// CodeRefused says that the daemon will not do it: it exists, is not trusted, is full.
	CodeRefused Code = "refused"
	// CodeTimeout says that the daemon did not finish in time.
	CodeTimeout Code = "timeout"
)

// An Error is a failure as a person should see it.
type Error struct {
	Code    Code
	Message string
	Hint    string // what to do next; may be empty
}

// Error returns the message without the hint.
func (e *Error) Error() string { return e.Message }

// Errorf makes an Error without a hint.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// WithHint adds what to do next and returns e.
func (e *Error) WithHint(hint string) *Error {
	e.Hint = hint
	return e
}

// replyTo makes the reply of a handler's result.
func replyTo(result any, err error) Reply {
	if err != nil {
		return failure(err)
	}
	if result == nil {
		return Reply{OK: true}
	}
	raw, err := json.Marshal(result)
	if err != nil {
		return failure(fmt.Errorf("encode the result: %w", err))
	}
	return Reply{OK: true, Result: raw}
}

func failure(err error) Reply {
	e := &Error{Code: CodeFailed, Message: err.Error()}
	if typed, ok := errors.AsType[*Error](err); ok {
		e = typed
	}
	return Reply{Code: e.Code, Error: e.Message, Hint: e.Hint}
}

// encode gives the line of a request or reply with its end.
func encode(v any) ([]byte, error) {
	line, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode a line: %w", err)
	}
	if len(line) > MaxLine {
		return nil, Errorf(CodeFailed, "%d bytes are more than one line may have", len(line))
	}
	return append(line, '\n'), nil
}
