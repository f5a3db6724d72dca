// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"staex/internal/api"
	"staex/internal/clock"
	"staex/internal/conf"
	"staex/internal/host/disk"
	"staex/internal/ident"
	"staex/internal/overlay/node"
	"staex/internal/overlay/tunnel"
)

// tunnelSet is what the tunnels directory says.
type tunnelSet struct {
	missing  bool // there is no directory
	good     []node.ServerTunnel
	broken   []string // names of the files that cannot be used
	problems []string // why, in sentences; one for each of broken
	notes    []string // what is no problem and does nothing either

	owner int                     // user who may have the keys
	files map[ident.NodeID]string // which file has a key
	names map[string]bool         // of the files in the tunnels directory
}

// tunnelTrouble is what was wrong with the tunnel files at the last look. The node's goroutine
// owns it.
type tunnelTrouble struct{ problems, notes []string }

// readTunnels reads the tunnels directory, and the deprecated one beside it. A file that is wrong
// does not stop the others. Keys may belong to root, to this process's user and to the owner. The
// error means that a directory cannot be read at all.
func readTunnels(cfg *conf.Config, owner int) (tunnelSet, error) {
	set := tunnelSet{
		owner: owner, files: map[ident.NodeID]string{}, names: map[string]bool{},
	}
	err := set.readDir(cfg, cfg.Tunnels.Dir, set.readTunnel)
	if errors.Is(err, fs.ErrNotExist) {
		set.missing, err = true, nil
	}
	if err != nil {
		return tunnelSet{}, fmt.Errorf("tunnels directory: %w", err)
	}
	if err := set.readDependents(cfg); err != nil {
		return tunnelSet{}, fmt.Errorf("dependent-nodes directory: %w", err)
	}
	return set, nil
}

// readDir adds the files of one directory. A file of an earlier directory goes before one of the
// same name or key.
func (s *tunnelSet) readDir(cfg *conf.Config, dir string,
	read func(*conf.Config, string) (node.ServerTunnel, error),
) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	earlier := maps.Clone(s.names)
	for _, e := range entries {
		file := e.Name()
		if !strings.HasSuffix(file, conf.TunnelSuffix) || file[0] == '.' || e.IsDir() {
			continue
		}
		path := filepath.Join(dir, file)
		name := strings.TrimSuffix(file, conf.TunnelSuffix)
		if len(s.good) >= tunnel.MaxTunnels {
			s.reject(name, fmt.Errorf("%s: more than %d tunnels", path, tunnel.MaxTunnels))
			break
		}
		s.names[name] = true
		t, err := read(cfg, path)
		switch {
		case errors.Is(err, errNoTunnel):
			s.notes = append(s.notes, err.Error())
			continue
		case err == nil && earlier[name]:
			err = fmt.Errorf("%s: the tunnels directory has a tunnel of this name", path)
		case err == nil && s.files[t.Cert.Key] != "":
			err = fmt.Errorf("%s: its key is that of %s", path, s.files[t.Cert.Key])
		}
		if err != nil {
			s.reject(name, err)
			continue
		}
		s.files[t.Cert.Key] = path
		s.good = append(s.good, t)
	}
	return nil
}

func (s *tunnelSet) reject(name string, err error) {
	s.broken = append(s.broken, name)
	s.problems = append(s.problems, "tunnel "+err.Error())
}

// readTunnel reads one tunnel's file, certificate and key.
func (s *tunnelSet) readTunnel(cfg *conf.Config, path string) (t node.ServerTunnel, err error) {
	text, err := disk.ReadFile(path)
	if err != nil {
		return t, err
	}
	f, err := conf.ParseTunnel(text, path, cfg.Tunnels.Dir)
	if err != nil {
		return t, err
	}
	if f.External.IsValid() {
		if err := cfg.CheckExternal(f.External); err != nil {
			return t, fmt.Errorf("%s: external-ip-address: %w", path, err)
		}
	}
	t = node.ServerTunnel{Name: f.Name, External: f.External, Names: f.Names, Static: f.Static}
	if t.Cert, err = readEndpointCert(f.Certificate); err != nil {
		return t, fmt.Errorf("%s: certificate %s: %w", path, f.Certificate, err)
	}
	if t.Cert.Kind != ident.ServerEndpoint {
		return t, fmt.Errorf("%s: %s is not a server endpoint's certificate", path, f.Certificate)
	}
	if t.Secret, err = readSecret(f.PrivateKey, s.owner); err != nil {
		return t, fmt.Errorf("%s: private key %s: %w", path, f.PrivateKey, err)
	}
	if t.Secret.ID() != t.Cert.Key {
		return t, fmt.Errorf("%s: %s and %s do not belong together", path, f.Certificate,
			f.PrivateKey)
	}
	return t, nil
}

// tunnelFailure is the failure of a check whose tunnel files are wrong.
func tunnelFailure(set tunnelSet) *Failure {
	return failf(ExitConfig, "%s", strings.Join(set.problems, "\n"))
}

// reloadTunnels reads the tunnels directory and tells the node. What cannot be read deletes
// nothing.
func (d *daemon) reloadTunnels(ctx context.Context) (api.ReloadReply, error) {
	d.reading.Lock()
	defer d.reading.Unlock()
	d.watch.Add()
	set, err := readTunnels(d.files.cfg, d.files.account.UID)
	if err != nil {
		set.problems = []string{err.Error()}
	}
	var reply api.ReloadReply
	stopped := d.loop.do(ctx, func(now clock.Reading, out *node.Effects) {
		if err == nil {
			reply = d.loop.setTunnels(now, set, out)
		} else {
			reply.Problems = set.problems
		}
		for _, p := range reply.Problems {
			if !slices.Contains(d.loop.tunnels.problems, p) {
				d.log.Warn("tunnel file", "problem", p)
			}
		}
		d.loop.tunnels.problems = reply.Problems
		d.followNotes(set.notes)
	})
	return reply, stopped
}

// setTunnels gives the node the files that are good, and of those that are not what it knew
// before.
func (l *loop) setTunnels(now clock.Reading, set tunnelSet, out *node.Effects) api.ReloadReply {
	before := l.serverTunnels()
	list, kept := keepBroken(set, before)
	reply := api.ReloadReply{Problems: slices.Clone(set.problems)}
	if set.missing && kept > 0 {
		reply.Problems = append(reply.Problems, fmt.Sprintf(
			"the tunnels directory %s is missing; its tunnels are kept", l.d.files.cfg.Tunnels.Dir))
	}
	seqs := map[ident.NodeID]uint32{}
	for _, t := range before {
		seqs[t.ID] = t.Seq
	}
	if err := l.node.Apply(now, node.SetTunnels{Tunnels: list}, out); err != nil {
		reply.Problems = append(reply.Problems, err.Error())
	}
	for _, t := range l.serverTunnels() {
		seq, known := seqs[t.ID]
		delete(seqs, t.ID)
		switch {
		case !known:
			reply.Added = append(reply.Added, t.ID)
		case seq != t.Seq:
			reply.Changed = append(reply.Changed, t.ID)
		}
	}
	reply.Removed = slices.SortedFunc(maps.Keys(seqs), ident.NodeID.Compare)
	return reply
}

func (l *loop) serverTunnels() []*tunnel.Tunnel {
	return slices.DeleteFunc(l.node.Tunnels(), func(t *tunnel.Tunnel) bool {
		return t.Side != tunnel.Server
	})
}

// keepBroken adds to the good tunnels those that only seem to be gone: the ones whose file is
// broken now, and all of them when the directory is missing. It also says how many these are.
func keepBroken(set tunnelSet, before []*tunnel.Tunnel) (list []node.ServerTunnel, kept int) {
	list = slices.Clone(set.good)
	for _, t := range before {
		there := slices.ContainsFunc(set.good, func(s node.ServerTunnel) bool {
			return s.Cert.Key == t.ID
		})
		if there || !set.missing && !slices.Contains(set.broken, t.Name) {
			continue
		}
		cert, err := ident.DecodeEndpointCert(t.LocalCert)
		if err != nil {
			continue // it was decoded when the tunnel was made
		}
		list = append(list, node.ServerTunnel{
			Name: t.Name, Cert: cert, Secret: t.Local, External: t.External, Names: t.Names,
			Static: t.Static,
		})
		kept++
	}
	return list, kept
}

// deletedDir is where the files of a deleted tunnel go, inside the tunnels directory.
const deletedDir = "deleted"

// shelve moves the files of a server tunnel out of the way, so that it is not found again. The
// configuration goes first: without it the others mean nothing. Files of another key are another
// tunnel's and stay.
func shelve(cfg *conf.Config, id ident.NodeID, name string) error {
	dir := dirOf(cfg, name)
	path := filepath.Join(dir, name+conf.TunnelSuffix)
	text, err := disk.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	shelf := filepath.Join(dir, deletedDir)
	if err := os.MkdirAll(shelf, 0o700); err != nil {
		return fmt.Errorf("make the directory of deleted tunnels: %w", err)
	}
	move := []string{path}
	if f, err := conf.ParseTunnel(text, path, dir); err == nil {
		if c, err := readEndpointCert(f.Certificate); err == nil && c.Key != id {
			return nil
		}
		for _, p := range []string{f.Certificate, f.PrivateKey} {
			if filepath.Dir(p) == dir {
				move = append(move, p)
			}
		}
	}
	for _, p := range move {
		err := os.Rename(p, free(filepath.Join(shelf, filepath.Base(p))))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("move a file of the deleted tunnel: %w", err)
		}
	}
	return nil
}

// free is the path, or one like it where nothing is yet: earlier deleted tunnels stay.
func free(path string) string {
	for i := 1; ; i++ {
		p := path
		if i > 1 {
			p = path + "." + strconv.Itoa(i)
		}
		if _, err := os.Lstat(p); errors.Is(err, fs.ErrNotExist) || i > tunnel.MaxTunnels {
			return p
		}
	}
}
