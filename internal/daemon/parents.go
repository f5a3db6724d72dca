// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"staex/internal/conf"
	"staex/internal/overlay/node"
)

const (
	// lookupRetry is the first wait after a failed look-up; it doubles up to the period that the
	// configuration names. It is also the shortest time between two look-ups.
	lookupRetry = 30 * time.Second
	// lookupTime is how long one look-up may take.
	lookupTime = 10 * time.Second
	// maxAddrs is how many addresses of one name are tried.
	maxAddrs = 8
)

// parentEntry is one configured parent and where it was found last.
type parentEntry struct {
	conf.Parent
	addrs []netip.AddrPort
}

// ancestry is the configured parents, as the look-ups and a reload share them.
type ancestry struct {
	mu    sync.Mutex         // guards list
	list  []parentEntry      // replaced, never changed in place
	again chan time.Duration // somebody wants a look-up, after this time; holds one wish
}

func newAncestry(list []conf.Parent) *ancestry {
	return &ancestry{list: parentAddrs(list), again: make(chan time.Duration, 1)}
}

// lookAgain asks for a look-up after a time. It never blocks.
func (a *ancestry) lookAgain(after time.Duration) {
	select {
	case a.again <- after:
	default:
	}
}

// known is where a parent was found last, if it has been looked for.
func (a *ancestry) known(p conf.Parent) []netip.AddrPort {
	for _, e := range a.entries() {
		if e.Parent == p {
			return e.addrs
		}
	}
	return nil
}

func (a *ancestry) entries() []parentEntry {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.list
}

func (a *ancestry) set(list []parentEntry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = list
}

// parentAddrs are the parents whose addresses need no look-up; the others come later.
func parentAddrs(list []conf.Parent) []parentEntry {
	entries := make([]parentEntry, len(list))
	for i, p := range list {
		entries[i] = parentEntry{Parent: p}
		a, ok := p.Addr()
		if at, err := numbered(unmapped(a).Addr()); ok && err == nil {
			entries[i].addrs = []netip.AddrPort{netip.AddrPortFrom(at, a.Port())}
		}
	}
	return entries
}

// numbered puts the number of an interface in the place of its name, if an address has one: that is
// how the kernel says from where an answer came.
func numbered(a netip.Addr) (netip.Addr, error) {
	if !zoned(a) {
		return a, nil
	}
	dev, err := net.InterfaceByName(a.Zone())
	if err != nil {
		return a, fmt.Errorf("interface %s: %w", a.Zone(), err)
	}
	return a.WithZone(strconv.Itoa(dev.Index)), nil
}

// zoned tells whether an address has the name of an interface.
func zoned(a netip.Addr) bool {
	_, err := strconv.ParseUint(a.Zone(), 10, 32)
	return a.Zone() != "" && err != nil
}

// forNode is the list as the node takes it.
func forNode(list []parentEntry) []node.ParentAddr {
	all := make([]node.ParentAddr, len(list))
	for i, e := range list {
		all[i] = node.ParentAddr{Entry: e.String(), Pin: e.Pin, Addrs: e.addrs}
	}
	return all
}

// resolveParents is the goroutine that looks up the host names of parents: at the start, once in
// every period, sooner after a failure or when a parent does not answer. Where no parent has a
// name it only waits for its end.
func (d *daemon) resolveParents(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	due := time.Now() // zero: nothing is to come
	in := func(after time.Duration) {
		timer.Reset(after)
		due = time.Now().Add(after)
	}
	wait := lookupRetry
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
			due = time.Time{}
		case after := <-d.parents.again:
			// A wish puts off nothing that was to come sooner.
			sooner := due.IsZero() || time.Until(due) > after
			if sooner && slices.ContainsFunc(d.parents.entries(), named) {
				in(after)
			}
			continue
		}
		err := d.lookUp(ctx)
		if ctx.Err() != nil {
			return nil
		}
		d.log.problem("looking up parents", err)
		switch period := d.files.cfg.Link.ParentsResolve; {
		case err != nil:
			in(wait)
			wait = min(2*wait, max(period, lookupRetry))
		case slices.ContainsFunc(d.parents.entries(), named):
			wait = lookupRetry
			in(period)
		}
	}
}

// named tells whether an entry needs a look-up: of a host or of an interface.
func named(e parentEntry) bool {
	_, literal := e.Addr()
	return !literal || beside(e)
}

// beside tells whether an entry names an interface, which may come and go and has another number
// then.
func beside(e parentEntry) bool {
	a, literal := e.Addr()
	return literal && zoned(a.Addr())
}

// lookUp looks up every name once and tells the node what has changed. A name that does not
// resolve now keeps its last addresses.
func (d *daemon) lookUp(ctx context.Context) error {
	var errs []error
	old := d.parents.entries()
	list := slices.Clone(old)
	changed := false
	for i, e := range list {
		if !named(e) {
			continue
		}
		addrs, err := d.addressesOf(ctx, e.Host, e.Port)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if !slices.Equal(addrs, e.addrs) {
			list[i].addrs, changed = addrs, true
		}
	}
	if changed {
		d.parents.set(list)
		errs = append(errs, d.loop.apply(ctx, node.SetParents{Parents: forNode(list)}))
	}
	return errors.Join(errs...)
}

// addressesOf asks the system's resolver for the addresses that we have a socket for.
func (d *daemon) addressesOf(ctx context.Context, host string, port uint16,
) ([]netip.AddrPort, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("parent %s: %w", host, err)
	}
	var addrs []netip.AddrPort
	for _, a := range found {
		a, err = numbered(a.Unmap())
		if err != nil {
			return nil, fmt.Errorf("parent %s: %w", host, err)
		}
		if c := d.host.sockets.of(a); c != nil && len(addrs) < maxAddrs {
			addrs = append(addrs, netip.AddrPortFrom(a, port))
		}
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("parent %s: %w", host, errFamily)
	}
	return addrs, nil
}
