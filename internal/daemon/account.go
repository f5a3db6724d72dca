// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"staex/internal/api"
	"staex/internal/conf"
	"staex/internal/host/disk"
	"staex/internal/host/priv"
)

// kept is what the daemon still needs once everything is open: its device, its addresses and
// routes, the packet filter, and forwarding.
var kept = []priv.Capability{priv.NetAdmin}

// findAccount decides whom the daemon becomes. Without a word in the configuration that is the
// user whom packages make, where there is one and this process may.
func (f *files) findAccount() error {
	p := f.cfg.Process
	if p.User == "" {
		return f.findDefault()
	}
	who, err := priv.Find(p.User, p.Group)
	if err != nil {
		return failf(ExitConfig, "user, group: %s", strings.TrimPrefix(err.Error(), "priv: ")).
			withHint("make it: useradd --system %s; or change user and group in %s", p.User, f.path)
	}
	switch {
	case who.UID == os.Geteuid():
		return nil // it is so already
	case os.Geteuid() != 0:
		return failf(ExitPermission, "user: only root can become %s", p.User).
			withHint("run as root, or remove user from %s", f.path)
	}
	if err := priv.MayBecome(who); err != nil {
		return failf(ExitPermission, "user: %s", strings.TrimPrefix(err.Error(), "priv: ")).
			withHint("a service needs CAP_CHOWN, CAP_SETUID, CAP_SETGID and CAP_SETPCAP for " +
				"that; or write user = root")
	}
	f.account = who
	return nil
}

func (f *files) findDefault() error {
	if os.Geteuid() != 0 {
		return nil
	}
	group := f.cfg.Process.Group
	who, err := priv.Find(api.DaemonUser, group)
	if err != nil && group != "" {
		return failf(ExitConfig, "group: %s", strings.TrimPrefix(err.Error(), "priv: ")).
			withHint("write user, too, in %s", f.path)
	}
	if err != nil {
		return nil //nolint:nilerr // without that user root stays root
	}
	if err := priv.MayBecome(who); err != nil {
		f.notes = append(f.notes, "this daemon stays root: "+
			strings.TrimPrefix(err.Error(), "priv: "))
		return nil
	}
	f.account = who
	return nil
}

// become gives the account what it has to write from now on, and gives up everything else. What is
// open stays open.
func (d *daemon) become() error {
	who := d.files.account
	if who.UID == 0 {
		return nil
	}
	if err := d.handOver(); err != nil {
		return err
	}
	if err := priv.Become(who, d.keptRights()...); err != nil {
		return failf(ExitPermission, "user: %s", strings.TrimPrefix(err.Error(), "priv: ")).
			withHint("write user = root in %s to stay root", d.files.path)
	}
	return nil
}

// keptRights are what the daemon needs from now on. Forwarding rules for ports below 1024 may have
// to be opened again, after a trial of others.
func (d *daemon) keptRights() []priv.Capability {
	low := slices.ContainsFunc(d.files.rules, func(r conf.Rule) bool { return r.Port < 1024 })
	if low {
		return append(slices.Clone(kept), priv.NetBindService)
	}
	return kept
}

// handOver changes owners. Keys and certificates of the node stay root's: they are read at the
// start alone.
func (d *daemon) handOver() error {
	cfg, who := d.files.cfg, d.files.account
	data := cfg.Process.DataDir
	if err := only(data, func(e fs.DirEntry) bool {
		return e.Type().IsRegular() || e.Name() == recordsDir
	}); err != nil {
		return failf(ExitData, "data-dir: %v", err).
			withHint("choose a directory of its own for data-dir in %s, or write user = root",
				d.files.path)
	}
	err := errors.Join(
		priv.GiveFiles(data, who, func(name string) bool {
			return disk.ValidName(name) || strings.HasPrefix(name, ".")
		}),
		priv.GiveFiles(filepath.Join(data, recordsDir), who, disk.ValidName))
	if err != nil {
		return failf(ExitData, "data-dir: %v", err).
			withHint("look with: ls -la %s; or write user = root in %s", data, d.files.path)
	}
	d.log.problem("giving the tunnels to the user", d.giveTunnels(who))
	if cfg.Log.File != "" {
		d.log.problem("giving log-file to the user", priv.Give(cfg.Log.File, who))
	}
	d.log.problem("giving the sockets to the user", d.giveSockets(who))
	return nil
}

// giveTunnels lets the account read the keys of tunnels and move the files of deleted ones. It
// leaves a directory alone that holds other things, too.
func (d *daemon) giveTunnels(who priv.Account) error {
	dir := d.files.cfg.Tunnels.Dir
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // as mcc makes it
		return err
	}
	ours := func(e fs.DirEntry) bool {
		ext := filepath.Ext(e.Name())
		written := e.Name()[0] == '.' // just now, under a name that is not the last
		return e.Name() == deletedDir ||
			e.Type().IsRegular() && (ext == ".conf" || ext == ".txt" || written)
	}
	keys := func(name string) bool { return filepath.Ext(name) == ".txt" }
	dirs := []string{dir, filepath.Join(dir, deletedDir), d.files.cfg.Tunnels.DependentNodes}
	for _, dir := range dirs {
		if err := only(dir, ours); err != nil {
			return err
		}
		if err := priv.GiveFiles(dir, who, keys); err != nil {
			return err
		}
	}
	return nil
}

// giveSockets lets the account take its socket files away at the end, where their directory is the
// daemon's own.
func (d *daemon) giveSockets(who priv.Account) error {
	var paths []string
	if d.doors.control != nil {
		paths = append(paths, d.doors.control.Addr().String())
	}
	if at := d.files.cfg.Process.Metrics; filepath.IsAbs(at) {
		paths = append(paths, at)
	}
	var errs []error
	for _, path := range paths {
		errs = append(errs, priv.Give(path, who))
		if filepath.Dir(path) == filepath.Dir(api.DefaultPath) {
			errs = append(errs, priv.Give(filepath.Dir(path), who))
		}
	}
	return errors.Join(errs...)
}

// only tells what a directory holds beside what is ours. One that is not there holds nothing.
func only(dir string, ours func(fs.DirEntry) bool) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !ours(e) {
			return &foreignError{dir, e.Name()}
		}
	}
	return nil
}

// foreignError is a directory that is not the daemon's alone.
type foreignError struct{ dir, name string }

func (e *foreignError) Error() string {
	return e.dir + " holds " + e.name + ", which is not mccd's, so it is given to nobody"
}
