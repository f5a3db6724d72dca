// SPDX-License-Identifier: Apache-2.0

//go:build linux

package world

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// agreeTime is how long two ends may take to agree on a tunnel.
const agreeTime = 20 * time.Second

// Network is a network of ours: what its owner holds, on no node.
type Network struct {
	w    *World
	Cert string // BASE64, as mcc init takes it
	Key  string // private key, as --stdin takes it
	ID   string // public key in BASE64, as relay-networks takes it
}

// Found makes a new network with mcc, on a machine that is no node.
func (w *World) Found(name string) *Network {
	w.t.Helper()
	h := w.Host("owner")
	dir := "/tmp/" + name
	h.MCC("generate-network-certificate", "--name", name, dir)
	read := func(file string) string { return strings.TrimSpace(h.ReadFile(dir + "/" + file)) }
	n := &Network{w: w, Cert: read("network-certificate.txt"), Key: read("network-private-key.txt")}
	out := h.MCCInput(n.Key+"\n", "init", "--stdin", "-y", "-C", dir+"/probe", n.Cert)
	n.ID = field(out, "network")
	return n
}

// Sign makes a new network that this one signs as its authority, with mcc.
func (n *Network) Sign(name string, flags ...string) *Network {
	n.w.t.Helper()
	h := n.w.Host("owner")
	dir := "/tmp/" + name
	h.WriteFile("/tmp/authority.txt", n.Cert+"\n")
	out := h.MCCInput(n.Key+"\n", slices.Concat([]string{
		"generate-network-certificate", "--name", name, "--stdin",
		"--authority", "/tmp/authority.txt",
	}, flags, []string{dir})...)
	read := func(file string) string { return strings.TrimSpace(h.ReadFile(dir + "/" + file)) }
	return &Network{
		w: n.w, ID: field(out, "network"),
		Cert: read("network-certificate.txt"), Key: read("network-private-key.txt"),
	}
}

// field is the second word of the line of text that begins with a word.
func field(text, word string) string {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == word {
			return f[1]
		}
	}
	return ""
}

// Init makes a host a node of the network with mcc and returns its id. Lines of conf are added
// to what mcc wrote.
func (n *Network) Init(h *Host, parents string, conf ...string) string {
	n.w.t.Helper()
	args := []string{"init", "--stdin"}
	if parents != "" {
		args = append(args, "--parents", parents)
	}
	id := field(h.MCCInput(n.Key+"\n", append(args, n.Cert)...), "node")
	if len(conf) > 0 {
		h.WriteFile("/etc/mcc/mcc.conf",
			h.ReadFile("/etc/mcc/mcc.conf")+strings.Join(conf, "\n")+"\n")
	}
	return id
}

// Tunnel makes a tunnel on the server's host for the node remote, with mcc, and waits until the
// client's host has it.
func (n *Network) Tunnel(server, client *Host, name, remote string, flags ...string) {
	n.w.t.Helper()
	args := append([]string{
		"create-tunnel", "--stdin", "--remote-node", remote, "--dns-names", name,
	}, flags...)
	server.MCCInput(n.Key+"\n", args...)
	n.w.Until(fmt.Sprintf("%s has tunnel %s", client.Name, name), agreeTime, func() bool {
		return strings.Contains(client.Try("mcc", "tunnels").Stdout, name)
	})
}

// Stub points the host's own resolver at the daemon's DNS server; the daemon must listen there:
// it is what dns-addr says.
func (h *Host) Stub() {
	h.w.t.Helper()
	h.WriteFile("/etc/resolv.conf", "nameserver 127.0.0.1\nsearch home.arpa\n")
	h.WriteFile("/etc/nsswitch.conf", "hosts: files dns\n")
}

// DNSConf is the line of mcc.conf that goes with Stub.
const DNSConf = "dns-addr = 127.0.0.1:53"
