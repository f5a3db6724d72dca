// SPDX-License-Identifier: Apache-2.0

// Package priv gives up rights the running daemon no longer needs; it never gains any.
package priv

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
)

// ErrUnsupported is returned where this product cannot give up rights yet.
var ErrUnsupported = errors.New("priv: this system is not supported yet")

// ErrNoAccount is returned for a user or group that the system does not have.
var ErrNoAccount = errors.New("priv: no such account")

// ErrLinked is returned by Give for a symbolic link and for a file with several names.
var ErrLinked = errors.New("priv: a link, which may lead to somebody else's file")

// Capability is one of the rights that Linux's root is made of (capabilities(7)), by its number.
type Capability uint8

// What giving up rights takes.
const (
	chown   Capability = 0
	setGID  Capability = 6
	setUID  Capability = 7
	setPCap Capability = 8
)

// The capabilities a node may want to keep.
const (
	// NetBindService allows ports below 1024.
	NetBindService Capability = 10
	// NetAdmin allows devices, addresses, routes, packet filters and forwarding.
	NetAdmin Capability = 12
	// NetRaw allows packets of one's own making.
	NetRaw Capability = 13
)

// Account is whom a process can become.
type Account struct{ UID, GID int }

// Find looks an account up by names or numbers; without a group it is the user's own. When there
// is none the error satisfies errors.Is(err, ErrNoAccount).
func Find(userName, groupName string) (Account, error) {
	u, err := user.Lookup(userName)
	if err != nil {
		if u, err = user.LookupId(userName); err != nil {
			return Account{}, fmt.Errorf("%w: user %q", ErrNoAccount, userName)
		}
	}
	gid := u.Gid
	if groupName != "" {
		g, err := user.LookupGroup(groupName)
		if err != nil {
			if g, err = user.LookupGroupId(groupName); err != nil {
				return Account{}, fmt.Errorf("%w: group %q", ErrNoAccount, groupName)
			}
		}
		gid = g.Gid
	}
	var a Account
	var bad [2]error
	a.UID, bad[0] = strconv.Atoi(u.Uid)
	a.GID, bad[1] = strconv.Atoi(gid)
	if errors.Join(bad[:]...) != nil {
		return Account{}, fmt.Errorf("%w: user %q has no number", ErrNoAccount, userName)
	}
	return a, nil
}
