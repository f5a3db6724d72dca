// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"staex/internal/api"
)

// Exit codes of mcc. Scripts depend on them: they are never renumbered.
const (
	exitDone         = 0
	exitFailed       = 1
	exitUsage        = 2
	exitNoDaemon     = 3
	exitNotFound     = 4 // or no answer
	exitNotPermitted = 5
	exitRefused      = 6 // it exists, is not trusted, or needs --force
	exitTimeout      = 7
)

// exitOfCode is the exit code of a failure that the daemon reports.
var exitOfCode = map[api.Code]int{
	api.CodeFailed:       exitFailed,
	api.CodeBadRequest:   exitUsage,
	api.CodeNoDaemon:     exitNoDaemon,
	api.CodeNotFound:     exitNotFound,
	api.CodeNoAnswer:     exitNotFound,
	api.CodeNotPermitted: exitNotPermitted,
	api.CodeRefused:      exitRefused,
	api.CodeTimeout:      exitTimeout,
}

// A failure is what ends a command: for a person, with what to do next.
type failure struct {
	exit    int
	message string
	hint    string
	cause   error // for errors.Is; may be nil
}

// Error is the message without the hint.
func (f *failure) Error() string { return f.message }

// Unwrap is what the failure came from.
func (f *failure) Unwrap() error { return f.cause }

func failf(exit int, format string, args ...any) *failure {
	return &failure{exit: exit, message: fmt.Sprintf(format, args...)}
}

func usagef(format string, args ...any) *failure { return failf(exitUsage, format, args...) }

func (f *failure) withHint(format string, args ...any) *failure {
	f.hint = fmt.Sprintf(format, args...)
	return f
}

// report tells a person what failed and returns the exit code.
func (a *app) report(err error) int {
	f := asFailure(err)
	a.notef("%s", strings.ReplaceAll(f.message, "\n", "\n     "))
	if f.hint != "" {
		_, _ = fmt.Fprintf(a.err, "     %s\n", f.hint)
	}
	return f.exit
}

func asFailure(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if e, ok := errors.AsType[*api.Error](err); ok {
		exit, known := exitOfCode[e.Code]
		if !known {
			exit = exitFailed
		}
		return &failure{exit: exit, message: e.Message, hint: e.Hint}
	}
	if errors.Is(err, fs.ErrPermission) {
		return &failure{exit: exitNotPermitted, message: err.Error(), hint: "use sudo"}
	}
	return &failure{exit: exitFailed, message: err.Error()}
}
