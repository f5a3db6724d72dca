// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"staex/internal/conf"
	"staex/internal/ident"
)

// An initialising is what mcc init was asked for.
type initialising struct {
	parents string
	stdin   bool
	force   bool
	dir     string
	metered bool
	network string // BASE64 of the network's certificate; may be empty
}

func (a *app) initCommand() *cobra.Command {
	i := &initialising{}
	c := a.formatted(&cobra.Command{
		Use:   "init [NETWORK-CERTIFICATE-BASE64]",
		Short: "Make this machine a node: key, certificate and configuration",
		Long: "Make this machine a node: its private key, its certificate and mcc.conf.\n" +
			"Without a certificate the one in the configuration directory is used, " +
			"or it is asked for.",
		Args: takes(0, 1),
		RunE: a.do(func(words []string) error {
			if len(words) > 0 {
				i.network = words[0]
			}
			return a.initNode(i)
		}),
	})
	f := c.Flags()
	f.StringVarP(&i.parents, "parents", "p", "", "parents, separated by commas: ip:port or ip")
	f.BoolVar(&i.stdin, "stdin", false,
		"read the network private key from standard input (line 2: its passphrase)")
	f.BoolVarP(&i.force, "force", "y", false, "overwrite existing files without asking")
	f.StringVarP(&i.dir, "config-dir", "C", conf.DefaultDir, "configuration directory")
	f.BoolVar(&i.metered, "metered", false,
		"the link is paid by volume: send as little as the network permits")
	return c
}

// An initialised is what mcc init reports.
type initialised struct {
	ID      ident.NodeID     `json:"id"`
	Network ident.NetworkKey `json:"network"`
	Dir     string           `json:"dir"`
}

func (a *app) initNode(i *initialising) error {
	if err := a.putBack(i.dir); err != nil {
		return err
	}
	text, err := i.config()
	if err != nil {
		return err
	}
	network, err := a.networkOf(i)
	if err != nil {
		return err
	}
	in := func(name string) string { return filepath.Join(i.dir, name) }
	public := []file{
		{in(networkCertFile), ident.EncodeText(network.Append(nil)), publicPerm},
		{in(conf.FileName), text, publicPerm},
	}
	there := existing(append([]file{{path: in(nodeKeyFile)}, {path: in(nodeCertFile)}}, public...))
	if err := a.mayOverwrite(there, i.force); err != nil {
		return i.orKeep(err)
	}
	signer, err := a.networkSecret(i.stdin, network)
	if err != nil {
		return err
	}
	id, node, err := certified(i.dir, &ident.NodeCert{Serial: firstSerial}, signer)
	if err != nil {
		return err
	}
	if err := makeDir(i.dir); err != nil {
		return err
	}
	if err := writeAll(append(public, node...)); err != nil {
		return err
	}
	return a.show(initialised{id, network.Key, i.dir}, func() {
		a.printf("node     %s\nnetwork  %s\nfiles    %s\n", id, network.Key, i.dir)
		a.notef("start it with: systemctl enable --now mcc, and open UDP port %d",
			conf.DefaultPort)
	})
}

// orKeep is a refusal to overwrite where nothing but a configuration is missing: there a new key is
// the last thing that is wanted.
func (i *initialising) orKeep(err error) error {
	path := filepath.Join(i.dir, conf.FileName)
	f := asFailure(err)
	if f.exit == exitRefused && fileExists(filepath.Join(i.dir, nodeKeyFile)) && !fileExists(path) {
		return f.withHint("to keep the key, make the missing configuration alone, an empty one is "+
			"enough: touch %s; --force makes a new key", path)
	}
	return f
}

// config is the text of mcc.conf: what was chosen and nothing else, so that defaults stay
// those of the program. A daemon has to accept it, so it is read before it is written.
func (i *initialising) config() ([]byte, error) {
	var b strings.Builder
	b.WriteString("# Made by mcc init. For every key and its default: mccd -C\n")
	if i.parents != "" {
		var parents []string
		for text := range strings.SplitSeq(i.parents, ",") {
			text = strings.TrimSpace(text)
			if _, err := conf.ParseParent(text); err != nil {
				return nil, usagef("--parents: %v", err)
			}
			parents = append(parents, text)
		}
		b.WriteString("parents = " + strings.Join(parents, ", ") + "\n")
	}
	if i.metered {
		b.WriteString("keep-alive-period = auto\n")
	}
	_, err := conf.Parse([]byte(b.String()), conf.FileName, i.dir)
	if list, ok := errors.AsType[*conf.ProblemList](err); ok {
		return nil, failf(exitRefused, "%s", list.Problems[0].Text)
	}
	return []byte(b.String()), err
}

// networkOf finds the certificate of the network to join: in the command line, in the
// directory, or by asking.
func (a *app) networkOf(i *initialising) (*ident.NetworkCert, error) {
	text, asked := i.network, false
	if text == "" {
		path := filepath.Join(i.dir, networkCertFile)
		if _, err := os.Stat(path); err == nil {
			return readNetworkCert(path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("network certificate: %w", err)
		}
		if i.stdin || !isTerminal(a.in) {
			return nil, usagef("the network certificate is missing").
				withHint("mcc init NETWORK-CERTIFICATE-BASE64; " +
					"mcc generate-network-certificate makes a new network")
		}
		answer, err := a.prompt("Network certificate (BASE64): ", false)
		if err != nil {
			return nil, err
		}
		text, asked = answer, true
	}
	cert, err := parseNetworkCert([]byte(text))
	if err != nil && !asked {
		return nil, usagef("the network certificate: %v", err).
			withHint("it is the one line in network-certificate.txt")
	}
	if err != nil {
		return nil, fmt.Errorf("the network certificate: %w", err)
	}
	return cert, nil
}
