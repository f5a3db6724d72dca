// SPDX-License-Identifier: Apache-2.0

package api

import (
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
)

// Names of the groups and of the user that the system may have for this product.
const (
	ReadGroup   = "mcc"       // may ask
	ChangeGroup = "mcc-admin" // may ask and change
	DaemonUser  = "mcc"       // may run the daemon
)

// A Peer is who is at the other end of a connection, by the kernel's word.
type Peer struct {
	UID    uint32
	GID    uint32
	PID    int32
	Groups []uint32 // of its user, by the group database
	Level  Level    // what it may do; set by the server
}

// A Level is what a peer may do. Each includes the ones before it.
type Level uint8

// The levels.
const (
	LevelNone Level = iota
	LevelRead
	LevelChange
)

// Access says who may do what. Root may do everything.
type Access struct {
	Own      uint32 // user id of the daemon: stands in for a group that does not exist
	Readers  GroupID
	Changers GroupID
	memberOf func(uid uint32) []uint32
}

// A GroupID is the number of a group that may not exist. The zero value does not.
type GroupID struct {
	ID     uint32
	Exists bool
}

// SystemAccess is the access that this machine's users and groups describe.
func SystemAccess() Access {
	return Access{
		Own:      uint32(os.Geteuid()),
		Readers:  lookupGroup(ReadGroup),
		Changers: lookupGroup(ChangeGroup),
		memberOf: groupsOf,
	}
}

// Level tells what a peer may do. The daemon's own user may do what there is no group for.
func (a Access) Level(p Peer) Level {
	in := func(g GroupID) bool {
		return g.Exists && (p.GID == g.ID || slices.Contains(p.Groups, g.ID))
	}
	own := p.UID == a.Own
	switch {
	case p.UID == 0, in(a.Changers), own && !a.Changers.Exists:
		return LevelChange
	case in(a.Readers), own && !a.Readers.Exists:
		return LevelRead
	}
	return LevelNone
}

// identify completes what the kernel said about a peer.
func (a Access) identify(p Peer) Peer {
	if p.UID != 0 && a.memberOf != nil {
		p.Groups = a.memberOf(p.UID)
	}
	p.Level = a.Level(p)
	return p
}

// permit tells whether a peer may ask for an operation. A stranger may look names up.
func permit(p Peer, op string) *Error {
	switch {
	case Public(op):
	case p.Level == LevelNone:
		return Errorf(CodeNotPermitted, "user %d may not talk to the daemon", p.UID).
			WithHint("use sudo, or join the group " + ReadGroup + ": sudo usermod -aG " +
				ReadGroup + " USER")
	case p.Level < LevelChange && Changes(op):
		return Errorf(CodeNotPermitted, "user %d may not change anything (%s)", p.UID, op).
			WithHint("use sudo, or join the group " + ChangeGroup)
	}
	return nil
}

// lookupGroup finds a group; one that is not there is no error.
func lookupGroup(name string) GroupID {
	g, err := user.LookupGroup(name)
	if err != nil {
		return GroupID{}
	}
	id, err := strconv.ParseUint(g.Gid, 10, 32)
	return GroupID{ID: uint32(id), Exists: err == nil}
}

// groupsOf gives the groups of a user; none when the user is unknown.
func groupsOf(uid uint32) []uint32 {
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return nil
	}
	texts, err := u.GroupIds()
	if err != nil {
		return nil
	}
	ids := make([]uint32, 0, len(texts))
	for _, text := range texts {
		if id, err := strconv.ParseUint(text, 10, 32); err == nil {
			ids = append(ids, uint32(id))
		}
	}
	return ids
}

// believable tells a client whether the process behind a socket may be the daemon: a
// name's answer steers traffic, so not every local user may give one. The client's own
// user is believed only where the person named the socket.
func believable(p Peer, explicit bool) error {
	if p.UID == 0 || explicit && p.UID == uint32(os.Geteuid()) {
		return nil
	}
	if u, err := user.Lookup(DaemonUser); err == nil &&
		u.Uid == strconv.FormatUint(uint64(p.UID), 10) {
		return nil
	}
	return fmt.Errorf("it is run by user %d, neither root nor %s", p.UID, DaemonUser)
}
