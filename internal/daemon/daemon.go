// SPDX-License-Identifier: Apache-2.0

// Package daemon is the wiring: it opens what the machine has, starts the goroutines and carries
// bytes, moments and requests between the host and the node. It decides nothing about packets,
// keys or tunnels; the rooms below do.
//
// The goroutines, each in a file of its own:
//
//	device    packets from the host            -> plane.Worker -> sockets, node   device_reader.go
//	socket    datagrams, one for each family   -> plane.Worker -> device, node    socket_reader.go
//	          (one of these three for each lane: one, or up to four where there are processors)
//	probe     answers to how long a translator keeps a mapping -> node              probes.go
//	node      the only caller of node.Node, and of everything its effects ask     loop.go
//	keeper    what others change of the device -> back as it was                  device_keeper.go
//	filter    the packet filter, when somebody removes it -> as it was            filter_keeper.go
//	clocks    suspend, and a wall clock that is set -> node                       clocks.go
//	ways      a cable, a route or an address that comes or goes -> node           ways.go
//	reminders new sessions                     -> programs that only read         reminders.go
//	alarm     what is due                              -> node                      loop.go
//	parents   host names of parents            -> node                            parents.go
//	watch     the tunnels directory            -> node                            watch.go
//	control   the control socket               -> node                            control.go
//	watchdog  the service manager's wish to hear that all is well                   watchdog.go
//	metrics   monitors that fetch the counters                                      metrics.go
//	dns       questions for names              -> node                            dns.go
//	forward   a port of this machine           -> the device, by the kernel       forwarding.go
package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/cpu"

	"staex/internal/conf"
	"staex/internal/host/disk"
	"staex/internal/host/notify"
	"staex/internal/host/priv"
	"staex/internal/host/watch"
	"staex/internal/ident"
	"staex/internal/overlay/node"
	"staex/internal/overlay/plane"
	"staex/internal/overlay/pool"
)

// Options is what a daemon is told on its command line.
type Options struct {
	Dir    string           // CONFIG-DIR
	Log    io.Writer        // where the log goes unless log-file names a file
	Reload <-chan os.Signal // each value asks to read the files again; may be nil

	lanes int // how many, for tests; 0 lets the machine decide
}

// daemon is one run.
type daemon struct {
	opts    Options
	log     *logbook
	files   *files
	host    host
	store   *disk.Store
	node    *node.Node
	loop    *loop
	crew    crew
	doors   doors
	born    time.Duration // on the Up clock
	profile profile
	undo    []func() error

	parents    *ancestry
	forwarding forwarding
	reminders  *reminders
	watch      *watch.Dirs
	reading    sync.Mutex      // held while the tunnels directory is read and applied
	workers    []*plane.Worker // for their counters; complete before anybody may ask
	shapers    []*shaper       // of all families
	waiting    chan struct{}   // something waits in one of them; holds one
	traffic    traffic
}

// files is what the daemon was told by its configuration directory.
type files struct {
	cfg     *conf.Config
	path    string // of the main configuration file
	who     *ident.Identity
	own     string             // path of the certificate of this node's network
	foreign []ident.NetworkKey // of the other networks in network-certificates
	rules   []conf.Rule        // forwarding rules
	names   *ident.NamesCert   // what the network's key calls this node; nil: nothing
	notes   []string           // warnings, in sentences
	account priv.Account       // whom to become; root stays root
}

// Run starts the daemon, serves until the context ends or something fails, and puts the machine
// back as it was. The error is a *Failure when the daemon could not start.
func Run(ctx context.Context, o Options) (err error) {
	d := &daemon{opts: o, log: newLogbook(o.Log), reminders: newReminders()}
	defer func() { err = errors.Join(err, d.unwind()) }()
	d.born = reading().Up
	for _, step := range []func() error{
		d.readFiles, d.choose, d.openLog, d.checkRanges, d.openStore, d.openSockets, d.openProbes,
		d.openDevice, d.makeNode, d.openFilter, d.configureDevice, d.openDoors,
		d.openRules, d.tellDnsmasq, d.become,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return d.serve(ctx)
}

// Check reads everything that Run would read first and reports what is wrong with it.
// The error is a *Failure.
func Check(dir string) error {
	f, err := readFiles(dir)
	if err != nil {
		return err
	}
	set, err := readTunnels(f.cfg, f.account.UID)
	if err != nil {
		return failf(ExitConfig, "%v", err)
	}
	if len(set.problems) > 0 {
		return tunnelFailure(set)
	}
	return nil
}

func (d *daemon) readFiles() (err error) {
	if dir := d.opts.Dir; disk.Unfinished(dir) {
		if err := disk.Recover(dir); err != nil {
			d.log.problem("putting back the files of an interrupted mcc init", err)
		} else {
			d.log.Warn("mcc init was interrupted: the old files are put back", "dir", dir)
		}
	}
	d.files, err = readFiles(d.opts.Dir)
	return err
}

// later remembers how to undo a step; what was done last is undone first.
func (d *daemon) later(undo func() error) { d.undo = append(d.undo, undo) }

func (d *daemon) unwind() error {
	var errs []error
	for _, undo := range slices.Backward(d.undo) {
		errs = append(errs, undo())
	}
	return errors.Join(errs...)
}

// makeNode makes the node out of what was read and stored.
func (d *daemon) makeNode() error {
	d.parents = newAncestry(d.files.cfg.Link.Parents)
	kept, secret, err := stored(d.store)
	if err != nil {
		return d.damaged(err)
	}
	cfg, records := d.nodeConfig(kept, secret), newRecordLog(
		d.files.cfg.Process.DataDir, d.profile.records)
	d.later(records.close)
	d.later(d.keepRemembered)
	cfg.Log, cfg.Remembered = records, d.takeRemembered()
	d.node, err = node.New(cfg, d.files.who, rand.Reader)
	if err != nil {
		return d.damaged(err)
	}
	d.loop, err = newLoop(d)
	return err
}

func (d *daemon) damaged(err error) *Failure {
	dir := d.files.cfg.Process.DataDir
	f := failf(ExitData, "data-dir: %s: %s", dir, strings.TrimPrefix(err.Error(), "disk: "))
	if full(err) {
		return f.withHint("make room on the disk of %s, or choose another data-dir in %s", dir,
			d.files.path)
	}
	return f.withHint("restore it from a backup, or move it away: addresses change then, and " +
		"tunnels are agreed on again")
}

// nodeConfig is what the node is told about the configuration and about earlier runs.
func (d *daemon) nodeConfig(kept map[string][]byte, secret [leaseSecretSize]byte) node.Config {
	cfg := d.files.cfg
	return node.Config{
		Parents:       forNode(d.parents.entries()),
		KeepAlive:     cfg.Link.KeepAlive,
		KeepAliveAuto: cfg.Link.KeepAliveAuto,
		Rejoin:        cfg.Link.Rejoin,
		RelayNetworks: cfg.Trust.Relay,
		Authorities:   cfg.Trust.Authorities,
		TrustNetworks: slices.Concat(d.files.foreign, cfg.Trust.Networks),
		TrustNodes:    cfg.Trust.Nodes,
		AcceptByHand:  cfg.Tunnels.Accept == "manual",
		NodeTraffic:   cfg.Trust.NodeTraffic == "allow",
		Ranges: pool.Ranges{
			V4: cfg.Resolver.IPv4, V6: cfg.Resolver.IPv6, MAC: cfg.Resolver.MAC,
		},
		DNSNames:      cfg.Node.Names,
		Static:        cfg.Node.Static,
		Names:         d.files.names,
		LookupHops:    cfg.Resolver.LookupHops,
		LookupTimeout: cfg.Resolver.LookupTimeout,
		LabelBits:     d.profile.labelBits,
		PostQuantum:   postQuantum(cfg.Link.PostQuantum),
		AES:           hasAES(),
		Stored:        kept,
		LeaseSecret:   secret,
	}
}

// postQuantum is the setting that the configuration names.
func postQuantum(s string) node.PostQuantum {
	switch s {
	case "off":
		return node.PQOff
	case "require":
		return node.PQRequire
	default:
		return node.PQPrefer
	}
}

// hasAES tells whether AES-GCM is faster here than ChaCha20.
func hasAES() bool {
	return cpu.X86.HasAES && cpu.X86.HasPCLMULQDQ || cpu.ARM64.HasAES && cpu.ARM64.HasPMULL
}

// serve starts the goroutines and waits until the context ends or one of them fails. Their order
// at the end: the node says goodbye while the sockets are still open, then everything is closed,
// which ends the readers.
func (d *daemon) serve(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	d.crew.failed = stop
	d.crew.start("node", func() error { return d.loop.run(ctx) })
	d.crew.start("alarm", func() error { return d.loop.ring(ctx) })
	d.startReaders()
	d.crew.start("shapers", func() error { return d.drain(ctx) })
	d.startProbes()
	d.startDoors()
	d.crew.start("keeper", func() error { return d.keepDevice(ctx) })
	d.crew.start("filter", func() error { return d.keepFilter(ctx) })
	d.crew.start("clocks", func() error { return d.watchClocks(ctx) })
	d.crew.start("ways", func() error { return d.watchWays(ctx) })
	d.crew.start("reminders", func() error { return d.remindPrograms(ctx) })
	d.crew.start("parents", func() error { return d.resolveParents(ctx) })
	d.crew.start("watch", func() error { return d.watchTunnels(ctx) })
	d.crew.start("reload", func() error { return d.followReloads(ctx) })
	d.crew.start("watchdog", func() error { return d.reassure(ctx) })
	_, err := d.reloadTunnels(ctx)
	d.log.problem("reading the tunnels directory", err)
	d.log.started(d)
	_ = notify.Ready() // without a service manager there is nobody to tell

	<-ctx.Done()
	_ = notify.Stopping() // as above
	d.log.Info("stopping")
	<-d.loop.ended
	d.closeDoors()
	err = d.host.close()
	d.crew.wait()
	return errors.Join(d.crew.err(), err)
}
