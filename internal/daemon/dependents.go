// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"staex/internal/conf"
	"staex/internal/host/disk"
	"staex/internal/overlay/node"
)

// Devices that cannot run the daemon were dependent nodes before there were tunnels: a file named
// the address of the device and a node certificate, and everybody in the network reached it. The
// directory of such files is still read. A tunnel's certificate in it makes an external tunnel; a
// node's says neither a port nor for whom, so nothing passes until a tunnel does.

// errNoTunnel says that a file is that of a dependent node and of no tunnel.
var errNoTunnel = errors.New("no tunnel")

// readDependents adds the files of the directory dependent-nodes, which need not exist.
func (s *tunnelSet) readDependents(cfg *conf.Config) error {
	dir := cfg.Tunnels.DependentNodes
	before := len(s.good)
	if filepath.Clean(dir) == filepath.Clean(cfg.Tunnels.Dir) {
		return nil
	}
	err := s.readDir(cfg, dir, s.readDependent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if len(s.good) > before {
		s.notes = append(s.notes, fmt.Sprintf(
			"the directory %s is deprecated: move its files to %s", dir, cfg.Tunnels.Dir))
	}
	return err
}

// readDependent reads one file of that directory.
func (s *tunnelSet) readDependent(cfg *conf.Config, path string) (node.ServerTunnel, error) {
	t, err := s.readTunnel(cfg, path)
	if err == nil {
		return t, nil
	}
	text, unreadable := disk.ReadFile(path)
	if unreadable != nil {
		return t, err
	}
	f, wrong := conf.ParseTunnel(text, path, cfg.Tunnels.Dir)
	if wrong != nil {
		return t, err
	}
	if _, other := readNodeCert(f.Certificate); other != nil {
		return t, err
	}
	device := "0.0.0.0" // this node itself
	if f.External.IsValid() {
		device = f.External.String()
	}
	return t, fmt.Errorf("dependent node %s: %w names a port and who may reach it; type: "+
		"mcc create-tunnel --external-ip-address %s --targets tcp:80 --remote-node NODE",
		f.Name, errNoTunnel, device)
}

// dirOf is the directory that has the files of a server tunnel.
func dirOf(cfg *conf.Config, name string) string {
	file := filepath.Join(cfg.Tunnels.Dir, name+conf.TunnelSuffix)
	if _, err := os.Lstat(file); errors.Is(err, fs.ErrNotExist) {
		return cfg.Tunnels.DependentNodes
	}
	return cfg.Tunnels.Dir
}

// followNotes remembers what the tunnel files say beside tunnels, and logs what is new. It runs
// in the node's goroutine.
func (d *daemon) followNotes(notes []string) {
	for _, note := range notes {
		if !slices.Contains(d.loop.tunnels.notes, note) {
			d.log.Warn("tunnel file", "note", note)
		}
	}
	d.loop.tunnels.notes = notes
}
