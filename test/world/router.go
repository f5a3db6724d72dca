// SPDX-License-Identifier: Apache-2.0

//go:build linux

package world

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// masquerade is what a home router does: everything from its LAN goes out under its own
// address, and nothing comes in that did not go out first.
const masquerade = `
table ip router {
	chain out {
		type nat hook postrouting priority srcnat
		oifname "wan" masquerade
	}
	chain through {
		type filter hook forward priority filter; policy drop
		ct state established,related accept
		iifname "lan" oifname "wan" accept
	}
	chain to {
		type filter hook input priority filter; policy drop
		ct state established,related accept
		iifname { "lo", "lan" } accept
	}
}
`

// NAT makes a host that is the router between two segments: interface wan with an address on
// the outer one, interface lan with an address on the inner one.
func (w *World) NAT(name, outer, wan, inner, lan string) *Host {
	w.t.Helper()
	h := w.Host(name)
	h.Join(outer, "wan", wan)
	h.Join(inner, "lan", lan)
	h.Sysctl("net/ipv4/ip_forward", "1")
	h.Rules(masquerade)
	return h
}

// Rules loads an nftables script into the host.
func (h *Host) Rules(script string) {
	h.w.t.Helper()
	r := h.TryContext(h.w.ctx, script, "nft", "-f", "-")
	if !r.OK() {
		h.w.t.Fatalf("%s: nft: %s", h.Name, r.Stderr)
	}
}

// fresh puts every packet from now on in a zone of the connection table that is still empty.
const fresh = `
table ip zone {
	chain from {
		type filter hook prerouting priority raw
		ct zone set %[1]d
	}
	chain own {
		type filter hook output priority raw
		ct zone set %[1]d
	}
}
`

// Forget makes a NAT router lose its mappings, as its restart does: the next packet from
// inside leaves from a port of the range ("50000-50100"), answers to the old one are dropped.
func (h *Host) Forget(ports string) {
	h.w.t.Helper()
	h.zone++
	to := "meta l4proto { tcp, udp } masquerade to :" + ports
	h.Rules("table ip zone\ndelete table ip zone\ndelete table ip router\n" +
		strings.Replace(masquerade, "masquerade", to, 1) + fmt.Sprintf(fresh, h.zone))
}

// Sysctl sets a kernel parameter of the host's network, such as "net/ipv4/ip_forward".
func (h *Host) Sysctl(name, value string) {
	h.w.t.Helper()
	err := h.Do(func() error {
		return os.WriteFile("/proc/sys/"+name, []byte(value), 0)
	})
	if err != nil {
		h.w.t.Fatalf("%s: sysctl %s: %v", h.Name, name, err)
	}
}

// Web serves one page at / on a TCP port of the host, as a device's own little web server.
func (h *Host) Web(port, page string) *Process {
	h.w.t.Helper()
	dir := "/run/web" + port
	h.WriteFile(dir+"/index.html", page)
	p := h.Start("busybox", "httpd", "-f", "-p", port, "-h", dir)
	h.w.Until(h.Name+" serves port "+port, stopTime, func() bool {
		if !p.Running() {
			h.w.t.Fatalf("%s ended: %s", p.Name, p.Log())
		}
		conn, err := h.DialContext(h.w.ctx, "tcp", "127.0.0.1:"+port)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return p
}

// Get fetches a page with curl, giving it at most the seconds of the context or half a
// minute, and tells how that went: Stdout is the page.
func (h *Host) Get(ctx context.Context, url string) Result {
	h.w.t.Helper()
	return h.TryContext(ctx, "", "curl", "--silent", "--show-error", "--max-time", "10", url)
}
