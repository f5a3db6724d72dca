// SPDX-License-Identifier: Apache-2.0

//go:build !linux && !staex_clock

package uptime

import (
	"os"
	"sync"
)

// Jumps would hear when the clocks jump; this system does not tell.
type Jumps struct {
	once   sync.Once
	closed chan struct{}
}

// NewJumps begins to listen.
func NewJumps() (*Jumps, error) { return &Jumps{closed: make(chan struct{})}, nil }

// Wait waits for the end and returns an error that satisfies errors.Is(err, os.ErrClosed).
func (j *Jumps) Wait() error {
	<-j.closed
	return os.ErrClosed
}

// Close ends a waiting Wait.
func (j *Jumps) Close() error {
	j.once.Do(func() { close(j.closed) })
	return nil
}
