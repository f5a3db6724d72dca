// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netif_test

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"staex/internal/host/hosttest"
	"staex/internal/host/netif"
)

// attr is an attribute as the kernel writes it.
func attr(kind uint16, value ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	return append(append(b, value...), make([]byte, -len(value)&3)...)
}

func number(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

// hop is one way of a route that has several.
func hop(device uint32, attrs ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(8+len(attrs)))
	return slices.Concat(b, []byte{0, 0}, number(device), attrs)
}

// routeTo is a message about a route of the main table.
func routeTo(family, bits byte, attrs ...[]byte) []byte {
	head := []byte{family, bits, 0, 0, unix.RT_TABLE_MAIN, 0, 0, unix.RTN_UNICAST, 0, 0, 0, 0}
	return append(head, slices.Concat(attrs...)...)
}

func TestARouteHasThePrefixAndTheDevicesThatTheKernelTells(t *testing.T) {
	ten := attr(unix.RTA_DST, 10, 0, 0, 0)
	for _, c := range []struct {
		name    string
		message []byte
		prefix  string
		devices []uint32
	}{
		{
			"default", routeTo(unix.AF_INET, 0, attr(unix.RTA_OIF, number(7)...)),
			"0.0.0.0/0",
			[]uint32{7},
		},
		{"IPv6 default", routeTo(unix.AF_INET6, 0), "::/0", nil},
		{
			"several ways", routeTo(unix.AF_INET, 8, ten, attr(unix.RTA_MULTIPATH, slices.Concat(
				hop(2, attr(unix.RTA_GATEWAY, 10, 0, 0, 1)...), hop(3))...)),
			"10.0.0.0/8",
			[]uint32{2, 3},
		},
		{"way that is cut", routeTo(unix.AF_INET, 8, ten, attr(unix.RTA_MULTIPATH, slices.Concat(
			hop(2), hop(3)[:4])...)), "10.0.0.0/8", []uint32{2}},
		{
			"attributes of tomorrow", routeTo(unix.AF_INET, 8, attr(999, 1, 2, 3), ten),
			"10.0.0.0/8", nil,
		},
		{
			"labels", routeTo(unix.AF_MPLS, 20, attr(unix.RTA_DST, 0, 0, 65, 0)),
			"invalid Prefix", nil,
		},
		{"short header of another family", []byte{unix.AF_CAN, 0, 0, 0}, "invalid Prefix", nil},
		{"too many bits", routeTo(unix.AF_INET, 33, ten), "invalid Prefix", nil},
	} {
		p, devices, err := netif.ParseMessage(unix.RTM_NEWROUTE, c.message)
		if p.String() != c.prefix || !slices.Equal(devices, c.devices) || err != nil {
			t.Errorf("%s: %v by %v, %v; want %v by %v",
				c.name, p, devices, err, c.prefix, c.devices)
		}
	}
}

func FuzzAMessageOfTheKernel(f *testing.F) {
	for _, kind := range []uint16{unix.RTM_NEWLINK, unix.RTM_NEWADDR, unix.RTM_NEWROUTE} {
		f.Add(kind, routeTo(unix.AF_INET, 8,
			attr(unix.RTA_DST, 10, 0, 0, 0), attr(unix.IFA_LOCAL, 1),
			attr(unix.RTA_MULTIPATH, slices.Concat(hop(2, attr(1, 2)...), hop(3))...)))
		f.Add(kind, []byte{unix.AF_INET6})
	}
	f.Fuzz(func(t *testing.T, kind uint16, b []byte) {
		p, devices, err := netif.ParseMessage(kind, b)
		if err == nil && p.IsValid() && p.Addr().Is4() != (b[0] == unix.AF_INET) {
			t.Errorf("%v is not of the family %d", p, b[0])
		}
		if len(devices) > 1+len(b)/4 {
			t.Errorf("%d devices in %d bytes", len(devices), len(b))
		}
	})
}

// A list of more than one part that changes while it is read may lack something.
func TestNothingIsMissedInALongListThatOthersChange(t *testing.T) {
	ns := hosttest.NewNamespace(t)
	ns.Do(t, func() {
		addDummy(t, "d0")
		l := ours(t, "d0")
		host := func(i int) netip.Prefix {
			return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)}), 32)
		}
		const many = 1000
		for i := range many {
			if err := l.AddAddr(host(i)); err != nil {
				t.Fatal(err)
			}
			if err := l.AddRoute(netip.PrefixFrom(host(i).Addr().Prev().Prev(), 32)); err != nil {
				t.Fatal(err)
			}
		}
		var over atomic.Bool
		var other sync.WaitGroup
		other.Go(func() {
			ns.Do(t, func() {
				for i := many; !over.Load(); i++ {
					p := host(many + i%many)
					if l.AddAddr(p) != nil || l.DelAddr(p) != nil {
						t.Error("an address cannot be changed")
						return
					}
				}
			})
		})
		for range 20 {
			mended, err := l.Mend()
			if len(mended) != 0 || err != nil && !errors.Is(err, unix.EINTR) {
				t.Errorf("mended %q, %v", mended, err)
			}
		}
		over.Store(true)
		other.Wait()
		if mended, err := l.Mend(); len(mended) != 0 || err != nil {
			t.Errorf("in peace, mended %q, %v", mended, err)
		}
		if err := l.Down(); err != nil {
			t.Error(err)
		}
	})
}
