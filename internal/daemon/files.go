// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"staex/internal/conf"
	"staex/internal/host/disk"
	"staex/internal/ident"
)

// namesKeyFile holds the secret that members of a network share; it stands beside the node's
// certificate.
const namesKeyFile = "network-names-key.txt"

// namesCertFile holds the names that the network's key gave to the node; it stands there, too, and
// need not be there.
const namesCertFile = "names-certificate.txt"

// readFiles reads the configuration, the key and the certificates, and checks that they fit
// together. The error is a *Failure.
func readFiles(dir string) (*files, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, failf(ExitConfig, "configuration directory %s: %v", dir, err)
	}
	f := &files{path: filepath.Join(dir, conf.FileName)}
	if f.cfg, err = readConfig(f.path, dir); err != nil {
		return nil, err
	}
	for _, w := range f.cfg.Warnings {
		f.notes = append(f.notes, w.String())
	}
	if err := f.findAccount(); err != nil {
		return nil, err
	}
	if err := f.readIdentity(); err != nil {
		return nil, err
	}
	if f.rules, err = readRules(f.cfg); err != nil {
		return nil, err
	}
	return f, nil
}

// readConfig reads the main configuration file.
func readConfig(path, dir string) (*conf.Config, error) {
	text, err := disk.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, failf(ExitConfig, "there is no configuration at %s", path).
			withHint("make one with: mcc init --config-dir %s; where key and certificates are "+
				"there already an empty file is enough: touch %s", dir, path)
	}
	if errors.Is(err, syscall.ENOTDIR) {
		return nil, failf(ExitConfig, "%s is a file; name the directory", dir)
	}
	if denied(err) {
		return nil, failf(ExitPermission, "no permission to read the configuration %s", path).
			withHint("run as root or as the owner of the file")
	}
	if err != nil {
		why := strings.TrimPrefix(err.Error(), "disk: ")
		return nil, failf(ExitConfig, "configuration: %s", why).
			withHint("%s has to be a file that mcc init makes or a person writes", path)
	}
	cfg, err := conf.Parse(text, path, dir)
	if err != nil {
		return nil, failf(ExitConfig, "%v", err).
			withHint("every key and its default: mccd -C")
	}
	return cfg, nil
}

// readIdentity reads who this node is. The first use of a secret key takes a millisecond, and the
// certificates take another meanwhile.
func (f *files) readIdentity() error {
	certs := &f.cfg.Certs
	var secret *ident.Secret
	var failed error
	var reading sync.WaitGroup
	reading.Go(func() { secret, failed = readSecret(certs.PrivateKey, f.account.UID) })
	err := f.readCerts()
	reading.Wait()
	if failed != nil {
		return keyFailure("node-private-key", certs.PrivateKey, failed)
	}
	if err != nil {
		return err
	}
	f.who.Secret = secret
	if err := f.who.Check(); err != nil {
		return failf(ExitKey, "%v", err).
			withHint("%s, %s and %s belong together; make them again with: mcc init",
				certs.PrivateKey, certs.Node, f.own)
	}
	if err := f.readNames(); err != nil {
		return err
	}
	return f.readNamesKey()
}

// readCerts reads the certificates of the node and of networks.
func (f *files) readCerts() error {
	path := f.cfg.Certs.Node
	cert, err := readNodeCert(path)
	if err != nil {
		return keyFailure("node-certificate", path, err)
	}
	f.who = &ident.Identity{Cert: cert}
	return f.readNetworks()
}

// readNames reads the names certificate, if there is one beside the node's. One of another node or
// network is a mistake that a person should hear of.
func (f *files) readNames() error {
	path := filepath.Join(filepath.Dir(f.cfg.Certs.Node), namesCertFile)
	raw, err := readCert(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		f.names, err = ident.DecodeNamesCert(raw)
	}
	if err == nil {
		err = f.names.VerifyBy(f.who.Network.Key)
	}
	if err != nil {
		return keyFailure("the names certificate", path, err)
	}
	if f.names.Key != f.who.Cert.Key {
		return failf(ExitKey, "the names certificate %s is for node %v, this is %v", path,
			f.names.Key, f.who.Cert.Key).
			withHint("remove it, or make one with: mcc generate-names-certificate")
	}
	return nil
}

// readNetworks reads the network certificates: the one that the node's certificate names is its
// own network's, the others are trusted.
func (f *files) readNetworks() error {
	for _, path := range f.cfg.Certs.Networks {
		cert, err := readNetworkCert(path)
		if err != nil {
			return keyFailure("network-certificates", path, err)
		}
		if f.who.Network == nil && cert.Key.Hash() == f.who.Cert.Network {
			f.who.Network, f.own = cert, path
			continue
		}
		f.foreign = append(f.foreign, cert.Key)
	}
	if f.who.Network == nil {
		return failf(ExitKey, "the node's certificate %s is of network %v, whose certificate is "+
			"not among network-certificates (%s)", f.cfg.Certs.Node, f.who.Cert.Network,
			strings.Join(f.cfg.Certs.Networks, ", ")).
			withHint("name the right network certificate, or make a node of this network: mcc init")
	}
	return nil
}

// readNamesKey reads the secret of the network's members. A node without it works as far as
// relaying goes, so its absence is a warning.
func (f *files) readNamesKey() error {
	path := filepath.Join(filepath.Dir(f.cfg.Certs.Node), namesKeyFile)
	text, err := disk.ReadSecretFile(path, f.account.UID)
	if errors.Is(err, fs.ErrNotExist) {
		f.notes = append(f.notes, "the names key "+path+" is missing: this node carries others' "+
			"packets, but can neither offer nor accept tunnels; copy it from another node of the "+
			"network")
		return nil
	}
	if err == nil {
		f.who.Names, err = ident.DecodeNamesKeyText(text)
	}
	if err != nil {
		return keyFailure("the names key", path, err)
	}
	f.who.HasNames = true
	return nil
}

// keyFailure says what is wrong with a key or certificate file.
func keyFailure(key, path string, err error) *Failure {
	if errors.Is(err, fs.ErrNotExist) {
		return failf(ExitKey, "%s: there is no file %s", key, path).
			withHint("copy it there, or make it with: mcc init --config-dir %s", filepath.Dir(path))
	}
	if denied(err) {
		return failf(ExitPermission, "%s: no permission to read %s", key, path).
			withHint("run as root or as the owner of the file")
	}
	if errors.Is(err, disk.ErrExposed) {
		what, todo, _ := strings.Cut(strings.TrimPrefix(err.Error(), "disk: "), "; type: ")
		return failf(ExitKey, "%s: %s", key, what).withHint("type: %s", todo)
	}
	f := failf(ExitKey, "%s: %s: %v", key, path, err)
	if errors.Is(err, ident.ErrPassphrase) {
		return f.withHint("nobody can type a passphrase here: store the node's key without one")
	}
	return f.withHint("restore the file from a backup, or make a new one with: "+
		"mcc init --config-dir %s", filepath.Dir(path))
}

func readSecret(path string, owner int) (*ident.Secret, error) {
	text, err := disk.ReadSecretFile(path, owner)
	if err != nil {
		return nil, err
	}
	return ident.DecodeSecretText(text)
}

// readCert reads the BASE64 of a certificate.
func readCert(path string) ([]byte, error) {
	text, err := disk.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return ident.DecodeText(text)
}

func readNodeCert(path string) (*ident.NodeCert, error) {
	raw, err := readCert(path)
	if err != nil {
		return nil, err
	}
	return ident.DecodeNodeCert(raw)
}

func readNetworkCert(path string) (*ident.NetworkCert, error) {
	raw, err := readCert(path)
	if err != nil {
		return nil, err
	}
	cert, err := ident.DecodeNetworkCert(raw)
	if err != nil {
		return nil, err
	}
	return cert, cert.Verify()
}

func readEndpointCert(path string) (*ident.EndpointCert, error) {
	raw, err := readCert(path)
	if err != nil {
		return nil, err
	}
	return ident.DecodeEndpointCert(raw)
}
