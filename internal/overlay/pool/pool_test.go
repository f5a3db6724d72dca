// SPDX-License-Identifier: Apache-2.0

package pool_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"staex/internal/ident"
	"staex/internal/overlay/pool"
)

// key makes a node id for tables that never look inside it.
func key(n uint64) (id ident.NodeID) {
	binary.BigEndian.PutUint64(id[24:], n)
	return id
}

var (
	defaults = pool.Ranges{
		V4:  netip.MustParsePrefix("10.83.0.0/16"),
		V6:  netip.MustParsePrefix("200::/7"),
		MAC: [6]byte{0xae},
	}
	secret = [32]byte{1, 2, 3}
)

func mustLease(t *testing.T, p *pool.Pool, now time.Duration, id ident.NodeID) pool.Lease {
	t.Helper()
	l, ok := p.Lease(now, id)
	if !ok {
		t.Fatalf("no lease for %x", id[30:])
	}
	return l
}

func TestALeaseLiesInItsRangesAndLeadsBackToItsKey(t *testing.T) {
	p := pool.New(defaults, secret)
	for n := range uint64(1000) {
		l := mustLease(t, p, 0, key(n))
		if !defaults.V4.Contains(l.V4) || !defaults.V6.Contains(l.V6) || l.MAC[0] != 0xae {
			t.Fatalf("lease %+v lies outside the ranges", l)
		}
		if id, ok := p.ByAddr(l.V4); !ok || id != key(n) {
			t.Errorf("%v leads to %v, %v", l.V4, id, ok)
		}
		if id, ok := p.ByAddr(l.V6); !ok || id != key(n) {
			t.Errorf("%v leads to %v, %v", l.V6, id, ok)
		}
		if id, ok := p.ByMAC(l.MAC); !ok || id != key(n) {
			t.Errorf("%x leads to %v, %v", l.MAC, id, ok)
		}
		if again := mustLease(t, p, 1, key(n)); again != l {
			t.Errorf("the second answer %+v differs from the first %+v", again, l)
		}
	}
}

func TestTheSameSecretGivesTheSameLeasesAfterARestart(t *testing.T) {
	before, after := pool.New(defaults, secret), pool.New(defaults, secret)
	other := pool.New(defaults, [32]byte{9})
	a, b := mustLease(t, before, 0, key(7)), mustLease(t, after, 0, key(7))
	if a != b {
		t.Errorf("%+v became %+v", a, b)
	}
	if c := mustLease(t, other, 0, key(7)); c.V6 == a.V6 || c.MAC == a.MAC {
		t.Errorf("another secret gave the same lease %+v", c)
	}
}

func TestLeasesStayWhatTheyWereInEarlierReleases(t *testing.T) {
	got := mustLease(t, pool.New(defaults, secret), 0, key(1))
	want := "10.83.34.52 2dc:74ec:29d2:c667:12c7:6342:b99f:d0c9 aef383ad4417"
	if s := fmt.Sprintf("%v %v %x", got.V4, got.V6, got.MAC); s != want {
		t.Errorf("got %s, want %s", s, want)
	}
}

func TestNetworkAndBroadcastAddressesAreNeverGiven(t *testing.T) {
	r := pool.Ranges{
		V4: netip.MustParsePrefix("192.0.2.8/29"), V6: netip.MustParsePrefix("2001:db8::/125"),
	}
	p := pool.New(r, secret)
	for n := range uint64(6) {
		l := mustLease(t, p, 0, key(n))
		if s := l.V4.String(); s == "192.0.2.8" || s == "192.0.2.15" {
			t.Errorf("%s was given", s)
		}
		if l.V6.String() == "2001:db8::" {
			t.Error("the anycast address was given")
		}
	}
	if l, ok := p.Lease(0, key(6)); ok {
		t.Errorf("a seventh lease %+v in a range of six", l)
	}
	if p.Len() != 6 {
		t.Errorf("%d leases", p.Len())
	}
}

func TestARangeTooSmallForAHostGivesNothing(t *testing.T) {
	for _, prefix := range []string{"10.0.0.0/31", "10.0.0.1/32", "2001:db8::1/128"} {
		var r pool.Ranges
		if p := netip.MustParsePrefix(prefix); p.Addr().Is4() {
			r.V4 = p
		} else {
			r.V6 = p
		}
		if l, ok := pool.New(r, secret).Lease(0, key(1)); ok {
			t.Errorf("%s gave %+v", prefix, l)
		}
	}
}

func TestARangeThatIsSwitchedOffGivesNoAddress(t *testing.T) {
	wrong := pool.Ranges{
		V4: netip.MustParsePrefix("2001:db8::/64"), V6: netip.MustParsePrefix("10.0.0.0/8"),
	}
	for _, r := range []pool.Ranges{{}, wrong} {
		p := pool.New(r, secret)
		if l, ok := p.Lease(0, key(1)); !ok || l != (pool.Lease{}) {
			t.Errorf("%+v gave %+v, %v", r, l, ok)
		}
		for _, a := range []string{"10.0.0.1", "2001:db8::1"} {
			if _, ok := p.ByAddr(netip.MustParseAddr(a)); ok {
				t.Errorf("%s has an owner", a)
			}
		}
		if _, ok := p.ByAddr(netip.Addr{}); ok {
			t.Error("the zero address has an owner")
		}
		if _, ok := p.ByMAC([6]byte{}); ok {
			t.Error("the zero MAC address has an owner")
		}
	}
}

func TestTheMaskFixesTheOctetsUpToItsLastOneThatIsNotZero(t *testing.T) {
	p := pool.New(pool.Ranges{MAC: [6]byte{0xae, 0, 7}}, secret)
	for n := range uint64(50) {
		l := mustLease(t, p, 0, key(n))
		if l.MAC[0] != 0xae || l.MAC[1] != 0 || l.MAC[2] != 7 {
			t.Errorf("%x", l.MAC)
		}
	}
}

func TestAReservedAddressIsNotGivenAndMovesItsHolder(t *testing.T) {
	free := pool.New(defaults, secret)
	l := mustLease(t, free, 0, key(1))

	p := pool.New(defaults, secret)
	if !p.Reserve(l.V4) {
		t.Fatal("the address was not set aside")
	}
	if got := mustLease(t, p, 0, key(1)); got.V4 == l.V4 {
		t.Error("a reserved address was given")
	}
	if !free.Reserve(l.V4) {
		t.Fatal("a held address was not set aside")
	}
	if _, ok := free.Find(key(1)); ok {
		t.Error("the lease of a reserved address lives on")
	}
	if p.Reserve(netip.MustParseAddr("192.0.2.1")) || p.Reserve(netip.Addr{}) {
		t.Error("an address outside the ranges was set aside")
	}
}

func TestAPinnedAddressCannotBeReserved(t *testing.T) {
	p := pool.New(defaults, secret)
	l := mustLease(t, p, 0, key(1))
	p.Pin(key(1))
	if p.Reserve(l.V6) {
		t.Error("a pinned address was set aside")
	}
	if got, ok := p.Find(key(1)); !ok || got != l {
		t.Errorf("the lease is %+v, %v", got, ok)
	}
}

func TestReservedAddressesAreBounded(t *testing.T) {
	p := pool.New(defaults, secret)
	a := netip.MustParseAddr("10.83.0.1")
	for range pool.MaxReserved {
		if !p.Reserve(a) {
			t.Fatalf("%v was not set aside", a)
		}
		a = a.Next()
	}
	if p.Reserve(a) {
		t.Error("more addresses than MaxReserved were set aside")
	}
}

func TestALeaseInUseIsNeverTaken(t *testing.T) {
	one := pool.Ranges{V4: netip.MustParsePrefix("10.0.0.0/30")} // two hosts
	p := pool.New(one, secret)
	a, b := mustLease(t, p, 0, key(1)), mustLease(t, p, 0, key(2))
	if !p.Pin(key(1)) || p.Pin(key(9)) {
		t.Fatal("Pin does not tell a lease from none")
	}
	if _, ok := p.Lease(pool.HoldTime-1, key(3)); ok {
		t.Error("a lease was taken before its time")
	}
	if l := mustLease(t, p, pool.HoldTime, key(3)); l != b {
		t.Errorf("key 3 took %+v, not the idle %+v", l, b)
	}
	if _, ok := p.ByAddr(a.V4); !ok {
		t.Error("the pinned lease is gone")
	}
	if _, ok := p.Find(key(2)); ok {
		t.Error("the taken lease still has its first owner")
	}
	p.Touch(2*pool.HoldTime-1, key(3))
	if _, ok := p.Lease(2*pool.HoldTime, key(2)); ok {
		t.Error("a lease was taken in the minute of its use")
	}
	p.Unpin(key(1))
	p.Unpin(key(1)) // one too many changes nothing
	p.Unpin(key(8))
	if _, ok := p.Lease(3*pool.HoldTime-2, key(2)); ok {
		t.Error("a lease was taken too soon after its last pin")
	}
	if l := mustLease(t, p, 3*pool.HoldTime, key(2)); l != a && l != b {
		t.Errorf("%+v", l)
	}
}

func TestAFullPoolGivesUpTheLeaseThatWasUsedLongestAgo(t *testing.T) {
	if testing.Short() {
		t.Skip("65,536 leases")
	}
	p := pool.New(pool.Ranges{V6: defaults.V6}, secret)
	for n := range uint64(pool.MaxLeases) {
		mustLease(t, p, 0, key(n))
	}
	if _, ok := p.Lease(1, key(pool.MaxLeases)); ok {
		t.Fatal("the pool grew beyond its bound")
	}
	p.Touch(2, key(0))
	mustLease(t, p, pool.HoldTime, key(pool.MaxLeases))
	if _, ok := p.Find(key(0)); !ok {
		t.Error("a lease that was used went before one that was not")
	}
	if _, ok := p.Find(key(1)); ok || p.Len() != pool.MaxLeases {
		t.Errorf("the oldest lease stayed; %d leases", p.Len())
	}
}

func TestPrintingAPoolShowsNoSecret(t *testing.T) {
	p := pool.New(defaults, [32]byte([]byte("ABCDABCDABCDABCDABCDABCDABCDABCD")))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if s := fmt.Sprintf(verb, p); strings.Contains(s, "65, 66, 67") ||
			strings.Contains(s, "65 66 67") || strings.Contains(s, "ABCD") ||
			strings.Contains(s, "0x41, 0x42") || strings.Contains(s, "41424344") {
			t.Errorf("%s shows the secret", verb)
		}
	}
}

// twin is the pool as a table of everything: it knows who holds what, and only whether a lease
// must be possible, not which.
type twin struct {
	hosts int
	held  map[ident.NodeID]*twinLease
}

type twinLease struct {
	lease   pool.Lease
	pins    int
	touched time.Duration
}

func (w *twin) mayLease(now time.Duration, id ident.NodeID) bool {
	if w.held[id] != nil || len(w.held) < w.hosts {
		return true
	}
	for _, l := range w.held {
		if l.pins == 0 && now-l.touched >= pool.HoldTime {
			return true
		}
	}
	return false
}

// settle enters a lease that the pool gave and checks that it was permitted.
func (w *twin) settle(t *testing.T, now time.Duration, id ident.NodeID, l pool.Lease) {
	t.Helper()
	if h := w.held[id]; h != nil {
		if h.lease != l {
			t.Fatalf("%x had %+v and got %+v", id[31], h.lease, l)
		}
		h.touched = now
		return
	}
	for other, h := range w.held {
		if h.lease.V4 != l.V4 {
			continue
		}
		if len(w.held) < w.hosts || h.pins > 0 || now-h.touched < pool.HoldTime {
			t.Fatalf("%v was taken from %x: pins %d, idle %v",
				l.V4, other[31], h.pins, now-h.touched)
		}
		delete(w.held, other)
	}
	w.held[id] = &twinLease{lease: l, touched: now}
}

func TestThePoolAgreesWithATableOfEverything(t *testing.T) {
	for seed := range uint64(20) {
		dice := rand.New(rand.NewPCG(seed, 1))
		p := pool.New(pool.Ranges{V4: netip.MustParsePrefix("10.0.0.0/28")}, [32]byte{byte(seed)})
		w := &twin{hosts: 14, held: map[ident.NodeID]*twinLease{}}
		var now time.Duration
		for range 2000 {
			now += time.Duration(dice.IntN(60)) * time.Second
			id := key(uint64(dice.IntN(25)))
			h := w.held[id]
			switch dice.IntN(5) {
			case 0:
				if ok := p.Pin(id); ok != (h != nil) {
					t.Fatalf("seed %d: Pin says %v", seed, ok)
				}
				if h != nil {
					h.pins++
				}
			case 1:
				p.Touch(now, key(99)) // tells the time
				p.Unpin(id)
				if h != nil && h.pins > 0 {
					h.pins--
					h.touched = now
				}
			case 2:
				p.Touch(now, id)
				if h != nil {
					h.touched = now
				}
			default:
				want := w.mayLease(now, id)
				l, ok := p.Lease(now, id)
				if ok != want {
					t.Fatalf("seed %d: Lease says %v, want %v", seed, ok, want)
				}
				if ok {
					w.settle(t, now, id, l)
				}
			}
			if p.Len() != len(w.held) {
				t.Fatalf("seed %d: %d leases, want %d", seed, p.Len(), len(w.held))
			}
		}
	}
}

func BenchmarkByAddr(b *testing.B) {
	p := pool.New(defaults, secret)
	var last pool.Lease
	for n := range uint64(1000) {
		last, _ = p.Lease(0, key(n))
	}
	b.ReportAllocs()
	for b.Loop() {
		p.ByAddr(last.V4)
	}
}
