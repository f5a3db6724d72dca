// SPDX-License-Identifier: Apache-2.0

package api

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Default places of the socket. The first is in a directory that only root can write; the
// second is where documents say it is.
const (
	DefaultPath  = "/run/mcc/mcc.sock"
	FallbackPath = "/tmp/.mcc-socket"
)

// DefaultPaths returns the places in the order in which both ends try them.
func DefaultPaths() []string { return []string{DefaultPath, FallbackPath} }

// ErrInUse says that another daemon answers at the socket.
var ErrInUse = errors.New("another daemon is running")

// Listen opens the daemon's socket at path, or, if path is empty, at the first default
// place that can be used. Everybody may connect; who may ask is decided by credentials.
// The error wraps ErrInUse if a daemon answers there.
func Listen(path string) (*net.UnixListener, error) {
	if path != "" {
		return listenAt(path)
	}
	var failed []error
	for _, p := range DefaultPaths() {
		l, err := listenAt(p)
		if err == nil || errors.Is(err, ErrInUse) {
			return l, err
		}
		failed = append(failed, err)
	}
	return nil, errors.Join(failed...)
}

func listenAt(path string) (*net.UnixListener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // as /run
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	if err := clearStale(path); err != nil {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o666); err != nil { //nolint:gosec // peers are checked one by one
		return nil, errors.Join(fmt.Errorf("listen at %s: %w", path, err), l.Close())
	}
	return l, nil
}

// clearStale removes the socket of a daemon that is gone, or of somebody who pretends to
// be one. Anything that is not a socket stays.
func clearStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("listen at %s: %w", path, err)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("listen at %s: there is a file that is not a socket", path)
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		p, err := peerOf(c)
		_ = c.Close() // nothing was sent
		if err == nil && believable(p, true) == nil {
			return fmt.Errorf("listen at %s: %w", path, ErrInUse)
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("listen at %s: %w", path, err)
	}
	return nil
}
