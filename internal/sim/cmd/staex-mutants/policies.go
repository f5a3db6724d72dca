// SPDX-License-Identifier: Apache-2.0

package main

var policies = []mutant{
	{
		"target", fast + "flows.go",
		"return int(f.Target) < len(pol.Targets) && pol.Targets[f.Target].Proto == f.Proto",
		"return int(f.Target) < len(pol.Targets)",
	},
	{
		"port", fast + "outbound.go",
		"if t.Proto == proto && t.Port == port {",
		"if t.Proto == proto {",
	},
	{
		"delivers-off", fast + "plane.go",
		"if pol == nil || !pol.On || !s.Peer.takes(s) {",
		"if pol == nil || !s.Peer.takes(s) {",
	},
	{
		"place-off", fast + "outbound.go",
		"if pol == nil || !pol.On {",
		"if pol == nil {",
	},
	{
		"no-flow-inbound", fast + "inbound.go",
		"case !peer.Client.Has(f):",
		"case false:",
	},
	{
		"no-flow-outbound", fast + "outbound.go",
		"} else if c.Slot, c.Announce, ok = peer.Server.Reverse(now, f); !ok {",
		"} else if c.Slot, c.Announce, ok = peer.Server.Reverse(now, f); false {",
	},
	{
		"recall-side", fast + "flows.go",
		"if r != drop.None || pol.Side != side {",
		"if r != drop.None {",
	},
	{
		"recall-of-nobody", fast + "flows.go",
		"if !ok {\n\t\tw.drop(drop.NoFlow)\n\t\treturn\n\t}",
		"_ = ok",
	},
	{
		"slot-of-a-server", fast + "inbound.go",
		"if f, ok = peer.Server.Lookup(now, c.Slot, proto, c.V6); !ok {",
		"if f, ok = peer.Server.Lookup(now, c.Slot, proto, c.V6); !ok {\n\t\t\tf.Proto = " +
			"proto\n\t\t}\n\t\tif false {",
	},
	{
		"error-without-flow", fast + "errors.go",
		"} else if ok = peer.Client.Has(f); ok {",
		"} else if ok = true; ok {",
	},
	{
		"error-out-of-nothing", fast + "errors.go",
		"		c.Slot, c.Announce, ok = peer.Server.Reverse(now, f)",
		"		c.Slot, c.Announce, _ = peer.Server.Reverse(now, f)",
	},
	{
		"error-in-from-nothing", fast + "errors.go",
		"		ok = peer.Client.Has(f)\n	case pol.Side",
		"		ok = true\n	case pol.Side",
	},
	{
		"error-rate", fast + "errors.go",
		"if !peer.errorsIn.allow(now, errorEvery, errorBurst) {",
		"if false {",
	},
	{
		"open-to-the-trusted", node + "neighbours.go",
		"n.proven(n.opens.own, cert) == nil",
		"n.proven(n.trusted, cert) == nil",
	},
	{
		"open-to-another-key", node + "neighbours.go",
		"err == nil && cert.Key == key &&",
		"err == nil &&",
	},
	{
		"open-without-hello", node + "handover.go",
		"} else if o != nil && o.open {",
		"} else if o != nil {",
	},
	{
		"open-target-of-a-tunnel", fast + "nodes.go",
		"if pol.Side != SideNode {\n\t\tr = drop.Protocol\n\t}",
		"_ = drop.Protocol",
	},
	{
		"open-spoofed", fast + "nodes.go",
		"if self := w.t.Self(); others == nil || v.Src != self.V4 && v.Src != self.V6 {",
		"if others == nil {",
	},
	{
		"spoofed-source", fast + "outbound.go",
		"if v.Src != local {",
		"if !local.IsValid() {",
	},
	{
		"checksum", fast + "outbound.go",
		"if !off.Vouched() && !v.ChecksumOK(ip) {",
		"if false {",
	},
}
