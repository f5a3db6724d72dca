// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"staex/internal/ident"
)

// A newNetwork is what mcc generate-network-certificate was asked for.
type newNetwork struct {
	dir       string
	name      string
	authority string // certificate of who signs, a file; empty: the network itself
	network   string // certificate to be signed again, a file; empty: a new network
	roles     string
	issuer    string
	expires   string
	protect   bool
	stdin     bool
}

func (a *app) networkCommand() *cobra.Command {
	w := &newNetwork{}
	c := a.formatted(&cobra.Command{
		Use:   "generate-network-certificate [OUTPUT-DIRECTORY]",
		Short: "Make a new network, or sign one as its authority",
		Long: "Make a new network: network-certificate.txt, which every node gets, and " +
			"network-private-key.txt,\nwhich makes nodes and tunnels and belongs on no node. " +
			"Without a directory they go to the current one.\n\n" +
			"The key of a network can sign other networks: it is then their authority. Relays " +
			"that name its\npublic key in trusted-authorities carry the nodes of all of them. " +
			"With --authority the private key\nof the authority is asked for. With --network " +
			"as well, an existing network is signed: its owner\nreplaces network-certificate.txt " +
			"on every node by the new one, and needs no new node certificates.",
		Args: takes(0, 1),
		RunE: a.do(func(words []string) error {
			w.dir = "."
			if len(words) > 0 {
				w.dir = words[0]
			}
			return a.generateNetwork(w)
		}),
	})
	f := c.Flags()
	f.StringVar(&w.name, "name", "", "what people call the network")
	f.BoolVar(&w.protect, "passphrase", false,
		"protect the new private key with a passphrase (asked for, or a line of standard input)")
	f.StringVar(&w.authority, "authority", "", "certificate of the authority that signs")
	f.StringVar(&w.network, "network", "",
		"certificate of the network to be signed, instead of making a new one")
	f.StringVar(&w.roles, "roles", "", "what the authority permits to the network: relay")
	f.StringVar(&w.issuer, "issuer", "", "host:port at which certificates are renewed;\n"+
		"NODEID:port keeps the road there open for nodes that have expired")
	f.StringVar(&w.expires, "expires", "",
		"when the certificate ends: 2030-12-31, or 90d; needs --authority")
	f.BoolVar(&w.stdin, "stdin", false,
		"read the authority's private key from standard input (line 2: its passphrase)")
	return c
}

// certificate is what is to be signed, as far as the flags say it.
func (w *newNetwork) certificate(now time.Time) (c *ident.NetworkCert, err error) {
	c = &ident.NetworkCert{Serial: firstSerial, Name: w.name, Issuer: w.issuer}
	if w.name != "" {
		if err := ident.CheckName(w.name); err != nil {
			return nil, usagef("--name: %v", err)
		}
	}
	if w.authority == "" {
		if w.network != "" || w.roles != "" || w.expires != "" || w.stdin {
			return nil, usagef("--network, --roles, --expires and --stdin need --authority").
				withHint("a network that signs itself has no roles and does not expire")
		}
		return c, nil
	}
	if c.Roles, err = ident.ParseRoles(w.roles); err != nil {
		return nil, usagef("--roles: %v", err)
	}
	if c.NotAfter, err = parseExpiry(w.expires, now); err != nil {
		return nil, usagef("--expires: %v", err)
	}
	c.NotBefore = uint32(now.Unix())
	if w.network == "" {
		return c, nil
	}
	if w.name != "" || w.protect {
		return nil, usagef("--network keeps the name and the key that the network has")
	}
	old, err := readNetworkCert(w.network)
	if err != nil {
		return nil, err
	}
	c.Key, c.Name, c.Successor, c.Serial = old.Key, old.Name, old.Successor, old.Serial+1
	if w.issuer == "" {
		c.Issuer = old.Issuer
	}
	return c, nil
}

func (a *app) generateNetwork(w *newNetwork) error {
	cert, err := w.certificate(time.Now())
	if err != nil {
		return err
	}
	in := func(file string) string { return filepath.Join(w.dir, file) }
	if there := existing([]file{{path: in(nodeKeyFile)}}); len(there) > 0 {
		return failf(exitRefused, "%s is a node's directory", w.dir).
			withHint("the network's private key belongs on no node: choose another directory")
	}
	there := existing([]file{{path: in(networkKeyFile)}, {path: in(networkCertFile)}})
	if len(there) > 0 {
		return failf(exitRefused, "%s exists", there[0]).
			withHint("a network's key is never overwritten: choose another directory")
	}
	var signer *ident.Secret
	if w.authority != "" {
		if signer, err = a.authoritySecret(w); err != nil {
			return err
		}
	}
	var files []file
	if w.network == "" {
		if signer, files, err = a.newNetworkKey(w, cert, signer); err != nil {
			return err
		}
	}
	if err := ident.SignNetworkCert(cert, signer); err != nil {
		return err
	}
	if err := makeDir(w.dir); err != nil {
		return err
	}
	text := ident.EncodeText(cert.Append(nil))
	if err := writeAll(append(files, file{in(networkCertFile), text, publicPerm})); err != nil {
		return err
	}
	return a.showNewNetwork(w, cert, trimmed(text))
}

// authoritySecret asks for the private key of the authority that signs.
func (a *app) authoritySecret(w *newNetwork) (*ident.Secret, error) {
	authority, err := readNetworkCert(w.authority)
	if err != nil {
		return nil, err
	}
	return a.secretOf(authority, "authority's", w.stdin)
}

// newNetworkKey makes the key of a new network and its files; the network signs for itself unless
// somebody else does.
func (a *app) newNetworkKey(w *newNetwork, cert *ident.NetworkCert, signer *ident.Secret) (
	*ident.Secret, []file, error,
) {
	secret, err := ident.NewSecret(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	text := ident.EncodeSecretText(secret)
	if w.protect {
		pass, err := a.newPassphrase()
		if err != nil {
			return nil, nil, err
		}
		text, err = ident.EncodeSecretTextWithPassphrase(secret, pass, rand.Reader)
		if err != nil {
			return nil, nil, err
		}
	}
	cert.Key = secret.NetworkKey()
	if signer == nil {
		signer = secret
	}
	return signer, []file{
		{filepath.Join(w.dir, networkKeyFile), text, secretPerm}, namesKey(w.dir, secret),
	}, nil
}

func (a *app) showNewNetwork(w *newNetwork, cert *ident.NetworkCert, text string) error {
	done := generated{
		Key: cert.Key.String(), Certificate: filepath.Join(w.dir, networkCertFile), Text: text,
	}
	if w.network == "" {
		done.PrivateKey = filepath.Join(w.dir, networkKeyFile)
	}
	return a.show(done, func() {
		a.printf("network      %s\ncertificate  %s\n", done.Key, done.Certificate)
		if !cert.SelfSigned() {
			a.printf("authority    %s\n", cert.Authority)
		}
		if w.network != "" {
			a.notef("give it to every node of the network in place of its network-certificate.txt")
			return
		}
		a.printf("private key  %s\n", done.PrivateKey)
		a.notef("keep the private key off every node; for each node: mcc init %s", done.Text)
	})
}
