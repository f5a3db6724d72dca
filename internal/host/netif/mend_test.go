// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netif_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"staex/internal/host/netif"
)

// ours brings a device up as a daemon does.
func ours(t *testing.T, name string) *netif.Link {
	t.Helper()
	l, err := netif.Up(name, 1380, prefixes("10.83.0.1/32", "fd00::1/128"),
		prefixes("10.83.0.0/16", "200::/7"))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func find(t *testing.T, name string) netlink.Link {
	t.Helper()
	link, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return link
}

// injuries are what people and programs do to a device that is not theirs.
var injuries = []struct {
	name string
	hurt func(t *testing.T, name string) error
}{
	{"brought down", func(t *testing.T, name string) error {
		return netlink.LinkSetDown(find(t, name))
	}},
	{"brought down and up", func(t *testing.T, name string) error {
		return errors.Join(netlink.LinkSetDown(find(t, name)), netlink.LinkSetUp(find(t, name)))
	}},
	{"without addresses", func(t *testing.T, name string) error {
		addrs, err := netlink.AddrList(find(t, name), netlink.FAMILY_ALL)
		for _, a := range addrs {
			err = errors.Join(err, netlink.AddrDel(find(t, name), &a))
		}
		return err
	}},
	{"without routes", func(t *testing.T, name string) error {
		routes, err := netlink.RouteList(find(t, name), netlink.FAMILY_V4)
		for _, r := range routes {
			err = errors.Join(err, netlink.RouteDel(&r))
		}
		return err
	}},
	{"with another MTU", func(t *testing.T, name string) error {
		return netlink.LinkSetMTU(find(t, name), 1400)
	}},
	{"deleted and made again", func(t *testing.T, name string) error {
		err := netlink.LinkDel(find(t, name))
		addDummy(t, name)
		return err
	}},
}

func TestAnInjuredDeviceIsHeardOfAndMended(t *testing.T) {
	for _, c := range injuries {
		t.Run(c.name, func(t *testing.T) {
			device(t, "d0", func() {
				l := ours(t, "d0")
				want := state(t, "d0")
				w, err := netif.NewWatch("d0")
				if err != nil {
					t.Fatal(err)
				}
				defer w.Close()
				if err := c.hurt(t, "d0"); err != nil {
					t.Fatal(err)
				}
				if heard, err := w.Wait(10 * time.Second); !heard || err != nil {
					t.Errorf("nothing was heard: %v", err)
				}
				mended, err := l.Mend()
				if err != nil || len(mended) == 0 {
					t.Errorf("mended %q: %v", mended, err)
				}
				if got := state(t, "d0"); got != want {
					t.Errorf("mended, the device has\n%s\nand had\n%s", got, want)
				}
				if mtu := find(t, "d0").Attrs().MTU; mtu != 1380 {
					t.Errorf("the MTU is %d", mtu)
				}
				if again, err := l.Mend(); len(again) != 0 || err != nil {
					t.Errorf("well, it was mended again: %q, %v", again, err)
				}
				if err := l.Down(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestADeletedDeviceCannotBeMendedUntilItIsThere(t *testing.T) {
	device(t, "d0", func() {
		l := ours(t, "d0")
		want := state(t, "d0")
		w, err := netif.NewWatch("d0")
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if err := netlink.LinkDel(find(t, "d0")); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Mend(); !errors.Is(err, netif.ErrNoDevice) {
			t.Errorf("got %v, want ErrNoDevice", err)
		}
		addDummy(t, "d0")
		if err := w.Follow("d0"); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Mend(); err != nil {
			t.Fatal(err)
		}
		if got := state(t, "d0"); got != want {
			t.Errorf("the new device has\n%s\nthe old one had\n%s", got, want)
		}
		drain(t, w)
		if err := netlink.LinkSetDown(find(t, "d0")); err != nil {
			t.Fatal(err)
		}
		if heard, err := w.Wait(10 * time.Second); !heard || err != nil {
			t.Errorf("nothing is heard of the new device: %v", err)
		}
	})
}

// drain waits until there is nothing more to hear.
func drain(t *testing.T, w *netif.Watch) {
	t.Helper()
	for {
		heard, err := w.Wait(time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if !heard {
			return
		}
	}
}

func TestWhatHappensToOtherDevicesIsNotHeard(t *testing.T) {
	device(t, "d0", func() {
		w, err := netif.NewWatch("d0")
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		addDummy(t, "d1")
		other, err := netif.Up("d1", 1300, prefixes("10.9.0.1/32"), prefixes("10.9.0.0/16"))
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Down(); err != nil {
			t.Fatal(err)
		}
		for _, c := range injuries[:3] {
			if err := c.hurt(t, "d1"); err != nil {
				t.Fatal(err)
			}
		}
		if heard, err := w.Wait(time.Millisecond); heard || err != nil {
			t.Errorf("heard of another device: %v, %v", heard, err)
		}
	})
}

func TestAClosedWatchEndsItsWaiter(t *testing.T) {
	device(t, "d0", func() {
		w, err := netif.NewWatch("d0")
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			_, err := w.Wait(0)
			ended <- err
		}()
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, os.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	})
}
