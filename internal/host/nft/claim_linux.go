// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Claim keeps a table's name for one program of this network namespace, however it ends. Open
// replaces what stands under its name, and would take the rules of another daemon away.
type Claim struct{ fd int }

// NewClaim takes a name. While another program has it the error satisfies
// errors.Is(err, syscall.EADDRINUSE).
//
// The claim is the name of a socket that nobody can reach: such names are those of a network
// namespace, as tables are, and end with their owner (unix(7), abstract sockets).
func NewClaim(table string) (*Claim, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: "@mccd/nft/" + table})
		if err == nil {
			return &Claim{fd}, nil
		}
		err = errors.Join(err, unix.Close(fd))
	}
	return nil, fmt.Errorf("nft: claim table %s: %w", table, err)
}

// Close lets others have the name.
func (c *Claim) Close() error { return unix.Close(c.fd) }
