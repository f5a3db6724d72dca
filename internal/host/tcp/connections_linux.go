// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tcp

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// MaxConns is how many connections are looked at: a machine with more of them talks anyway.
const MaxConns = 256

// living are the states in which the other end may still send (enum in net/tcp_states.h):
// established, and those after only this end has closed.
var living = []string{"01", "04", "05"}

// Connections lists up to MaxConns connections whose other end is within one of the ranges, as the
// kernel shows them in /proc/net (proc_net_tcp in its documentation).
func Connections(within []netip.Prefix) ([]Conn, error) {
	var all []Conn
	for _, path := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a kernel without this family
		}
		if err == nil {
			all, err = appendFrom(all, f, within)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			return nil, fmt.Errorf("tcp: list connections: %w", err)
		}
	}
	return all, nil
}

// appendFrom reads one table:
//
//	sl  local_address rem_address   st ...
//	 0: 0100007F:0016 00000000:0000 0A ...
func appendFrom(all []Conn, table io.Reader, within []netip.Prefix) ([]Conn, error) {
	lines := bufio.NewScanner(table)
	for lines.Scan() && len(all) < MaxConns {
		f := strings.Fields(lines.Text())
		if len(f) < 4 || !slices.Contains(living, f[3]) {
			continue
		}
		local, ok1 := parseAddr(f[1])
		remote, ok2 := parseAddr(f[2])
		if ok1 && ok2 && slices.ContainsFunc(within, func(p netip.Prefix) bool {
			return p.Contains(remote.Addr())
		}) {
			all = append(all, Conn{Local: local, Remote: remote})
		}
	}
	return all, lines.Err()
}

// parseAddr reads an address whose 32-bit words are written as the machine has them, and a port.
func parseAddr(s string) (netip.AddrPort, bool) {
	text, port, _ := strings.Cut(s, ":")
	raw, err := hex.DecodeString(text)
	number, err2 := strconv.ParseUint(port, 16, 16)
	if err != nil || err2 != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(raw, 4) {
		binary.NativeEndian.PutUint32(word, binary.BigEndian.Uint32(word))
	}
	a, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(a.Unmap(), uint16(number)), ok
}
