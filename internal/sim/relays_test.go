// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"time"

	"staex/internal/overlay/node"
)

func TestPinnedRelaysOfAnotherNetworkTakeOverFromEachOther(t *testing.T) {
	w := New(31)
	public := w.NewNetwork("public")
	relay := node.Config{RelayNetworks: w.Keys()}
	w.Add(Config{Name: "root", Addr: "203.0.113.1:9376", Network: public, Node: relay})
	w.Add(Config{Name: "standby", Addr: "203.0.113.2:9376", Network: public, Node: relay})
	parents := []string{"root@203.0.113.1:9376", "standby@203.0.113.2:9376"}
	w.Add(Config{Name: "gateway", Addr: "192.0.2.2:9376", Parents: parents})
	w.Add(Config{Name: "technician", Addr: "192.0.2.3:9376", Parents: parents})
	w.Add(Config{Name: "stranger", Addr: "192.0.2.4:9376", Parents: parents})
	_, c := agreed(t, w)
	w.Run(10 * time.Second)
	w.Host("root").Kill()
	talks(t, w, c, "meter", "over the standby", 45*time.Second)
	sound(t, w)
}
