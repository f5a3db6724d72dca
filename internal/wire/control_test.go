// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"errors"
	"testing"

	"staex/internal/wire"
)

func TestAControlPacketGivesItsMessagesInOrder(t *testing.T) {
	b := wire.ControlHeader{Number: 5, Ack: 4}.Append(nil)
	b = wire.AppendMessage(b, wire.ControlWant, nil)
	b = wire.AppendMessage(b, 200, []byte("from the future"))
	b = wire.AppendMessage(b, wire.ControlUnknown, wire.Unknown{Label: 9}.Append(nil))
	r, err := wire.ReadControl(b)
	if err != nil || r.Header != (wire.ControlHeader{Number: 5, Ack: 4}) {
		t.Fatalf("header %+v, %v", r.Header, err)
	}
	var types []uint8
	for {
		typ, body, ok := r.Next()
		if !ok {
			break
		}
		types = append(types, typ)
		if typ == 200 && string(body) != "from the future" {
			t.Errorf("body %q", body)
		}
	}
	if r.Err() != nil || !bytes.Equal(types, []byte{8, 200, 5}) {
		t.Errorf("types %v, %v", types, r.Err())
	}
}

func TestMessagesBeforeABrokenOneAreRead(t *testing.T) {
	b := wire.ControlHeader{Number: 1}.Append(nil)
	b = wire.AppendMessage(b, wire.ControlBye, nil)
	b = append(b, wire.ControlWant, 0)
	r, err := wire.ReadControl(b)
	if err != nil {
		t.Fatal(err)
	}
	if typ, _, ok := r.Next(); !ok || typ != wire.ControlBye {
		t.Errorf("first message %d, %t", typ, ok)
	}
	for range 2 {
		if _, _, ok := r.Next(); ok || !errors.Is(r.Err(), wire.ErrShort) {
			t.Errorf("second message %t, %v", ok, r.Err())
		}
	}
}

func TestTheLargestMessageFillsTheSmallestDatagram(t *testing.T) {
	b := wire.DataHeader{Type: wire.TypeLink, Long: true}.Append(nil)
	b = wire.ControlHeader{Number: 1}.Append(b)
	b = wire.AppendMessage(b, 200, make([]byte, wire.MaxMessageBody))
	if n := len(b) + wire.TagSize; n != wire.MinDatagram {
		t.Errorf("%d bytes, want %d", n, wire.MinDatagram)
	}
	if _, _, rest, err := wire.NextMessage(b[16:]); err != nil || len(rest) != 0 {
		t.Errorf("%d bytes remain, %v", len(rest), err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a longer message was encoded")
		}
	}()
	wire.AppendMessage(nil, 200, make([]byte, wire.MaxMessageBody+1))
}

func TestASessionMessageBeginsWithAControlContext(t *testing.T) {
	b := wire.SlotOK{Slots: []uint8{7}}.Append(wire.AppendSession(nil, wire.SessionSlotOK))
	if !bytes.Equal(b, []byte{0, 2, 7}) {
		t.Errorf("got % x", b)
	}
	m, err := wire.ParseSession(b)
	if err != nil || m.Type != wire.SessionSlotOK || !bytes.Equal(m.Append(nil), b) {
		t.Errorf("got %+v, %v", m, err)
	}
}

func TestTheMACsOfHello1CoverAllBeforeThem(t *testing.T) {
	b := wire.Hello1{
		Version: 1, Noise: run(1, wire.Hello1Noise), Size: wire.MinHello1,
	}.Append(nil)
	if n1, n2 := len(wire.MACInput(b)), len(wire.MAC2Input(b)); n1 != 480 || n2 != 496 {
		t.Errorf("mac1 covers %d bytes, mac2 %d", n1, n2)
	}
	mac2 := [wire.MACSize]byte(run(0x80, wire.MACSize))
	wire.PutMAC1(b, mac)
	wire.PutMAC2(b, mac2)
	h, err := wire.ParseHello1(b)
	if err != nil || h.Mac1 != mac || h.Mac2 != mac2 {
		t.Errorf("got %+v, %v", h, err)
	}
}

func TestTheSecondHelloIsAsLongAsItsNoiseNeeds(t *testing.T) {
	h := wire.Hello2{Size: 20, Noise: run(1, 100)}
	if n := len(h.Append(nil)); n != 110 || h.Len() != 110 {
		t.Errorf("encodes to %d bytes, Len says %d", n, h.Len())
	}
	h.Size = 512
	if n := len(h.Append(nil)); n != 512 || h.Len() != 512 {
		t.Errorf("encodes to %d bytes, Len says %d", n, h.Len())
	}
}
