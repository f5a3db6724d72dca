// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"strings"
	"testing"
)

// TestKeysOfOneNodeDoWhatTheManualSays holds keys that no other test here looks at.
func TestKeysOfOneNodeDoWhatTheManualSays(t *testing.T) {
	n := empty(t)
	w := n.w
	h := w.Host("public")
	h.Join("inet", "eth0", "203.0.113.1/24")
	n.node("public", "", "tags = gate, hall", "log-file = /tmp/mcc.log", "resolver.ttl = 7",
		"resolver.mac-address-mask = 02:00:00:00:00:00", "tun-device-name = ours0",
		"tun-device-mtu = 1400", "data-dir = /var/lib/elsewhere")
	if out := h.MCC("nodes"); !strings.Contains(out, "gate") || !strings.Contains(out, "hall") {
		t.Errorf("mcc nodes does not show the tags:\n%s", out)
	}
	if log := h.ReadFile("/tmp/mcc.log"); !strings.Contains(log, n.ids["public"]) {
		t.Errorf("the log file does not say that the node started:\n%s", log)
	}
	if mac := h.MCC("resolve", "-t", "mac6", n.ids["public"]); !strings.HasPrefix(mac, "02:") {
		t.Errorf("the MAC address %s is not of the mask", mac)
	}
	out := h.Run("dig", "@127.0.0.1", "+noall", "+answer", n.ids["public"]+".home.arpa")
	if f := strings.Fields(out); len(f) < 2 || f[1] != "7" {
		t.Errorf("dig shows another TTL than 7: %q", out)
	}
	if out := h.Run("ip", "link", "show", "dev", "ours0"); !strings.Contains(out, "mtu 1400") {
		t.Errorf("the device: %s", out)
	}
	h.Run("test", "-d", "/var/lib/elsewhere")
}
