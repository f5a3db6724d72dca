// SPDX-License-Identifier: Apache-2.0

//go:build linux

package peer

func bound() Peer     { return Peer{Name: "bound", relaysMax: -1} }
func nebula() Peer    { return Peer{Name: "nebula", relaysMax: -1} }
func yggdrasil() Peer { return Peer{Name: "yggdrasil", relaysMax: -1} }
func tinc() Peer      { return Peer{Name: "tinc", relaysMax: -1} }
func openvpn() Peer   { return Peer{Name: "openvpn", relaysMax: -1} }
