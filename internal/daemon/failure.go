// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// Exit codes of mccd. Scripts depend on them: they are never renumbered.
const (
	ExitFailed     = 1  // any failure without a code of its own
	ExitUsage      = 2  // the command line
	ExitConfig     = 10 // the configuration
	ExitKey        = 11 // a key or a certificate
	ExitInUse      = 12 // an address or name is in use or not there, or ranges overlap
	ExitPermission = 13 // the system does not permit it
	ExitData       = 14 // the data directory
)

// A Failure is why the daemon could not start: for a person, with what to do next.
type Failure struct {
	Exit    int
	Message string
	Hint    string // may be empty
}

// Error is the message without the hint.
func (f *Failure) Error() string { return f.Message }

func failf(exit int, format string, args ...any) *Failure {
	return &Failure{Exit: exit, Message: fmt.Sprintf(format, args...)}
}

func (f *Failure) withHint(format string, args ...any) *Failure {
	f.Hint = fmt.Sprintf(format, args...)
	return f
}

// denied tells whether the system refused for lack of a right.
func denied(err error) bool { return errors.Is(err, fs.ErrPermission) }

// full tells whether there is no room on a disk, or no more of it for this user.
func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// taken tells whether an address or a device has another owner.
func taken(err error) bool {
	return errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EBUSY)
}
