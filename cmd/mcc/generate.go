// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"staex/internal/conf"
	"staex/internal/ident"
)

// firstSerial is the number of the first certificate of a key.
const firstSerial = 1

// A generated is what a generate command reports.
type generated struct {
	Key         string `json:"key"` // node id or network public key
	Certificate string `json:"certificate"`
	PrivateKey  string `json:"private_key,omitempty"`
	Text        string `json:"certificate_text,omitempty"` // what mcc init takes
}

func (a *app) nodeCommand() *cobra.Command {
	w := &newNode{}
	c := a.formatted(&cobra.Command{
		Use:   "generate-node-certificate [OUTPUT-DIRECTORY]",
		Short: "Make a node's certificate and private key",
		Long: "Make a node's certificate and private key. The output directory is by default " +
			conf.DefaultDir + ".",
		Args: takes(0, 1),
		RunE: a.do(func(words []string) error {
			w.dir = conf.DefaultDir
			if len(words) > 0 {
				w.dir = words[0]
			}
			return a.generateNode(w)
		}),
	})
	addParentFlags(c, &w.parent, &w.stdin)
	f := c.Flags()
	f.BoolVarP(&w.force, "force", "y", false, "overwrite existing files without asking")
	f.StringVar(&w.roles, "roles", "", "what the node may do beyond being a member: "+
		"relay, time, revoker, issuer")
	f.StringVar(&w.expires, "expires", "",
		"when the certificate ends: 2030-12-31, or 90d; the network must name an issuer")
	return c
}

// A newNode is what mcc generate-node-certificate was asked for.
type newNode struct {
	dir, parent, roles, expires string
	stdin, force                bool
}

// certificate is what is to be signed, as far as the flags say it.
func (w *newNode) certificate(network *ident.NetworkCert) (c *ident.NodeCert, err error) {
	c = &ident.NodeCert{Serial: firstSerial}
	if c.Roles, err = ident.ParseRoles(w.roles); err != nil {
		return nil, usagef("--roles: %v", err)
	}
	if c.NotAfter, err = parseExpiry(w.expires, time.Now()); err != nil {
		return nil, usagef("--expires: %v", err)
	}
	if c.NotAfter != 0 && network.Issuer == "" {
		return nil, failf(exitRefused, "the network names no issuer, so that nobody would "+
			"renew an expired node").
			withHint("leave --expires out: a stolen node is revoked; or name an issuer with " +
				"mcc generate-network-certificate --issuer")
	}
	return c, nil
}

// addParentFlags adds what every command has that signs with the network's key.
func addParentFlags(c *cobra.Command, parent *string, stdin *bool) {
	c.Flags().StringVarP(parent, "parent", "p", filepath.Join(conf.DefaultDir, networkCertFile),
		"your network's certificate")
	c.Flags().BoolVar(stdin, "stdin", false,
		"read the network private key from standard input (line 2: its passphrase)")
}

func (a *app) generateNode(w *newNode) error {
	network, err := readNetworkCert(w.parent)
	if err != nil {
		return err
	}
	cert, err := w.certificate(network)
	if err != nil {
		return err
	}
	if err := a.putBack(w.dir); err != nil {
		return err
	}
	in := func(file string) string { return filepath.Join(w.dir, file) }
	there := existing([]file{{path: in(nodeKeyFile)}, {path: in(nodeCertFile)}})
	if err := a.mayOverwrite(there, w.force); err != nil {
		return err
	}
	signer, err := a.networkSecret(w.stdin, network)
	if err != nil {
		return err
	}
	id, files, err := certified(w.dir, cert, signer)
	if err != nil {
		return err
	}
	if err := makeDir(w.dir); err != nil {
		return err
	}
	if err := writeAll(files); err != nil {
		return err
	}
	done := generated{Key: id.String(), Certificate: in(nodeCertFile), PrivateKey: in(nodeKeyFile)}
	return a.show(done, func() {
		a.printf("node         %s\ncertificate  %s\nprivate key  %s\n",
			done.Key, done.Certificate, done.PrivateKey)
		a.notef("mccd wants two more files there: %s, and %s, which may be empty",
			networkCertFile, conf.FileName)
	})
}

// certified makes a key, its certificate, and the network's names key for a node's directory.
func certified(dir string, cert *ident.NodeCert, network *ident.Secret) (
	ident.NodeID, []file, error,
) {
	secret, err := ident.NewSecret(rand.Reader)
	if err != nil {
		return ident.NodeID{}, nil, err
	}
	cert.Key = secret.ID()
	if err := ident.SignNodeCert(cert, network); err != nil {
		return ident.NodeID{}, nil, err
	}
	return secret.ID(), []file{
		namesKey(dir, network),
		{filepath.Join(dir, nodeKeyFile), ident.EncodeSecretText(secret), secretPerm},
		{filepath.Join(dir, nodeCertFile), ident.EncodeText(cert.Append(nil)), publicPerm},
	}, nil
}

// trimmed is a key or certificate text without its line end.
func trimmed(text []byte) string { return string(text[:len(text)-1]) }
