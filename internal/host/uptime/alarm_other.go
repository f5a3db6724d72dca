// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package uptime

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// Alarm is one deadline that somebody waits for.
type Alarm struct {
	timer  *time.Timer
	closed chan struct{}
	once   sync.Once
}

// NewAlarm makes an alarm that is off.
func NewAlarm() (*Alarm, error) {
	a := &Alarm{timer: time.NewTimer(0), closed: make(chan struct{})}
	a.timer.Stop()
	return a, nil
}

// Set lets Wait return after a while, instead of what was set before.
func (a *Alarm) Set(after time.Duration) error {
	a.timer.Reset(after)
	return nil
}

// Off takes back what was set.
func (a *Alarm) Off() error {
	a.timer.Stop()
	return nil
}

// Wait waits for the deadline. One goroutine at a time may wait. The error satisfies
// errors.Is(err, os.ErrClosed) after Close.
func (a *Alarm) Wait() error {
	select {
	case <-a.timer.C:
		return nil
	case <-a.closed:
		return fmt.Errorf("uptime: wait for a timer: %w", os.ErrClosed)
	}
}

// Close ends a waiting Wait.
func (a *Alarm) Close() error {
	a.once.Do(func() { close(a.closed) })
	return nil
}
