// SPDX-License-Identifier: Apache-2.0

package ident

import (
	"fmt"
	"strings"
)

// Role is a set of things that a certificate's key may do beyond being a member. Bits without a
// name are carried but mean nothing.
type Role uint16

// The roles. Their bits are never renumbered or reused.
const (
	// RoleRelay may carry the children of other networks of the same authority.
	RoleRelay Role = 1 << iota
	// RoleTime may sign statements about the time.
	RoleTime
	// RoleRevoker may sign revocation lists.
	RoleRevoker
	// RoleIssuer renews certificates.
	RoleIssuer
)

// roleNames lists the roles in the order of their bits.
var roleNames = [...]struct {
	role Role
	name string
}{
	{RoleRelay, "relay"},
	{RoleTime, "time"},
	{RoleRevoker, "revoker"},
	{RoleIssuer, "issuer"},
}

// ParseRoles reads a comma-separated list of roles: relay, time, revoker, issuer. The empty text
// is no role; spaces around a role are permitted. Errors wrap ErrRole.
func ParseRoles(s string) (Role, error) {
	if s == "" {
		return 0, nil
	}
	var roles Role
	for field := range strings.SplitSeq(s, ",") {
		role, err := parseRole(strings.TrimSpace(field))
		if err != nil {
			return 0, err
		}
		roles |= role
	}
	return roles, nil
}

func parseRole(s string) (Role, error) {
	for _, r := range roleNames {
		if r.name == s {
			return r.role, nil
		}
	}
	return 0, fmt.Errorf("%w: %q; roles are relay, time, revoker and issuer", ErrRole, clip(s))
}

// Has tells whether all of the given roles are in the set.
func (r Role) Has(role Role) bool { return r&role == role }

// String is the named roles as ParseRoles reads them; unnamed bits follow in hexadecimal.
func (r Role) String() string {
	var names []string
	for _, known := range roleNames {
		if r.Has(known.role) {
			names = append(names, known.name)
			r &^= known.role
		}
	}
	if r != 0 {
		names = append(names, fmt.Sprintf("%#x", uint16(r)))
	}
	return strings.Join(names, ",")
}
