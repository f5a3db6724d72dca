// SPDX-License-Identifier: Apache-2.0

package plane

import (
	"bytes"
	"strings"
	"testing"

	"staex/internal/overlay/drop"
	"staex/internal/overlay/session"
	"staex/internal/wire"
)

func TestAFrameLongerThanTheNextLinkIsDroppedAndReportedOnceABatch(t *testing.T) {
	r := newRig()
	long := datagram(request(false, 161), strings.Repeat("x", 1200))
	row, _ := r.relay.tables.Row(0x101)
	row.To.SetSize(wire.MinDatagram)
	var batch []byte
	for range 3 {
		r.client.out.Reset()
		r.client.out.Outbound(r.now, bytes.Clone(long))
		batch = append(batch, r.client.out.Buf[:r.client.out.Runs[0].Len]...)
	}
	in := r.relay.in
	in.Inbound(r.now, clientAddr, batch, len(batch)/3)
	if len(in.Transit) != 0 || in.C.Drops[drop.TooBig].Load() != 3 {
		t.Errorf("%d sends, %d drops", len(in.Transit), in.C.Drops[drop.TooBig].Load())
	}
	if n := in.Notices; len(n) != 1 || n[0].Kind != NoticeTooBig || n[0].Label != 0x101 ||
		n[0].Link.Addr() != clientAddr {
		t.Errorf("reported %+v", n)
	}
	if at, ever := row.To.Large(); !ever || at != r.now || row.To.Sent() != 0 {
		t.Error("a dropped frame does not ask for a larger link, or counts as sent")
	}
	f := r.sealed()
	in.Reset()
	in.Inbound(r.now, clientAddr, f, len(f))
	if len(in.Transit) != 1 {
		t.Error("a short frame did not pass")
	}
}

func TestASenderFitsItsFramesToPathAndLink(t *testing.T) {
	up, _ := session.HopKeys([32]byte{1})
	long := datagram(request(false, 161), strings.Repeat("x", 1390))
	for _, c := range []struct {
		path, link int
		sign       *session.HopKey
		frames     int
	}{
		{1452, 1452, nil, 1},
		{1452, 1452, up, 1},
		{1390 + 2 + 24, 1452, nil, 1},
		{1390 + 2 + 24, 1452, up, 2},
		{1300, 1452, nil, 2},
		{1452, 1300, nil, 2},
		{1452, 1300, up, 2},
	} {
		r := newRig()
		r.send(t, r.client, r.server, bytes.Clone(long)) // the flow is announced and known
		s := r.client.session
		s.ResizePath(c.path)
		s.SignPath(c.sign)
		s.Path().Link.SetSize(c.link)
		r.client.out.Reset()
		r.client.out.Outbound(r.now, bytes.Clone(long))
		frames := 0
		for _, run := range r.client.out.Runs {
			frames += (run.Len + run.Seg - 1) / run.Seg
			if run.Seg > min(c.path, c.link) {
				t.Errorf("path %d, link %d: a frame of %d bytes", c.path, c.link, run.Seg)
			}
		}
		if frames != c.frames {
			t.Errorf("path %d, link %d, hop MAC %v: %d frames, want %d",
				c.path, c.link, c.sign != nil, frames, c.frames)
		}
		if at, ever := s.Path().Link.Large(); !ever || at != r.now {
			t.Error("the frames are not counted as large")
		}
	}
}
