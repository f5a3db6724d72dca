// SPDX-License-Identifier: Apache-2.0

package conf

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

var errNoPath = errors.New("a path is missing")

// maxItems bounds a comma list in a file: lists are read by people, and trust lists are
// searched one by one.
const maxItems = 256

// value builds the field of a value that one parser and one formatter describe.
func value[T, V any](at func(*T) *V, parse func(string) (V, error),
	format func(V) string,
) field[T] {
	return field[T]{
		set: func(c *T, text string) error {
			v, err := parse(text)
			if err == nil {
				*at(c) = v
			}
			return err
		},
		get: func(c *T) string { return format(*at(c)) },
	}
}

// optional is value with an empty text for the zero value.
func optional[T any, V comparable](at func(*T) *V, parse func(string) (V, error),
	format func(V) string,
) field[T] {
	return value(at, func(text string) (v V, err error) {
		if text == "" {
			return v, nil
		}
		return parse(text)
	}, func(v V) string {
		var zero V
		if v == zero {
			return ""
		}
		return format(v)
	})
}

// list is a comma list without duplicates.
func list[T any, V comparable](at func(*T) *[]V, parse func(string) (V, error),
	format func(V) string,
) field[T] {
	return value(at,
		func(text string) ([]V, error) { return parseList(text, maxItems, parse) },
		func(all []V) string {
			texts := make([]string, len(all))
			for i, v := range all {
				texts[i] = format(v)
			}
			return strings.Join(texts, ", ")
		})
}

// parseList splits at commas. A duplicate or an empty item is an error; an empty text is
// an empty list.
func parseList[V comparable](text string, limit int, parse func(string) (V, error)) ([]V, error) {
	if text == "" {
		return nil, nil
	}
	items := strings.Split(text, ",")
	if len(items) > limit {
		return nil, fmt.Errorf("%d items, at most %d are allowed", len(items), limit)
	}
	all := make([]V, 0, len(items))
	for _, item := range items {
		item = strings.TrimSpace(item)
		if item == "" {
			return nil, errors.New("an item of the list is empty")
		}
		v, err := parse(item)
		if err != nil {
			return nil, err
		}
		if slices.Contains(all, v) {
			return nil, fmt.Errorf("%q is listed twice", clip(item))
		}
		all = append(all, v)
	}
	return all, nil
}

// enum is a text that is one of a few.
func enum[T any](at func(*T) *string, words ...string) field[T] {
	return value(at, func(text string) (string, error) {
		if slices.Contains(words, text) {
			return text, nil
		}
		shown := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "" })
		return "", fmt.Errorf("%q is not one of: %s", clip(text), strings.Join(shown, ", "))
	}, same)
}

func same(s string) string { return s }

func boolean[T any](at func(*T) *bool) field[T] {
	f := value(at, func(text string) (bool, error) {
		switch text {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return false, fmt.Errorf("%q is neither true nor false", clip(text))
	}, strconv.FormatBool)
	f.flag = true
	return f
}

// maybe is a boolean that may also be empty.
func maybe[T any](at func(*T) *string) field[T] {
	f := enum(at, "", "true", "false")
	f.flag = true
	return f
}

// integer is a decimal number within bounds that fit the field.
func integer[T any, N int | uint8](at func(*T) *N, least, most int) field[T] {
	return value(at, func(text string) (N, error) {
		n, err := strconv.Atoi(text)
		if err != nil || n < least || n > most {
			return 0, fmt.Errorf("%q is not a number from %d to %d", clip(text), least, most)
		}
		return N(n), nil
	}, func(n N) string { return strconv.Itoa(int(n)) })
}

// Bounds of every period and timeout: shorter would flood, longer would be a mistake.
const (
	shortest = time.Second
	longest  = 366 * 24 * time.Hour
)

func duration[T any](at func(*T) *time.Duration) field[T] {
	return value(at, ParseDuration, FormatDuration)
}

// ParseDuration reads "30s", "2m", "1h" or several of them in that order of size
// ("1h30m"), from one second to 366 days.
func ParseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || strings.Trim(text, "0123456789hms") != "" {
		return 0, fmt.Errorf("%q is not a duration such as 30s, 2m or 1h", clip(text))
	}
	if d < shortest || d > longest {
		return 0, fmt.Errorf("%q is not between %s and %s", clip(text),
			FormatDuration(shortest), FormatDuration(longest))
	}
	return d, nil
}

// FormatDuration gives the shortest text that ParseDuration reads back to d: "1h", not
// "1h0m0s".
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// seconds is a whole number of seconds without a unit, as DNS has it.
func seconds[T any](at func(*T) *time.Duration) field[T] {
	return value(at, func(text string) (time.Duration, error) {
		n, err := strconv.ParseUint(text, 10, 31) // RFC 2181, section 8
		if err != nil {
			return 0, fmt.Errorf("%q is not a number of seconds", clip(text))
		}
		return time.Duration(n) * time.Second, nil
	}, func(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) })
}

// word is any text without blanks and slashes, at most limit bytes; blank when it may be.
func word[T any](at func(*T) *string, limit int, may string) field[T] {
	return value(at, func(text string) (string, error) {
		switch {
		case text == "" && may == optionalWord:
			return "", nil
		case text == "" || text == "." || text == "..", strings.ContainsAny(text, " \t/,"):
			return "", fmt.Errorf("%q is not one word", clip(text))
		case len(text) > limit:
			return "", fmt.Errorf("%q is longer than %d bytes", clip(text), limit)
		}
		return text, nil
	}, same)
}

// What the last argument of word says.
const (
	optionalWord = "may be empty"
	requiredWord = "must be there"
)

// path is a file or directory; relative ones start at the file's own directory.
func path(at func(*Config) *string) field[Config] {
	return field[Config]{
		set: func(c *Config, text string) error {
			if text == "" {
				return errNoPath
			}
			*at(c) = join(c.base, text)
			return nil
		},
		get: func(c *Config) string { return *at(c) },
	}
}

// optionalPath is path with empty for none.
func optionalPath(at func(*Config) *string) field[Config] {
	f := path(at)
	set := f.set
	f.set = func(c *Config, text string) error {
		if text == "" {
			*at(c) = ""
			return nil
		}
		return set(c, text)
	}
	return f
}

// requiredPaths is a comma list of at least one file.
func requiredPaths(at func(*Config) *[]string) field[Config] {
	f := paths(at)
	set := f.set
	f.set = func(c *Config, text string) error {
		if text == "" {
			return errNoPath
		}
		return set(c, text)
	}
	return f
}

// paths is a comma list of files.
func paths(at func(*Config) *[]string) field[Config] {
	return field[Config]{
		set: func(c *Config, text string) error {
			all, err := parseList(text, maxItems, func(s string) (string, error) {
				return join(c.base, s), nil
			})
			if err == nil {
				*at(c) = all
			}
			return err
		},
		get: func(c *Config) string { return strings.Join(*at(c), ", ") },
	}
}

// join makes a path absolute when its base is.
func join(base, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(base, path)
}

// shell is a command for the system's shell, kept as it is.
func shell[T any](at func(*T) *string) field[T] {
	f := value(at, func(text string) (string, error) { return text, nil }, same)
	f.shell = true
	return f
}

// prefix is an address range of one family whose length leaves room for addresses.
func prefix[T any](at func(*T) *netip.Prefix, family, least, most int) field[T] {
	return value(at, func(text string) (netip.Prefix, error) {
		p, err := netip.ParsePrefix(text)
		switch {
		case err != nil || p.Addr().BitLen() != family:
			return netip.Prefix{}, fmt.Errorf("%q is not a range such as %s", clip(text),
				map[int]string{32: "10.83.0.0/16", 128: "200::/7"}[family])
		case p != p.Masked():
			return netip.Prefix{}, fmt.Errorf("%v has host bits set, did you mean %v?",
				p, p.Masked())
		case p.Bits() < least || p.Bits() > most:
			return netip.Prefix{}, fmt.Errorf("%v: the length has to be from /%d to /%d",
				p, least, most)
		}
		return p, nil
	}, netip.Prefix.String)
}

// listenAddr is where datagrams are received: "ip:port", ":port" for both families.
func listenAddr(at func(*Config) *netip.AddrPort) field[Config] {
	return value(at, parseListen, formatListen)
}

func parseListen(text string) (netip.AddrPort, error) {
	host, service, found := cutLast(text, ':')
	if ip, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(ip, DefaultPort), nil
	}
	port, err := parsePort(service)
	if !found || err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is neither ip:port nor :port", clip(text))
	}
	if host == "" {
		return netip.AddrPortFrom(netip.Addr{}, port), nil
	}
	a, err := netip.ParseAddrPort(text)
	if err != nil || a.Addr().IsMulticast() {
		return netip.AddrPort{}, fmt.Errorf("%q is neither ip:port nor :port", clip(text))
	}
	return a, nil
}

func formatListen(a netip.AddrPort) string {
	if !a.Addr().IsValid() {
		return ":" + strconv.Itoa(int(a.Port()))
	}
	return a.String()
}

// addrPort is one address and port to bind.
func addrPort[T any](at func(*T) *netip.AddrPort) field[T] {
	return value(at, func(text string) (netip.AddrPort, error) {
		a, err := netip.ParseAddrPort(text)
		if err != nil || a.Addr().IsMulticast() {
			return netip.AddrPort{}, fmt.Errorf("%q is not of the form ip:port", clip(text))
		}
		return a, nil
	}, netip.AddrPort.String)
}

// macMask is six bytes whose zero tail is free for addresses. It has to be unicast and
// locally administered, so that it meets no vendor's device (IEEE 802, section 8.4).
func macMask[T any](at func(*T) *[6]byte) field[T] {
	return value(at, func(text string) (mac [6]byte, err error) {
		b, err := net.ParseMAC(text)
		if err != nil || len(b) != len(mac) {
			return mac, fmt.Errorf("%q is not a MAC address such as AE:00:00:00:00:00", clip(text))
		}
		if b[0]&3 != 2 {
			return mac, fmt.Errorf("%q is not a local unicast address: "+
				"its second digit has to be 2, 6, A or E", text)
		}
		if b[3]|b[4]|b[5] != 0 {
			return mac, fmt.Errorf("%q: the last three bytes have to be zero", text)
		}
		copy(mac[:], b)
		return mac, nil
	}, func(mac [6]byte) string {
		return strings.ToUpper(net.HardwareAddr(mac[:]).String())
	})
}
