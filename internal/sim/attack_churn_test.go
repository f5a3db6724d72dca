// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"time"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/state"
	"staex/internal/wire"
)

func TestAKeyThatChangesAllTheTimeCostsTheWayUpLittle(t *testing.T) {
	w := New(340)
	root := w.Add(Config{Name: "root", Addr: rootAddr})
	relay := w.Add(Config{
		Name: "relay", Addr: "203.0.113.2:9376", Parents: []string{rootAddr},
	})
	w.Add(Config{Name: "gateway", Addr: gatewayAddr, Parents: []string{"203.0.113.2:9376"}})
	w.Add(Config{Name: "technician", Addr: technicianAddr, Parents: []string{rootAddr}})
	agreed(t, w)
	p := w.newRaw(evilAddr, "203.0.113.2:9376", nil)
	p.attach(t)
	say := func(seq uint64) []byte {
		r := state.Record{
			Kind: state.Node, Key: p.who.Secret.ID(), Parent: relay.ID(),
			Network: p.who.Cert.Network, Seq: seq,
		}
		return record(r, p.who.Secret, nil)
	}
	before, spent := relay.allDrops(), w.Bytes("relay", "root")
	const changes = 500
	for seq := range uint64(changes) {
		p.tell(wire.ControlRecord, say(seq+1))
		w.Run(20 * time.Millisecond)
	}
	counted(t, relay, before, drop.Churn, changes-2*16-1)
	if n := w.Bytes("relay", "root") - spent; n > 2*16*400 {
		t.Errorf("a child that changed %d times cost the way up %d bytes", changes, n)
	}
	if n := root.gauge(t, "records"); n < 5 {
		t.Errorf("the root knows %d nodes", n)
	}
	had := p.told(wire.ControlFetch)
	w.Run(time.Minute)
	if n := p.told(wire.ControlFetch) - had; n != 1 {
		t.Fatalf("the newest record was asked for %d times", n)
	}
	before = relay.allDrops()
	spent = w.Bytes("relay", "root")
	p.tell(wire.ControlRecord, say(changes))
	w.Run(time.Second)
	if relay.drops(drop.Churn) != before[drop.Churn] || w.Bytes("relay", "root") == spent {
		t.Error("the last state was not taken after all")
	}
	survived(t, w)
}

func TestAKeyThatComesAndGoesAllTheTimeCostsTheWayUpLittle(t *testing.T) {
	w := New(343)
	w.Add(Config{Name: "root", Addr: rootAddr})
	relay := w.Add(Config{
		Name: "relay", Addr: "203.0.113.2:9376", Parents: []string{rootAddr},
	})
	w.Add(Config{Name: "gateway", Addr: gatewayAddr, Parents: []string{"203.0.113.2:9376"}})
	w.Add(Config{Name: "technician", Addr: technicianAddr, Parents: []string{rootAddr}})
	agreed(t, w)
	p := w.newRaw(evilAddr, "203.0.113.2:9376", nil)
	p.attach(t)
	p.announce(relay.ID())
	end, cert := p.endpoint(p.who.Secret.ID())
	row := state.Record{
		Kind: state.ClientEndpoint, Key: end.ID(), Parent: p.who.Secret.ID(),
		Network: p.who.Cert.Network, Seq: 1,
	}
	before, spent := relay.allDrops(), w.Bytes("relay", "root")
	for range 300 {
		p.tell(wire.ControlRecord, record(row, end, cert))
		w.Run(20 * time.Millisecond)
		p.tell(wire.ControlGone, wire.Gone{Key: end.ID(), Seq: 1}.Append(nil))
		w.Run(20 * time.Millisecond)
	}
	counted(t, relay, before, drop.Churn, 250)
	if n := w.Bytes("relay", "root") - spent; n > 2*2*16*500 {
		t.Errorf("a key that came and went cost the way up %d bytes", n)
	}
	survived(t, w)
}

func TestNobodyUsesUpTheChangesOfAnothersKey(t *testing.T) {
	w, p := attackedBy(t, 341, nil)
	root, g := w.Host("root"), w.Host("gateway")
	before := root.allDrops()
	for seq := range uint64(100) {
		r := state.Record{
			Kind: state.Node, Key: g.ID(), Parent: root.ID(), Network: p.who.Cert.Network,
			Seq: 1000 + seq,
		}
		p.tell(wire.ControlRecord, record(r, p.who.Secret, nil))
	}
	w.Run(time.Second)
	counted(t, root, before, drop.BadSignature, 90)
	g.Kill()
	g.Start() // it signs a new record, which is taken
	g.Serve = Shout
	w.Run(5 * time.Second)
	if n := root.drops(drop.Churn) - before[drop.Churn]; n != 0 {
		t.Errorf("%d changes were refused", n)
	}
	survived(t, w)
}

func TestATunnelThatIsSwitchedAllTheTimeDoesNotWearTheDiskOut(t *testing.T) {
	w, p := attackedBy(t, 342, nil)
	c := w.Host("technician")
	key, cert := p.serverCert(w.network, c.ID(), "mine")
	s := p.talk(t, c.ID())
	o := p.offer(key, cert, c.ID())
	s.message(wire.SessionOffer, o.Append(nil))
	w.Run(time.Second)
	before, writes := c.allDrops(), c.Writes
	const flips = 300
	states := []uint8{wire.SwitchDisabled, wire.SwitchEnabled}
	for i := range flips {
		x := wire.Switch{Tunnel: key.ID(), State: states[i%2], Seq: uint32(i + 1)}
		x.ID = [8]byte{byte(i), byte(i >> 8), 1}
		s.message(wire.SessionSwitch, x.Append(nil))
		w.Run(10 * time.Millisecond)
	}
	counted(t, c, before, drop.Churn, 100)
	if n := c.Writes - writes; n < 16 || n > 2*2*16+2 {
		t.Errorf("%d switches wrote %d times", flips, n)
	}
	w.Run(time.Minute)
	now := c.allDrops()
	s.message(wire.SessionSwitch, wire.Switch{Tunnel: key.ID(), State: states[1]}.Append(nil))
	w.Run(time.Second)
	if c.drops(drop.Churn) != now[drop.Churn] {
		t.Error("a switch is refused after a minute of rest")
	}
	survived(t, w)
}
