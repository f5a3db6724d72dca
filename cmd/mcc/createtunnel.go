// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"staex/internal/api"
	"staex/internal/conf"
	"staex/internal/ident"
)

// tunnelNameLength is how much of an endpoint's id names a tunnel that has no name.
const tunnelNameLength = 8

// A creating is what mcc create-tunnel was asked for, as text and as values.
type creating struct {
	parent, targets, remote, names, static, external, name, expires string

	stdin bool
	dir   string
	cert  ident.EndpointCert
	extIP netip.Addr
}

func (a *app) createTunnelCommand() *cobra.Command {
	t := &creating{}
	c := a.formatted(&cobra.Command{
		Use:   "create-tunnel --targets TARGETS --remote-node NODE [OUTPUT-DIRECTORY]",
		Short: "Create a tunnel from another node to services here",
		Long: "Create a tunnel: the remote node reaches the targets on this node, or on a device " +
			"beside it,\nand nothing else does. The tunnel works without a restart once the " +
			"remote node has accepted it.\nThe output directory is the tunnels directory of " +
			"the daemon by default: " + conf.Default(conf.DefaultDir).Tunnels.Dir + ".",
		Args: takes(0, 1),
	})
	addParentFlags(c, &t.parent, &t.stdin)
	f := c.Flags()
	f.StringVar(&t.targets, "targets", "", "services to reach, e.g. tcp:80,udp:2222 (mandatory)")
	f.StringVar(&t.remote, "remote-node", "",
		"id or name of the node that may reach them (mandatory)")
	f.StringVar(&t.names, "dns-names", "", "DNS names of the tunnel, separated by commas")
	f.StringVar(&t.static, "static-ip-address", conf.StaticNetwork().String(),
		"static address of the tunnel; the range itself means none")
	f.StringVar(&t.external, "external-ip-address", "0.0.0.0",
		"private address of the device that has the services, a link-local one with its\n"+
			"interface (fe80::1%eth0); 0.0.0.0 means this node")
	f.StringVar(&t.name, "name", "", "name of the tunnel and its files "+
		"(default: the first DNS name, or the start of its id)")
	f.StringVar(&t.expires, "expires", "", "when the tunnel ends: 2030-12-31, or 90d, or 12h")
	c.RunE = a.do(func(words []string) error {
		if err := t.parse(time.Now()); err != nil {
			return err
		}
		if len(words) > 0 {
			t.dir = words[0]
		}
		return a.createTunnel(t, c.Flags().Changed("parent"))
	})
	return c
}

// parse checks everything that was typed before anything is asked or written.
func (t *creating) parse(now time.Time) error {
	if t.targets == "" || t.remote == "" {
		return usagef("--targets and --remote-node are needed").
			withHint("mcc create-tunnel --targets tcp:80 --remote-node NODE")
	}
	var err error
	t.cert = ident.EndpointCert{Kind: ident.ServerEndpoint, Serial: firstSerial}
	if t.cert.Targets, err = ident.ParseTargets(t.targets); err != nil {
		return usagef("--targets: %v", err)
	}
	if err := t.parseDevice("--static-ip-address", "--external-ip-address"); err != nil {
		return err
	}
	if t.cert.NotAfter, err = parseExpiry(t.expires, now); err != nil {
		return usagef("--expires: %v", err)
	}
	if t.name != "" {
		if err := conf.CheckTunnelName(t.name); err != nil {
			return usagef("--name: %v", err)
		}
	}
	return nil
}

// findRemote gives --remote-node the id that it means. A name is somebody's claim, so its id is
// shown; and the end of a tunnel, which has names as well, is no node.
func (a *app) findRemote(t *creating) (err error) {
	if t.cert.Peer, err = a.nodeID(t.remote); err != nil {
		f := asFailure(err)
		f.message = "--remote-node: " + f.message
		return f
	}
	if strings.EqualFold(t.remote, t.cert.Peer.String()) {
		return nil
	}
	a.notef("%s is node %v", t.remote, t.cert.Peer)
	var r api.TunnelsReply
	if err := a.ask(api.OpTunnels, nil, &r); err != nil {
		return err
	}
	for _, x := range r.Tunnels {
		if x.ID == t.cert.Peer || x.Remote == t.cert.Peer || x.Local == t.cert.Peer {
			return usagef("--remote-node: %s is an end of tunnel %s, and no node", t.remote,
				x.Name).
				withHint("its node is %v", x.RemoteNode)
		}
	}
	return nil
}

// parseDevice checks what is said about the endpoint itself; the names are those under which a
// person gave its addresses.
func (t *creating) parseDevice(static, external string) (err error) {
	if t.cert.Names, err = conf.ParseNames(t.names); err != nil {
		return usagef("--dns-names: %v", err)
	}
	if t.cert.Static, err = conf.ParseStatic(t.static); err != nil {
		return usagef("%s: %v", static, err)
	}
	if t.extIP, err = conf.ParseExternal(t.external); err != nil {
		return usagef("%s: %v", external, err)
	}
	return nil
}

// parseExpiry reads a day, a moment (RFC 3339) or a time from now in days or as in
// mcc.conf, and gives Unix seconds. A day ends with it, in UTC; empty is never.
func parseExpiry(text string, now time.Time) (uint32, error) {
	if text == "" {
		return 0, nil
	}
	end, err := time.Parse(time.DateOnly, text)
	if err == nil {
		end = end.AddDate(0, 0, 1)
	} else if end, err = time.Parse(time.RFC3339, text); err != nil {
		if days, isDays := strings.CutSuffix(text, "d"); isDays {
			n, err := strconv.ParseUint(days, 10, 16)
			if err != nil {
				return 0, errExpiry
			}
			end = now.AddDate(0, 0, int(n))
		} else if d, err := conf.ParseDuration(text); err == nil {
			end = now.Add(d)
		} else {
			return 0, errExpiry
		}
	}
	seconds := end.Unix()
	if seconds <= now.Unix() || seconds > 1<<32-1 {
		return 0, errors.New("the moment is past, or further away than certificates count")
	}
	return uint32(seconds), nil
}

var errExpiry = errors.New("write a day (2030-12-31), a moment (RFC 3339), 90d or 12h")

// A place is where a tunnel's files belong and what they have to agree with.
type place struct {
	tunnels    string
	dependents string // deprecated, and read like the first
	network    string // the network's certificate
	config     *conf.Config
	running    bool // the daemon answered
}

// reads tells whether the daemon takes tunnels from a directory.
func (p place) reads(dir string) bool {
	known := []string{filepath.Clean(p.tunnels), filepath.Clean(p.dependents)}
	return slices.Contains(known, filepath.Clean(dir))
}

// find asks the daemon where its files are; without one the documented places hold.
func (a *app) find() (place, error) {
	path := filepath.Join(conf.DefaultDir, conf.FileName)
	var dir api.DirReply
	err := a.ask(api.OpDir, nil, &dir)
	running := err == nil
	if running {
		path = dir.Config
	} else if asFailure(err).exit != exitNoDaemon {
		return place{}, err
	}
	config, err := readConfig(path, false)
	if err != nil {
		return place{}, err
	}
	p := place{
		tunnels: config.Tunnels.Dir, dependents: config.Tunnels.DependentNodes,
		network: config.Certs.Networks[0], config: config, running: running,
	}
	if running {
		p.tunnels = dir.Tunnels
	}
	if len(dir.NetworkCertificates) > 0 {
		p.network = dir.NetworkCertificates[0]
	}
	return p, nil
}

// A created is what mcc create-tunnel reports.
type created struct {
	Name       string       `json:"name"`
	ID         ident.NodeID `json:"id"` // of the server endpoint: what the remote node addresses
	RemoteNode ident.NodeID `json:"remote_node"`
	Config     string       `json:"config"`
	Running    bool         `json:"running"` // the daemon has taken it over
}

func (a *app) createTunnel(t *creating, named bool) error {
	if err := a.findRemote(t); err != nil {
		return err
	}
	p, err := a.find()
	if err != nil {
		return err
	}
	if t.dir == "" {
		t.dir = p.tunnels
	}
	if err := t.checkRemote(p); err != nil {
		return err
	}
	secret, signer, err := a.endpointKeys(t, p, named)
	if err != nil {
		return err
	}
	if err := ident.SignEndpointCert(&t.cert, signer); err != nil {
		return usagef("%v", err)
	}
	if err := t.write(secret, t.cert.Append(nil)); err != nil {
		return err
	}
	a.keepNamesKey(filepath.Dir(t.parent), signer)
	running, err := a.reload(p, t.dir)
	if err != nil {
		return err
	}
	done := created{t.name, t.cert.Key, t.cert.Peer, t.path(conf.TunnelSuffix), running}
	return a.show(done, func() {
		a.printf("tunnel  %s\nid      %s\nfile    %s\n", done.Name, done.ID, done.Config)
	})
}

// checkRemote refuses this node as the other end: an offer to itself waits for ever. Files for
// another machine go to a directory that this node does not read.
func (t *creating) checkRemote(p place) error {
	own, err := readNodeCert(p.config.Certs.Node)
	if err != nil || own.Key != t.cert.Peer || !p.reads(t.dir) {
		return nil //nolint:nilerr // without a certificate there is no node to mistake for another
	}
	return usagef("--remote-node: %v is this node itself, and a tunnel needs two", own.Key).
		withHint("name the node that is to reach the targets: mcc id says its id there")
}

// endpointKeys makes the key of an endpoint, settles its name, and gets the key that signs its
// certificate. named: a person said which network's.
func (a *app) endpointKeys(t *creating, p place, named bool) (
	own, signer *ident.Secret, err error,
) {
	if !named {
		t.parent = p.network
	}
	if err := p.config.CheckExternal(t.extIP); t.extIP.IsValid() && err != nil {
		return nil, nil, usagef("--external-ip-address: %v", err)
	}
	network, err := readNetworkCert(t.parent)
	if err != nil {
		return nil, nil, err
	}
	if own, err = ident.NewSecret(rand.Reader); err != nil {
		return nil, nil, err
	}
	t.cert.Key = own.ID()
	if err := t.chooseName(); err != nil {
		return nil, nil, err
	}
	signer, err = a.networkSecret(t.stdin, network)
	return own, signer, err
}

// chooseName settles the name and refuses one that is taken.
func (t *creating) chooseName() error {
	if t.name == "" {
		t.name = t.cert.Key.String()[:tunnelNameLength]
		if len(t.cert.Names) > 0 {
			t.name = t.cert.Names[0]
		}
	}
	there := existing([]file{
		{path: t.path(conf.TunnelSuffix)},
		{path: t.path("-certificate.txt")},
		{path: t.path("-private-key.txt")},
	})
	if len(there) > 0 {
		return t.taken(there[0])
	}
	return nil
}

func (t *creating) taken(path string) error {
	return failf(exitRefused, "%s exists", path).
		withHint("choose another --name, or mcc delete-tunnel %s", t.name)
}

func (t *creating) path(suffix string) string { return filepath.Join(t.dir, t.name+suffix) }

// write makes the three files; the daemon reads the one that is written last.
func (t *creating) write(secret *ident.Secret, cert []byte) error {
	description := conf.Tunnel{
		Name: t.name, File: t.path(conf.TunnelSuffix),
		Certificate: t.path("-certificate.txt"), PrivateKey: t.path("-private-key.txt"),
		External: t.extIP, Names: t.cert.Names, Static: t.cert.Static,
	}
	if err := makeDir(t.dir); err != nil {
		return err
	}
	files := []file{
		{description.PrivateKey, ident.EncodeSecretText(secret), secretPerm},
		{description.Certificate, ident.EncodeText(cert), publicPerm},
		{description.File, description.Format(), publicPerm},
	}
	if err := writeNew(files); errors.Is(err, fs.ErrExist) {
		return t.taken(t.path(conf.TunnelSuffix))
	} else if err != nil {
		return err
	}
	return giveToOwner(t.dir, files)
}

// keepNamesKey writes the names key where it is missing. A tunnel works without it, so a
// directory that cannot be written is worth a word and no more.
func (a *app) keepNamesKey(dir string, network *ident.Secret) {
	key := namesKey(dir, network)
	if len(existing([]file{key})) == 0 && fileExists(key.path) {
		return
	}
	if err := writeAll([]file{key}); err != nil {
		a.notef("the network's names key was not written: %v", err)
	}
}

// reload tells the daemon about the new files.
func (a *app) reload(p place, dir string) (running bool, err error) {
	if !p.running {
		a.notef("the daemon does not run: the tunnel starts with it")
		return false, nil
	}
	if !p.reads(dir) {
		a.notef("the daemon reads %s and not %s", p.tunnels, dir)
	}
	var r api.ReloadReply
	if err := a.ask(api.OpReloadTunnels, nil, &r); err != nil {
		f := asFailure(err)
		f.message = "the files were written, but the daemon did not take them: " + f.message
		return false, f
	}
	for _, problem := range r.Problems {
		a.notef("%s", problem)
	}
	return true, nil
}
