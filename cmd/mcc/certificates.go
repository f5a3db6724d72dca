// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"staex/internal/conf"
	"staex/internal/host/disk"
	"staex/internal/ident"
)

// A shownCert is one certificate as it is printed.
type shownCert struct {
	Kind      string    `json:"kind"` // "node", "names", "network" or "authority"
	File      string    `json:"file,omitempty"`
	Key       string    `json:"key"` // node id or network public key
	Name      string    `json:"name,omitempty"`
	Network   string    `json:"network,omitempty"` // hash, 16 hexadecimal digits
	Authority string    `json:"authority,omitempty"`
	Issuer    string    `json:"issuer,omitempty"`
	Static    string    `json:"static_address,omitempty"`
	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"`
	Serial    uint32    `json:"serial"`
	Roles     string    `json:"roles,omitempty"`
	Problem   string    `json:"problem,omitempty"` // what does not verify
	Text      string    `json:"text,omitempty"`    // BASE64
	Trusted   bool      `json:"trusted,omitempty"` // of an authority: its networks may join here
}

func (a *app) certificatesCommand() *cobra.Command {
	return a.formatted(&cobra.Command{
		Use:   "certificates [CONFIGURATION-FILE]",
		Short: "Show the certificates of this node and its networks",
		Long: "Show the certificates that a configuration file names, by default " +
			filepath.Join(conf.DefaultDir, conf.FileName) + ". The daemon need not run.",
		Args: takes(0, 1),
		RunE: a.do(func(words []string) error {
			path, named := filepath.Join(conf.DefaultDir, conf.FileName), len(words) > 0
			if named {
				path = words[0]
			}
			config, err := readConfig(path, named)
			if err != nil {
				return err
			}
			shown, err := certificatesOf(config)
			if err != nil {
				return err
			}
			err = a.show(shown, func() {
				for i, c := range shown {
					if i > 0 {
						a.printf("\n")
					}
					a.printf("%s", table(c.rows()))
				}
			})
			return errors.Join(err, problemOf(shown))
		}),
	})
}

// readConfig reads a main configuration file. One that nobody named may be missing: then
// every key has its default.
func readConfig(path string, named bool) (*conf.Config, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("configuration file: %w", err)
	}
	data, err := disk.ReadFile(path)
	switch {
	case !named && errors.Is(err, fs.ErrNotExist):
		return conf.Default(filepath.Dir(path)), nil
	case err != nil:
		return nil, unreadable("configuration file", path, err,
			"without an argument it is "+filepath.Join(conf.DefaultDir, conf.FileName))
	}
	return conf.Parse(data, path, filepath.Dir(path))
}

// certificatesOf reads the node's certificate and those of its networks, and checks that
// one of these has signed the first.
func certificatesOf(c *conf.Config) ([]shownCert, error) {
	node, err := readNodeCert(c.Certs.Node)
	if err != nil {
		return nil, err
	}
	shown := []shownCert{showNode(node, c.Certs.Node)}
	shown[0].Problem = "no listed network has signed it"
	named, err := readNamesCert(filepath.Join(filepath.Dir(c.Certs.Node), namesCertFile))
	if err != nil {
		return nil, err
	}
	if named != nil {
		shown = append(shown, showNames(named))
	}
	for _, path := range c.Certs.Networks {
		network, err := readNetworkCert(path)
		if err != nil {
			return nil, err
		}
		if node.Verify(network) == nil {
			shown[0].Problem = ""
		}
		if named != nil && named.VerifyBy(network.Key) == nil && named.Key == node.Key {
			shown[1].Problem = ""
		}
		shown = append(shown, showNetwork(network, path))
		if !network.SelfSigned() {
			shown = append(shown, shownCert{
				Kind: "authority", Key: network.Authority.String(),
				Trusted: slices.Contains(c.Trust.Authorities, network.Authority),
			})
		}
	}
	return shown, nil
}

func readNodeCert(path string) (*ident.NodeCert, error) {
	text, err := disk.ReadFile(path)
	if err != nil {
		return nil, unreadable("node certificate", path, err,
			"mcc init makes it; another place is named by node-certificate in mcc.conf")
	}
	raw, err := ident.DecodeText(text)
	if err != nil {
		return nil, fmt.Errorf("node certificate %s: %w", path, err)
	}
	c, err := ident.DecodeNodeCert(raw)
	if err != nil {
		return nil, fmt.Errorf("node certificate %s: %w", path, err)
	}
	return c, nil
}

// readNamesCert reads what the network's key gave to a node; nil if it gave nothing.
func readNamesCert(path string) (*ident.NamesCert, error) {
	text, err := disk.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no certificate is no error
	}
	if err != nil {
		return nil, fmt.Errorf("names certificate: %w", err)
	}
	raw, err := ident.DecodeText(text)
	if err != nil {
		return nil, fmt.Errorf("names certificate %s: %w", path, err)
	}
	c, err := ident.DecodeNamesCert(raw)
	if err != nil {
		return nil, fmt.Errorf("names certificate %s: %w", path, err)
	}
	return c, nil
}

func problemOf(shown []shownCert) error {
	for _, c := range shown {
		if c.Problem != "" {
			return failf(exitFailed, "%s: %s", c.File, c.Problem)
		}
	}
	return nil
}

func showNode(c *ident.NodeCert, path string) shownCert {
	s := shownCert{
		Kind: "node", File: path, Key: c.Key.String(), Network: c.Network.String(),
		Serial: c.Serial, Roles: c.Roles.String(), Text: trimmed(ident.EncodeText(c.Append(nil))),
	}
	s.NotBefore, s.NotAfter = limits(c.Validity)
	return s
}

func showNames(c *ident.NamesCert) shownCert {
	s := shownCert{
		Kind: "names", File: namesCertFile, Key: c.Key.String(), Network: c.Network.String(),
		Name: strings.Join(c.Names, ","), Serial: c.Serial,
		Problem: "the node's network has not given these names to it",
		Text:    trimmed(ident.EncodeText(c.Append(nil))),
	}
	if c.Static.IsValid() {
		s.Static = c.Static.String()
	}
	s.NotBefore, s.NotAfter = limits(c.Validity)
	return s
}

func showNetwork(c *ident.NetworkCert, path string) shownCert {
	s := shownCert{
		Kind: "network", File: path, Key: c.Key.String(), Name: c.Name,
		Network: c.Key.Hash().String(), Issuer: c.Issuer, Serial: c.Serial,
		Roles: c.Roles.String(), Text: trimmed(ident.EncodeText(c.Append(nil))),
	}
	if !c.SelfSigned() {
		s.Authority = c.Authority.String()
	}
	s.NotBefore, s.NotAfter = limits(c.Validity)
	return s
}

// limits are the moments of a validity; an open side is the zero time.
func limits(v ident.Validity) (from, to time.Time) {
	if v.NotBefore != 0 {
		from = time.Unix(int64(v.NotBefore), 0).UTC()
	}
	if v.NotAfter != 0 {
		to = time.Unix(int64(v.NotAfter), 0).UTC()
	}
	return from, to
}

// rows are a certificate's lines in the table.
func (s shownCert) rows() [][]string {
	if s.Kind == "authority" {
		joins := "only those that relay-networks or trusted-networks name"
		if s.Trusted {
			joins = "all (trusted-authorities names it)"
		}
		return [][]string{{s.Kind, s.Key}, {"its networks join here", joins}}
	}
	key := "node id"
	if s.Kind == "network" {
		key = "public key"
	}
	rows := [][]string{{s.Kind + " certificate", s.File}, {key, s.Key}}
	authority := s.Authority
	if s.Kind == "network" && authority == "" {
		authority = "self-signed"
	}
	for _, more := range [][]string{
		{"name", s.Name},
		{"static address", s.Static},
		{"network", s.Network},
		{"authority", authority},
		{"issuer", s.Issuer},
		{"roles", s.Roles},
		{"serial", strconv.FormatUint(uint64(s.Serial), 10)},
		{"valid from", day(s.NotBefore)},
		{"valid until", day(s.NotAfter)},
		{"problem", s.Problem},
		{"base64", s.Text},
	} {
		if more[1] != "" {
			rows = append(rows, more)
		}
	}
	return rows
}

func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}
