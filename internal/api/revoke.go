// SPDX-License-Identifier: Apache-2.0

package api

import "staex/internal/ident"

// The operations about revoked keys: name, arguments, result.
const (
	OpRevocations = "revocations" // RevocationsArgs, RevocationsReply
	OpRevoke      = "revoke"      // RevokeArgs, RevokeReply
)

// StateRevoked is the state of a tunnel of which a key was revoked. It excludes all others.
const StateRevoked = "revoked"

// RevocationsArgs asks what is revoked in a network. The zero key is the node's own network.
type RevocationsArgs struct {
	Network ident.NetworkKey `json:"network,omitzero"`
}

// RevocationsReply is what the next list is built upon.
type RevocationsReply struct {
	Network ident.NetworkKey `json:"network"`
	Number  uint32           `json:"number"`           // of the newest list; 0: there is none
	Prints  []byte           `json:"prints,omitempty"` // fingerprints, 8 bytes each, ascending
	Moment  uint32           `json:"moment,omitempty"` // Unix seconds the node is sure of; 0: none
}

// RevokeArgs takes keys back for ever. Exactly one of the fields is set.
type RevokeArgs struct {
	List []byte         `json:"list,omitempty"` // a whole list, signed with the network's key
	Keys []ident.NodeID `json:"keys,omitempty"` // to be signed by the node, as a revoker
	Self bool           `json:"self,omitempty"` // the node's own key
}

// RevokeReply is what is revoked now.
type RevokeReply struct {
	Number uint32 `json:"number"` // of the newest list
	Count  int    `json:"count"`  // keys in all
}
