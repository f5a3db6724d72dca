// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
	"time"

	"staex/internal/overlay/session"
)

var (
	home   = netip.MustParseAddrPort("192.0.2.1:9376")
	nat    = netip.MustParseAddrPort("192.0.2.1:9377")
	afar   = netip.MustParseAddrPort("[2001:db8::1]:9376")
	mapped = netip.MustParseAddrPort("[::ffff:192.0.2.1]:9376")
)

func TestMac1NeedsTheKeyAndTheMessage(t *testing.T) {
	msg := []byte("hello 1")
	sum := session.Mac1(key(1), msg)
	if !session.CheckMac1(key(1), msg, sum) {
		t.Error("a genuine mac1 is refused")
	}
	if session.CheckMac1(key(2), msg, sum) {
		t.Error("a mac1 under another key is accepted")
	}
	if session.CheckMac1(key(1), msg[1:], sum) {
		t.Error("a mac1 of another message is accepted")
	}
	sum[15] ^= 1
	if session.CheckMac1(key(1), msg, sum) {
		t.Error("a changed mac1 is accepted")
	}
}

// fetch asks the jar for a cookie as the sender of a first message from the address.
func fetch(
	t *testing.T, j *session.CookieJar, up time.Duration, from netip.AddrPort,
) session.Cookie {
	t.Helper()
	mac1 := session.Mac1(key(1), []byte("hello 1"))
	sealed, err := j.Make(up, from, key(1), mac1)
	if err != nil {
		t.Fatal(err)
	}
	c, err := session.OpenCookie(key(1), mac1, sealed)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestACookieIsGoodForItsAddressPortAndTime(t *testing.T) {
	const begin = time.Hour
	msg := []byte("hello 1, with mac1")
	for _, tc := range []struct {
		name  string
		from  netip.AddrPort
		later time.Duration
		good  bool
	}{
		{"at once", home, 0, true},
		{"the same address, mapped", mapped, 0, true},
		{"another port", nat, 0, false},
		{"another address", afar, 0, false},
		{"until four minutes", home, 2*session.CookieLife - 1, true},
		{"not after", home, 2 * session.CookieLife, false},
	} {
		j := session.NewCookieJar(dice(1))
		mac2 := fetch(t, j, begin, home).Mac2(msg)
		if got := j.Check(begin+tc.later, tc.from, msg, mac2); got != tc.good {
			t.Errorf("%s: Check = %v", tc.name, got)
		}
		if j.Check(begin, home, msg[1:], mac2) {
			t.Errorf("%s: mac2 of another message is accepted", tc.name)
		}
	}
}

func TestACookieOutlivesOneChangeOfTheSecret(t *testing.T) {
	j := session.NewCookieJar(dice(1))
	msg := []byte("hello 1")
	old := fetch(t, j, 0, home).Mac2(msg)
	almost := session.CookieLife - 1
	if fetch(t, j, almost, home).Mac2(msg) != old {
		t.Error("the secret changed within its life")
	}
	fresh := fetch(t, j, session.CookieLife, home).Mac2(msg)
	if fresh == old {
		t.Error("the secret did not change")
	}
	now := session.CookieLife + time.Second
	if !j.Check(now, home, msg, old) || !j.Check(now, home, msg, fresh) {
		t.Error("a cookie of the last two minutes is refused")
	}
	if j.Check(2*session.CookieLife, home, msg, old) {
		t.Error("a cookie older than four minutes is accepted")
	}
	if !j.Check(2*session.CookieLife, home, msg, fresh) {
		t.Error("a cookie of the last two minutes is refused")
	}
}

func TestAnUnusedJarAcceptsNothing(t *testing.T) {
	j := session.NewCookieJar(dice(1))
	if j.Check(0, home, nil, session.Cookie{}.Mac2(nil)) {
		t.Error("a cookie nobody made is accepted")
	}
}

func TestACookieReplyBelongsToItsMessage(t *testing.T) {
	j := session.NewCookieJar(dice(1))
	mac1 := session.Mac1(key(1), []byte("hello 1"))
	sealed, err := j.Make(0, home, key(1), mac1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := session.OpenCookie(key(2), mac1, sealed); !errors.Is(err, session.ErrCookie) {
		t.Errorf("opened with another key: %v", err)
	}
	other := mac1
	other[0] ^= 1
	if _, err := session.OpenCookie(key(1), other, sealed); !errors.Is(err, session.ErrCookie) {
		t.Errorf("opened for another mac1: %v", err)
	}
	for i := range sealed.Sealed {
		forged := sealed
		forged.Sealed[i] ^= 1
		if _, err := session.OpenCookie(key(1), mac1, forged); !errors.Is(err, session.ErrCookie) {
			t.Errorf("opened with byte %d changed: %v", i, err)
		}
	}
}

func TestAJarWithoutDiceMakesNoCookies(t *testing.T) {
	for _, n := range []int{0, 31, 32, 55} {
		j := session.NewCookieJar(bytes.NewReader(make([]byte, n)))
		if _, err := j.Make(0, home, key(1), [session.MACSize]byte{}); err == nil {
			t.Errorf("a cookie from %d bytes of randomness", n)
		}
	}
}
