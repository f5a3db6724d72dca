// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/spf13/cobra"

	"staex/internal/conf"
	"staex/internal/ident"
)

// A dependentNode is what mcc generate-dependent-node-certificate reports where no tunnel was
// asked for.
type dependentNode struct {
	Name        string       `json:"name"`
	ID          ident.NodeID `json:"id"`
	Certificate string       `json:"certificate"`
	PrivateKey  string       `json:"private_key"`
	Config      string       `json:"config"`
	Running     bool         `json:"running"` // the daemon has been told
}

// dependentCommand is what create-tunnel was before there were tunnels. A device got a node's
// certificate, and everybody reached it; since then nothing passes that no tunnel names. With
// targets and a remote node the command makes that tunnel.
func (a *app) dependentCommand() *cobra.Command {
	t := &creating{}
	const static = "static-address"
	c := a.formatted(&cobra.Command{
		Use:   "generate-dependent-node-certificate IPV4-ADDRESS [OUTPUT-DIRECTORY]",
		Short: "Deprecated, use create-tunnel: make a certificate for a device beside this node",
		Long: "Deprecated: use mcc create-tunnel --external-ip-address IPV4-ADDRESS.\nMake the " +
			"certificate, the private key and the file of a device beside this node, whose " +
			"address\nis private (RFC 1918). With --targets and --remote-node that node reaches " +
			"them, as by\ncreate-tunnel; without them nobody reaches the device. The output " +
			"directory is by default\n" +
			conf.Default(conf.DefaultDir).Tunnels.DependentNodes + ".",
		Args: takes(1, 2),
	})
	addParentFlags(c, &t.parent, &t.stdin)
	f := c.Flags()
	f.StringVar(&t.names, "dns-names", "", "DNS names of the device, separated by commas")
	f.StringVar(&t.static, static, conf.StaticNetwork().String(),
		"static address of the device; the range itself means none")
	f.StringVar(&t.targets, "targets", "", "services to reach, e.g. tcp:80,udp:2222")
	f.StringVar(&t.remote, "remote-node", "", "id or name of the node that may reach them")
	c.RunE = a.do(func(words []string) error {
		a.notef("%s is deprecated: use mcc create-tunnel", c.Name())
		t.external = words[0]
		if err := t.parseDevice("--"+static, "IPV4-ADDRESS"); err != nil {
			return err
		}
		if !t.extIP.Is4() {
			return usagef("IPV4-ADDRESS: %s is not the private IPv4 address of a device", words[0])
		}
		p, err := a.find()
		if err != nil {
			return err
		}
		t.dir = p.dependents
		if len(words) > 1 {
			t.dir = words[1]
		}
		named := c.Flags().Changed("parent")
		if t.targets == "" && t.remote == "" {
			return a.generateDependent(t, p, named)
		}
		if err := t.parse(time.Now()); err != nil {
			return err
		}
		return a.createTunnel(t, named)
	})
	return c
}

// generateDependent makes a device known that no tunnel names yet.
func (a *app) generateDependent(t *creating, p place, named bool) error {
	secret, signer, err := a.endpointKeys(t, p, named)
	if err != nil {
		return err
	}
	cert := &ident.NodeCert{Key: secret.ID(), Serial: firstSerial}
	if err := ident.SignNodeCert(cert, signer); err != nil {
		return err
	}
	if err := t.write(secret, cert.Append(nil)); err != nil {
		return err
	}
	running, err := a.reload(p, t.dir)
	if err != nil {
		return err
	}
	done := dependentNode{
		t.name, cert.Key, t.path("-certificate.txt"), t.path("-private-key.txt"),
		t.path(conf.TunnelSuffix), running,
	}
	return a.show(done, func() {
		a.printf("node         %s\ncertificate  %s\nprivate key  %s\nfile         %s\n",
			done.ID, done.Certificate, done.PrivateKey, done.Config)
		a.notef("nobody reaches %s before a tunnel names its ports: mcc create-tunnel "+
			"--external-ip-address %s --targets tcp:80 --remote-node NODE", t.extIP, t.extIP)
	})
}
