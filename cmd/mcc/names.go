// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/netip"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"staex/internal/conf"
	"staex/internal/ident"
)

// namesCertFile stands beside the node's certificate.
const namesCertFile = "names-certificate.txt"

// A naming is what mcc generate-names-certificate was asked for.
type naming struct {
	dir, parent, node, names, static string
	stdin, force                     bool
}

func (a *app) namesCommand() *cobra.Command {
	w := &naming{}
	c := a.formatted(&cobra.Command{
		Use:   "generate-names-certificate [DIR]",
		Short: "Give names and a static address to a node, by the network's key",
		Long: "Give names and a static address to a node: names-certificate.txt in DIR, by " +
			"default " + conf.DefaultDir + ".\nThe network's word counts for more than dns-names " +
			"and static-addr in the configuration of any\nnode. The certificate is the node's in " +
			"DIR, or that of --node: then copy the file beside the\ncertificate of that node. " +
			"mccd reads it when it starts.",
		Args: cobra.MaximumNArgs(1),
		RunE: a.do(func(words []string) error {
			w.dir = conf.DefaultDir
			if len(words) > 0 {
				w.dir = words[0]
			}
			return a.generateNames(w)
		}),
	})
	addParentFlags(c, &w.parent, &w.stdin)
	f := c.Flags()
	f.StringVar(&w.node, "node", "", "id of the node (default: the one of DIR)")
	f.StringVar(&w.names, "dns-names", "", "names without a domain, separated by commas")
	f.StringVar(&w.static, "static-ip-address", "", "static address of the node")
	f.BoolVarP(&w.force, "force", "y", false, "overwrite existing files without asking")
	return c
}

// certificate is what is to be signed.
func (w *naming) certificate() (c *ident.NamesCert, err error) {
	c = &ident.NamesCert{Serial: uint32(time.Now().Unix())}
	if c.Names, err = conf.ParseNames(w.names); err != nil {
		return nil, usagef("--dns-names: %v", err)
	}
	if w.static != "" {
		if c.Static, err = conf.ParseStatic(w.static); err != nil {
			return nil, usagef("--static-ip-address: %v", err)
		}
	}
	if len(c.Names) == 0 && c.Static == (netip.Addr{}) {
		return nil, usagef("name at least one of --dns-names and --static-ip-address")
	}
	if w.node != "" {
		if c.Key, err = ident.ParseNodeID(w.node); err != nil {
			return nil, usagef("--node: %v", err)
		}
		return c, nil
	}
	node, err := readNodeCert(filepath.Join(w.dir, nodeCertFile))
	if err != nil {
		return nil, err
	}
	c.Key = node.Key
	return c, nil
}

func (a *app) generateNames(w *naming) error {
	c, err := w.certificate()
	if err != nil {
		return err
	}
	network, err := readNetworkCert(w.parent)
	if err != nil {
		return err
	}
	path := filepath.Join(w.dir, namesCertFile)
	if err := a.mayOverwrite(existing([]file{{path: path}}), w.force); err != nil {
		return err
	}
	signer, err := a.networkSecret(w.stdin, network)
	if err != nil {
		return err
	}
	if err := ident.SignNamesCert(c, signer); err != nil {
		return usagef("%v", err)
	}
	if err := makeDir(w.dir); err != nil {
		return err
	}
	text := ident.EncodeText(c.Append(nil))
	if err := writeAll([]file{{path, text, publicPerm}}); err != nil {
		return err
	}
	done := generated{Key: c.Key.String(), Certificate: path, Text: trimmed(text)}
	return a.show(done, func() {
		a.printf("node         %s\ncertificate  %s\n", done.Key, done.Certificate)
		a.notef("it belongs beside the node's certificate and takes effect when mccd starts")
	})
}
