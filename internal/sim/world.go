// SPDX-License-Identifier: Apache-2.0

// Package sim is a whole network in one goroutine on a virtual clock: the real nodes and their
// fast paths, with an underlay that delays, loses, reorders and translates, all from one seed.
// It never reads the machine's clock, so a run repeats bit for bit.
package sim

import (
	"container/heap"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"time"

	"golang.org/x/crypto/blake2s"

	"staex/internal/clock"
	"staex/internal/ident"
	"staex/internal/overlay/pool"
)

// World is one simulated network.
type World struct {
	Now    time.Duration // virtual time since the start, on every host's Up clock
	Frames int           // datagrams that reached somebody
	Lost   int           // datagrams that the underlay lost
	Log    io.Writer     // story of the run, or nil

	seed    uint64
	dice    *rand.Rand
	events  eventHeap
	seq     uint64
	trace   hash.Hash
	hosts   []*Host
	byAddr  map[netip.AddrPort]*Host
	nats    map[netip.Addr]*NAT
	network *Network
	link    Link
	between map[[2]string]Link // links that differ from the others
	audit   audit
	attack  attacker
	cut     map[[2]string]bool
	marker  []byte
	wrong   []string
	bytes   map[string]int
}

// Link is how the underlay treats datagrams.
type Link struct {
	Delay  time.Duration // one way
	Jitter time.Duration // up to this is added at random, which also reorders
	Loss   float64       // share of datagrams lost, 0 to 1
	Twice  float64       // share of datagrams delivered twice
	Most   int           // UDP payloads above this many bytes are lost; 0: none is too large
}

// Network is the key that signs the nodes of one overlay network.
type Network struct {
	Secret *ident.Secret
	Cert   *ident.NetworkCert
}

// New returns an empty world; equal seeds give equal runs.
func New(seed uint64) *World {
	w := &World{
		seed: seed, dice: rand.New(rand.NewPCG(seed, 1)), //nolint:gosec // chaos, not keys
		byAddr: map[netip.AddrPort]*Host{}, nats: map[netip.Addr]*NAT{},
		cut: map[[2]string]bool{}, bytes: map[string]int{},
		link: Link{Delay: 10 * time.Millisecond},
	}
	w.trace, _ = blake2s.New256(nil)
	w.network = w.NewNetwork("home")
	if os.Getenv("SIM_LOG") != "" {
		w.Log = os.Stderr
	}
	return w
}

// NewNetwork makes another network key.
func (w *World) NewNetwork(name string) *Network {
	secret, err := ident.NewSecret(w.stream("network " + name))
	must(err)
	cert := &ident.NetworkCert{Key: secret.NetworkKey(), Name: name}
	must(ident.SignNetworkCert(cert, secret))
	return &Network{Secret: secret, Cert: cert}
}

// stream is randomness of its own for each name, so that one host's use does not move another's.
func (w *World) stream(name string) io.Reader {
	sum := blake2s.Sum256(binary.BigEndian.AppendUint64([]byte(name), w.seed))
	return rand.NewChaCha8(sum)
}

// SetLink changes how the underlay treats every datagram from now on.
func (w *World) SetLink(l Link) { w.link = l }

// Cut stops all datagrams between two hosts; Heal lets them pass again.
func (w *World) Cut(a, b string) { w.cut[cutKey(a, b)] = true }

// Heal undoes Cut.
func (w *World) Heal(a, b string) { delete(w.cut, cutKey(a, b)) }

func cutKey(a, b string) [2]string {
	if a > b {
		a, b = b, a
	}
	return [2]string{a, b}
}

// Trace is the hash over every frame so far: its bytes, its time and its link.
func (w *World) Trace() [32]byte { return [32]byte(w.trace.Sum(nil)) }

// Bytes is how many IPv4 bytes crossed from one host to another, headers included.
func (w *World) Bytes(from, to string) int { return w.bytes[from+">"+to] }

// Wrong lists the broken invariants so far.
func (w *World) Wrong() []string { return w.wrong }

// Watch makes every frame that contains the marker a broken invariant.
func (w *World) Watch(marker []byte) { w.marker = marker }

// At runs f at a moment, after everything that was planned for it before.
func (w *World) At(t time.Duration, f func()) {
	w.seq++
	heap.Push(&w.events, event{at: max(t, w.Now), seq: w.seq, f: f})
}

// Run lets the world live for d.
func (w *World) Run(d time.Duration) { w.Until(d, func() bool { return false }) }

// Until lets the world live until cond holds, at most for d; it reports whether cond held.
func (w *World) Until(d time.Duration, cond func() bool) bool {
	end := w.Now + d
	for !cond() {
		if len(w.events) == 0 || w.events[0].at > end {
			w.Now = end
			return cond()
		}
		e, _ := heap.Pop(&w.events).(event)
		w.Now = e.at
		e.f()
	}
	return true
}

func (w *World) reading() clock.Reading {
	const boot = 1_800_000_000 // a day in 2027
	return clock.Reading{Up: w.Now, Wall: time.Unix(boot, 0).Add(w.Now), Synced: true}
}

func (w *World) logf(format string, args ...any) {
	if w.Log != nil {
		_, _ = fmt.Fprintf(w.Log, "%10.3fs  %s\n", w.Now.Seconds(), fmt.Sprintf(format, args...))
	}
}

func (w *World) broken(format string, args ...any) {
	const enough = 20
	if len(w.wrong) < enough {
		w.wrong = append(w.wrong, fmt.Sprintf("%v: ", w.Now)+fmt.Sprintf(format, args...))
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// ranges are the manual's defaults.
func ranges() pool.Ranges {
	return pool.Ranges{
		V4: netip.MustParsePrefix("10.83.0.0/16"), V6: netip.MustParsePrefix("200::/7"),
		MAC: [6]byte{0xae},
	}
}

type event struct {
	at  time.Duration
	seq uint64
	f   func()
}

type eventHeap []event

func (h eventHeap) Len() int { return len(h) }

func (h eventHeap) Less(i, j int) bool {
	if h[i].at != h[j].at {
		return h[i].at < h[j].at
	}
	return h[i].seq < h[j].seq
}

func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

func (h *eventHeap) Push(x any) {
	e, _ := x.(event)
	*h = append(*h, e)
}

func (h *eventHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = event{}
	*h = old[:len(old)-1]
	return e
}
