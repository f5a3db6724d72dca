// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"staex/internal/host/disk"
	"staex/internal/host/priv"
	"staex/internal/ident"
)

// Names of the files that a node and a network are made of.
const (
	nodeCertFile    = "node-certificate.txt"
	nodeKeyFile     = "node-private-key.txt"
	networkCertFile = "network-certificate.txt"
	networkKeyFile  = "network-private-key.txt"
	namesKeyFile    = "network-names-key.txt"
)

// Permissions: secrets are for their owner only, the rest is public by nature.
const (
	secretPerm fs.FileMode = 0o600
	publicPerm fs.FileMode = 0o644
	dirPerm    fs.FileMode = 0o755
)

// A file is something to write.
type file struct {
	path string
	data []byte
	perm fs.FileMode
}

// Commands that write in one directory take turns. Each needs milliseconds, so that whoever holds
// its lock for lockTime hangs; lockPause is how soon a command tries again.
const (
	lockTime  = 10 * time.Second
	lockPause = 20 * time.Millisecond
)

// writeAll writes files of one directory, so that a command is done or is not. What it replaces is
// kept until everything stands, whatever happens meanwhile.
func writeAll(files []file) error { return writeWithin(lockTime, files, false) }

// writeNew is writeAll that replaces nothing: of two commands that found the place empty, one wins.
func writeNew(files []file) error { return writeWithin(lockTime, files, true) }

func writeWithin(limit time.Duration, files []file, fresh bool) error {
	list := make([]disk.File, len(files))
	for i, f := range files {
		list[i] = disk.File{Path: f.path, Data: f.data, Perm: f.perm, New: fresh}
	}
	end := time.Now().Add(limit)
	err := disk.WriteFiles(list)
	for errors.Is(err, disk.ErrLocked) && time.Now().Before(end) {
		time.Sleep(lockPause)
		err = disk.WriteFiles(list)
	}
	if errors.Is(err, disk.ErrLocked) {
		dir := filepath.Dir(files[0].path)
		return failf(exitFailed, "another command has been writing in %s for %v", dir, limit).
			withHint("see which one: fuser -v %s/.unfinished; nothing was written", dir)
	}
	return err
}

// putBack undoes what an earlier command did half before it was ended by force.
func (a *app) putBack(dir string) error {
	if !disk.Unfinished(dir) {
		return nil
	}
	if err := disk.Recover(dir); err != nil {
		return err
	}
	a.notef("an earlier command in %s was interrupted: its files are as they were before", dir)
	return nil
}

// existing gives the paths that would be overwritten with something else.
func existing(files []file) []string {
	var there []string
	for _, f := range files {
		if old, err := os.ReadFile(f.path); errors.Is(err, fs.ErrNotExist) ||
			err == nil && bytes.Equal(old, f.data) {
			continue
		}
		there = append(there, f.path)
	}
	return there
}

// mayOverwrite decides about files that exist: forced, agreed by a person, or refused.
func (a *app) mayOverwrite(there []string, force bool) error {
	if force || len(there) == 0 {
		return nil
	}
	for _, path := range there {
		a.notef("%s exists", path)
	}
	if isTerminal(a.in) && a.confirm("Overwrite?") {
		return nil
	}
	return failf(exitRefused, "nothing was written").
		withHint("use --force to overwrite; a lost private key cannot be made again")
}

// makeDir makes a directory and those above it.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, dirPerm); err != nil {
		return fmt.Errorf("make the directory: %w", err)
	}
	return nil
}

// giveToOwner makes files belong to whom their directory belongs: a daemon that became another user
// owns the tunnels, and root makes them.
func giveToOwner(dir string, files []file) error {
	owner, err := priv.Owner(dir)
	if err != nil || owner.UID == os.Geteuid() || os.Geteuid() != 0 {
		return err
	}
	for _, f := range files {
		if err := priv.Give(f.path, owner); err != nil {
			return err
		}
	}
	return nil
}

// readNetworkCert reads and verifies a network certificate.
func readNetworkCert(path string) (*ident.NetworkCert, error) {
	text, err := disk.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, failf(exitFailed, "there is no network certificate at %s", path).
			withHint("make one with mcc generate-network-certificate, or name it with --parent")
	}
	if err != nil {
		return nil, fmt.Errorf("network certificate: %w", err)
	}
	cert, err := parseNetworkCert(text)
	if err != nil {
		return nil, fmt.Errorf("network certificate %s: %w", path, err)
	}
	return cert, nil
}

// unreadable is the failure of a file that has to be there. The hint is for one that is not.
func unreadable(what, path string, err error, hint string) *failure {
	f := failf(exitFailed, "%s: %s", what, strings.TrimPrefix(err.Error(), "disk: "))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f = failf(exitFailed, "there is no %s at %s", what, path).withHint("%s", hint)
	case errors.Is(err, fs.ErrPermission):
		f.exit, f.hint = exitNotPermitted, "use sudo"
	}
	f.cause = err
	return f
}

// parseNetworkCert decodes and verifies the text of a network certificate.
func parseNetworkCert(text []byte) (*ident.NetworkCert, error) {
	raw, err := ident.DecodeText(text)
	if err != nil {
		return nil, err
	}
	cert, err := ident.DecodeNetworkCert(raw)
	if err != nil {
		return nil, err
	}
	return cert, cert.Verify()
}

// namesKey is the file that lets members hide their names from relays. Whatever command
// holds the network's key writes it beside the certificate it makes.
func namesKey(dir string, network *ident.Secret) file {
	text := ident.EncodeNamesKeyText(network.NamesKey())
	return file{filepath.Join(dir, namesKeyFile), text, secretPerm}
}

func fileExists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
