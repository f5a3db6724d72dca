// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"staex/internal/host/tun"
	"staex/internal/overlay/drop"
	"staex/internal/overlay/plane"
)

// maxDrain is how many packets of the host at most share one clock reading and one round of sends;
// more would only make the first of them late.
const maxDrain = 64

// readDevice is the goroutine of one queue of the device: packets of the host through the tables to
// the sockets of its lane. What has no session yet goes to the node. It ends when the daemon closes
// the device.
func (d *daemon) readDevice(i int, w *plane.Worker) error {
	buf := make([]byte, tun.MaxPacket)
	dev, lane := (*d.host.device.now.Load())[i], &d.host.lanes[i]
	for {
		n, err := dev.Read(buf)
		if err != nil {
			if dev, err = d.host.device.after(i, dev, err); dev == nil {
				return err
			}
			continue
		}
		now := up()
		d.traffic.woke[wokeDevice].Add(1)
		w.Reset()
		wrong := w.C.Drops[drop.BadOffload].Load()
		for i := 0; n > 0; i++ {
			p := w.Whole(now, buf[:n])
			if p != nil && w.Outbound(now, p) != nil && !d.loop.offerPacket(p) {
				w.C.Drops[drop.QueueFull].Add(1)
			}
			if i >= maxDrain || !w.Room() {
				break
			}
			if n, err = dev.ReadNow(buf); err != nil {
				break // the next Read says the same and tells what to do
			}
		}
		if w.C.Drops[drop.BadOffload].Load() != wrong && dev.Single() {
			d.doubts("TUNSETOFFLOAD")
		}
		d.sendRuns(now, lane, w, w.Buf, w.Runs)
		d.deliver(w)
		d.loop.frames.offer(w)
	}
}
