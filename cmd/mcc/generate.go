// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"path/filepath"

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
	var parent string
	var stdin, force bool
	c := a.formatted(&cobra.Command{
		Use:   "generate-node-certificate [OUTPUT-DIRECTORY]",
		Short: "Make a node's certificate and private key",
		Long: "Make a node's certificate and private key. The output directory is by default " +
			conf.DefaultDir + ".",
		Args: cobra.MaximumNArgs(1),
		RunE: a.do(func(words []string) error {
			dir := conf.DefaultDir
			if len(words) > 0 {
				dir = words[0]
			}
			return a.generateNode(dir, parent, stdin, force)
		}),
	})
	addParentFlags(c, &parent, &stdin)
	c.Flags().BoolVarP(&force, "force", "y", false, "overwrite existing files without asking")
	return c
}

// addParentFlags adds what every command has that signs with the network's key.
func addParentFlags(c *cobra.Command, parent *string, stdin *bool) {
	c.Flags().StringVarP(parent, "parent", "p", filepath.Join(conf.DefaultDir, networkCertFile),
		"your network's certificate")
	c.Flags().BoolVar(stdin, "stdin", false,
		"read the network private key from standard input (line 2: its passphrase)")
}

func (a *app) generateNode(dir, parent string, stdin, force bool) error {
	network, err := readNetworkCert(parent)
	if err != nil {
		return err
	}
	in := func(file string) string { return filepath.Join(dir, file) }
	there := existing([]file{{path: in(nodeKeyFile)}, {path: in(nodeCertFile)}})
	if err := a.mayOverwrite(there, force); err != nil {
		return err
	}
	signer, err := a.networkSecret(stdin, network)
	if err != nil {
		return err
	}
	id, files, err := newNode(dir, signer)
	if err != nil {
		return err
	}
	if err := makeDir(dir); err != nil {
		return err
	}
	if err := writeAll(files); err != nil {
		return err
	}
	done := generated{Key: id.String(), Certificate: in(nodeCertFile), PrivateKey: in(nodeKeyFile)}
	return a.show(done, func() {
		a.printf("node         %s\ncertificate  %s\nprivate key  %s\n",
			done.Key, done.Certificate, done.PrivateKey)
	})
}

// newNode makes a key, its certificate, and the network's names key for a node's directory.
func newNode(dir string, network *ident.Secret) (ident.NodeID, []file, error) {
	secret, err := ident.NewSecret(rand.Reader)
	if err != nil {
		return ident.NodeID{}, nil, err
	}
	cert := &ident.NodeCert{Key: secret.ID(), Serial: firstSerial}
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
