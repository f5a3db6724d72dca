// SPDX-License-Identifier: Apache-2.0

package tun_test

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"staex/internal/host/tun"
)

var errDriver = errors.New("the driver has words of its own")

// driver is a system's device as a test wants it to be.
type driver struct {
	reads  [][]byte // what Read gives, one after the other; then errDriver
	writes [][]byte // what Write got
	room   int      // how many packets Write takes before errDriver
	closes int
}

func (d *driver) Name() (string, error) { return "test7", nil }

func (d *driver) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	if len(d.reads) == 0 {
		return 0, errDriver
	}
	for i := range offset {
		bufs[0][i] = 0xee // the drivers put a header of their own there
	}
	sizes[0] = copy(bufs[0][offset:], d.reads[0])
	d.reads = d.reads[1:]
	return 1, nil
}

func (d *driver) Write(bufs [][]byte, offset int) (int, error) {
	if len(d.writes) == d.room {
		return 0, errDriver
	}
	d.writes = append(d.writes, bytes.Clone(bufs[0][offset:]))
	for i := range offset {
		bufs[0][i] = 0xee
	}
	return 1, nil
}

func (d *driver) Close() error {
	d.closes++
	return nil
}

func plain(t *testing.T, d *driver) *tun.Plain {
	t.Helper()
	dev, err := tun.NewPlain(d)
	if err != nil {
		t.Fatal(err)
	}
	return dev
}

func TestAPlainDeviceReadsPacketsBehindAnEmptyHeader(t *testing.T) {
	dev := plain(t, &driver{reads: [][]byte{{}, []byte("packet")}})
	b := bytes.Repeat([]byte{0xff}, 100)
	n, err := dev.Read(b)
	if want := "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00packet"; string(b[:n]) != want {
		t.Errorf("read %q, %v", b[:n], err)
	}
	if _, err := dev.Read(b); !errors.Is(err, errDriver) || errors.Is(err, os.ErrClosed) {
		t.Errorf("the driver's error came as %v", err)
	}
	if dev.Offloads() != (tun.Offloads{}) || dev.Name() != "test7" || dev.Gone() {
		t.Errorf("offloads %v, name %s, gone %v", dev.Offloads(), dev.Name(), dev.Gone())
	}
	if _, err := dev.Again(1280); err == nil {
		t.Error("a device that stands was made again")
	}
}

func TestAPlainDeviceWritesTheCutsAndLeavesItsCallersBytesAlone(t *testing.T) {
	d := &driver{room: 100}
	dev := plain(t, d)
	b := super{from: six, to: six2, payload: 3000, size: 1000}.packet()
	before := bytes.Clone(b)
	if err := dev.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := checkCut(before, d.writes); err != nil || len(d.writes) != 3 {
		t.Errorf("%d packets: %v", len(d.writes), err)
	}
	if !bytes.Equal(b, before) {
		t.Error("the super-packet was changed")
	}
	d.room = 4
	if err := dev.Write(b); !errors.Is(err, errDriver) || len(d.writes) != 4 {
		t.Errorf("after %d packets: %v", len(d.writes), err)
	}
}

func TestAPlainDeviceThatIsClosedSaysSoWhateverItsDriverSays(t *testing.T) {
	d := &driver{}
	dev := plain(t, d)
	b := super{from: four, to: four2, payload: 10}.packet()
	if err := dev.Close(); err != nil {
		t.Fatal(err)
	}
	_, read := dev.Read(make([]byte, 100))
	_, now := dev.ReadNow(make([]byte, 100))
	for what, err := range map[string]error{
		"read": read, "read now": now, "write": dev.Write(b), "close": dev.Close(),
	} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if d.closes != 1 {
		t.Errorf("the driver was closed %d times", d.closes)
	}
}

// still is a driver that keeps nothing.
type still struct{ driver }

func (*still) Read(_ [][]byte, sizes []int, _ int) (int, error) {
	sizes[0] = 40
	return 1, nil
}

func (*still) Write([][]byte, int) (int, error) { return 1, nil }

func TestThePlainDeviceDoesNotAllocate(t *testing.T) {
	dev, err := tun.NewPlain(&still{})
	if err != nil {
		t.Fatal(err)
	}
	b := super{from: four, to: four2, payload: 3000, size: 1000}.packet()
	buf := make([]byte, tun.MaxPacket)
	if n := testing.AllocsPerRun(100, func() {
		if err := dev.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := dev.Read(buf); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for a write and a read", n)
	}
}
