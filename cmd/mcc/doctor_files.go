// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"staex/internal/conf"
	"staex/internal/host/disk"
	"staex/internal/ident"
)

// expirySoon is how long before its end a certificate is worth a word.
const expirySoon = 30 * 24 * time.Hour

func (d *doctor) lookAtConfig() {
	const check = "configuration"
	cfg, err := readConfig(d.configPath(), true)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		hint := "make this machine a node: mcc init --config-dir " + d.dir
		if fileExists(filepath.Join(d.dir, nodeKeyFile)) {
			hint = "this node has its key: restore the file, or begin with an empty one: touch " +
				d.configPath()
		}
		d.problem(check, "there is no "+d.configPath(), hint)
		return
	case errors.Is(err, fs.ErrPermission):
		d.warn(check, "this user cannot read "+d.configPath(), "sudo mcc doctor")
		return
	case err != nil:
		d.problem(check, err.Error(), "every key and its default: mccd -C")
		return
	}
	d.cfg = cfg
	for _, w := range cfg.Warnings {
		d.warn(check, w.String(), "")
	}
	d.ok(check, "%s", d.configPath())
}

func (d *doctor) lookAtKeys() {
	const check = "keys"
	certs := d.cfg.Certs
	again := "restore it from a backup, or make a new node: mcc init --config-dir " + d.dir
	shown, err := certificatesOf(d.cfg)
	if err != nil {
		d.problem(check, err.Error(), again)
		return
	}
	for _, c := range shown {
		if c.Problem != "" {
			d.problem(check, c.File+": "+c.Problem, again)
		}
		d.lookAtValidity(check, c)
	}
	text, err := disk.ReadSecretFile(certs.PrivateKey)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.problem(check, "there is no private key at "+certs.PrivateKey, again)
		return
	case errors.Is(err, fs.ErrPermission):
		d.warn(check, "this user cannot look at "+certs.PrivateKey, "sudo mcc doctor")
		return
	case errors.Is(err, disk.ErrExposed):
		what, todo, _ := strings.Cut(strings.TrimPrefix(err.Error(), "disk: "), "; type: ")
		d.problem(check, what, todo)
		return
	case err != nil:
		d.problem(check, err.Error(), again)
		return
	}
	secret, err := ident.DecodeSecretText(text)
	switch {
	case err != nil:
		d.problem(check, certs.PrivateKey+": "+err.Error(), again)
		return
	case secret.ID().String() != shown[0].Key:
		d.problem(check, certs.PrivateKey+" and "+certs.Node+" do not belong together", again)
	}
	if names := filepath.Join(filepath.Dir(certs.Node), namesKeyFile); !fileExists(names) {
		d.warn(check, "there is no "+names+": this node can neither offer nor accept tunnels",
			"copy it from another node of the network")
	}
	if d.quiet(check) {
		d.ok(check, "%s", secret.ID())
	}
}

// lookAtValidity compares a certificate's times with the clock.
func (d *doctor) lookAtValidity(check string, c shownCert) {
	now := d.machine.now()
	name := "the " + c.Kind + " certificate " + c.File
	switch {
	case !c.NotBefore.IsZero() && now.Before(c.NotBefore):
		d.warn(check, name+" begins "+day(c.NotBefore)+", and the clock says "+day(now),
			"set the clock: timedatectl set-ntp true")
	case c.NotAfter.IsZero():
	case now.After(c.NotAfter):
		d.problem(check, name+" ended "+day(c.NotAfter),
			"make a new one with mcc generate-node-certificate, or ask whoever holds the "+
				"network's key")
	case now.Add(expirySoon).After(c.NotAfter):
		d.warn(check, name+" ends "+day(c.NotAfter), "see to a new one in time")
	}
}

// lookAtTunnelFiles reads tunnel files as far as this user may. A running daemon has told its
// opinion of them already.
func (d *doctor) lookAtTunnelFiles() {
	const check = "tunnel files"
	if d.status != nil {
		return
	}
	dir := d.cfg.Tunnels.Dir
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return // no tunnels yet
	}
	if err != nil {
		d.warn(check, err.Error(), "sudo mcc doctor")
		return
	}
	count := 0
	for _, e := range entries {
		name := e.Name()
		if !strings.HasSuffix(name, conf.TunnelSuffix) || name[0] == '.' || e.IsDir() {
			continue
		}
		count++
		if err := d.tunnelFile(filepath.Join(dir, name)); err != nil {
			d.problem(check, err.Error(), "mend or remove the file, or make the tunnel again: "+
				"mcc create-tunnel --name "+strings.TrimSuffix(name, conf.TunnelSuffix))
		}
	}
	if d.quiet(check) {
		d.ok(check, "%d in %s", count, dir)
	}
}

func (d *doctor) tunnelFile(path string) error {
	text, err := disk.ReadFile(path)
	if err != nil {
		return err
	}
	t, err := conf.ParseTunnel(text, path, d.cfg.Tunnels.Dir)
	if err != nil {
		return err
	}
	for _, file := range []string{t.Certificate, t.PrivateKey} {
		if _, err := os.Stat(file); err != nil {
			return err
		}
	}
	if t.External.IsValid() {
		return d.cfg.CheckExternal(t.External)
	}
	return nil
}

// builtYear is a year in which this program certainly had not been made yet.
const builtYear = 2025

// clockHint is what makes the kernel call its clock synchronised.
const clockHint = "keep it right: timedatectl set-ntp true (for a container: on its host)"

func (d *doctor) lookAtClock() {
	now := d.machine.now()
	if now.Year() < builtYear || now.Year() > builtYear+75 {
		d.warn("clock", "the clock says "+day(now)+": the end of certificates and tunnels cannot "+
			"be judged until another node has told the time", "set it: timedatectl set-ntp true")
		return
	}
	if d.endless > 0 {
		d.warn("clock", "the clock says "+day(now)+", but nothing keeps it right, so it is not "+
			"believed: tunnels do not end on time", clockHint)
		return
	}
	d.ok("clock", "%s", day(now))
}
