// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"sync"
)

// levelTrace is below slog's own levels.
const levelTrace = slog.LevelDebug - 4

// levels are the words of the key log-level.
var levels = map[string]slog.Level{
	"off":   math.MaxInt32,
	"error": slog.LevelError,
	"warn":  slog.LevelWarn,
	"info":  slog.LevelInfo,
	"debug": slog.LevelDebug,
	"trace": levelTrace,
}

// logbook is the log: a text handler over a place that may change while the daemon runs.
type logbook struct {
	*slog.Logger

	level slog.LevelVar
	out   *outlet
}

// outlet is where lines go. A file is opened again on reload, so that it can be rotated.
type outlet struct {
	mu    sync.Mutex // guards the fields below
	to    io.Writer
	file  *os.File // nil while the log goes to plain
	plain io.Writer
}

func newLogbook(plain io.Writer) *logbook {
	b := &logbook{out: &outlet{to: plain, plain: plain}}
	b.Logger = slog.New(slog.NewTextHandler(b.out, &slog.HandlerOptions{
		Level: &b.level,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if level, ok := a.Value.Any().(slog.Level); ok && a.Key == slog.LevelKey &&
				len(groups) == 0 && level == levelTrace {
				return slog.String(slog.LevelKey, "TRACE")
			}
			return a
		},
	}))
	return b
}

// Write passes one line on.
func (o *outlet) Write(line []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.to.Write(line)
}

// use sends the log to the file at path, or back to where it began if path is empty.
func (o *outlet) use(path string) error {
	var file *os.File
	to := o.plain
	if path != "" {
		const flags, perm = os.O_WRONLY | os.O_APPEND | os.O_CREATE, 0o640
		f, err := os.OpenFile(path, flags, perm)
		if err != nil {
			return fmt.Errorf("log-file: %w", err)
		}
		file, to = f, f
	}
	o.mu.Lock()
	old := o.file
	o.to, o.file = to, file
	o.mu.Unlock()
	if old != nil {
		return old.Close()
	}
	return nil
}

// openLog applies log-level and log-file.
func (d *daemon) openLog() error {
	cfg := d.files.cfg.Log
	d.log.level.Set(levels[cfg.Level])
	if err := d.log.out.use(cfg.File); err != nil {
		return failf(ExitConfig, "%v", err).withHint("change log-file in %s", d.files.path)
	}
	d.later(func() error { return d.log.out.use("") })
	for _, note := range d.files.notes {
		d.log.Warn("configuration", "warning", note)
	}
	return nil
}

// started says in one line what runs.
func (b *logbook) started(d *daemon) {
	b.Info("started", "id", d.files.who.Secret.ID().String(),
		"network", networkName(d.files.who), "dir", d.files.cfg.Dir,
		"device", d.host.device.Name(), "root", d.node.IsRoot())
}

// problem logs an error that the daemon survives. What follows from being stopped is none.
func (b *logbook) problem(what string, err error) {
	if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, errStopped) {
		b.Warn("problem", "with", what, "error", err.Error())
	}
}
