// SPDX-License-Identifier: Apache-2.0

//go:build linux

package world

// Pages that the cameras of the story show. Each holds a marker that occurs nowhere else.
const (
	Marker1 = "marker-7f3a91-of-camera-one"
	Marker2 = "marker-c20e58-of-camera-two"
	// MarkerClosed is on the cameras' port 8081, which no tunnel names.
	MarkerClosed = "marker-e61b04-behind-a-closed-port"

	page1 = "<html><title>Camera 1</title><p>Hall, 12 lux. " + Marker1 + "</p></html>\n"
	page2 = "<html><title>Camera 2</title><p>Yard, 870 lux. " + Marker2 + "</p></html>\n"
	admin = "<html><title>Admin</title><p>password: admin. " + MarkerClosed + "</p></html>\n"
)

// Story builds the world of the demo. Nothing of ours runs in it yet: cameras serve their
// pages, routers translate addresses, and that is all.
//
//	                  inet 203.0.113.0/24
//	   ┌──────────────┬──────────┴──┬───────────────┬─────────────┐
//	public .1     standby .2   homenat .10     officenat .20   homenat2 .30
//	                         192.168.1.0/24   10.20.0.0/24    192.168.1.0/24
//	                         gateway  .2      technician .2   gateway2  .2
//	                         camera   .10     stranger   .3   camera2   .10
//
// The two homes have the same private range. Each camera serves its page on port 80 and
// another one, which must stay closed to the technician, on port 8081.
func Story(w *World) {
	w.t.Helper()
	w.Host("public").Join("inet", "eth0", "203.0.113.1/24")
	w.Host("standby").Join("inet", "eth0", "203.0.113.2/24")
	site := func(segment, nat, wan, router, prefix string, hosts map[string]string) {
		w.NAT(nat, "inet", wan+"/24", segment, router+prefix)
		for name, address := range hosts {
			h := w.Host(name)
			h.Join(segment, "eth0", address+prefix)
			h.Route("default", router)
		}
	}
	site("home", "homenat", "203.0.113.10", "192.168.1.1", "/24",
		map[string]string{"gateway": "192.168.1.2", "camera": "192.168.1.10"})
	site("office", "officenat", "203.0.113.20", "10.20.0.1", "/24",
		map[string]string{"technician": "10.20.0.2", "stranger": "10.20.0.3"})
	site("home2", "homenat2", "203.0.113.30", "192.168.1.1", "/24",
		map[string]string{"gateway2": "192.168.1.2", "camera2": "192.168.1.10"})
	w.Host("camera").Web("80", page1)
	w.Host("camera2").Web("80", page2)
	w.Host("camera").Web("8081", admin)
	w.Host("camera2").Web("8081", admin)
}
