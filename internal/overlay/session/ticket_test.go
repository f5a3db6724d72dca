// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"staex/internal/overlay/session"
)

const day = 24 * time.Hour

func newJar(t testing.TB, up time.Duration, born uint32) *session.TicketJar {
	t.Helper()
	j, err := session.NewTicketJar(up, born, dice(1))
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func sealTicket(t testing.TB, j *session.TicketJar, contents string) []byte {
	t.Helper()
	b, err := j.Seal([]byte(contents))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func turn(t *testing.T, j *session.TicketJar, up time.Duration, seconds uint32) bool {
	t.Helper()
	changed, err := j.Turn(up, seconds)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

func opens(j *session.TicketJar, ticket []byte, contents string) bool {
	got, err := j.Open(ticket)
	return err == nil && string(got) == contents
}

func TestATicketOpensForOneMoreDayAfterItsKeyChanged(t *testing.T) {
	j := newJar(t, 0, 0)
	first := sealTicket(t, j, "first")
	for _, step := range []struct {
		up      time.Duration
		changed bool
		opens   bool
	}{
		{0, false, true},
		{day - 1, false, true},
		{day, true, true},
		{2*day - 1, false, true},
		{2 * day, true, false},
	} {
		if got := turn(t, j, step.up, 0); got != step.changed {
			t.Errorf("%v: changed %v", step.up, got)
		}
		if got := opens(j, first, "first"); got != step.opens {
			t.Errorf("%v: opens %v", step.up, got)
		}
	}
}

func TestAJarSurvivesARestart(t *testing.T) {
	j := newJar(t, 0, 1000)
	old := sealTicket(t, j, "old")
	turn(t, j, day, 1000+86400)
	fresh := sealTicket(t, j, "fresh")
	kept := j.Append(nil)
	again, err := session.OpenTicketJar(kept, 0, dice(2))
	if err != nil {
		t.Fatal(err)
	}
	if !opens(again, old, "old") || !opens(again, fresh, "fresh") {
		t.Error("a ticket from before the restart does not open")
	}
	if again.Token(7) != j.Token(7) || again.Token(7) == again.Token(8) {
		t.Error("tokens differ after the restart, or are equal for two labels")
	}
	if !bytes.Equal(again.Append(nil), kept) {
		t.Error("written again, the jar differs")
	}
	if again.Due() != day {
		t.Errorf("due at %v", again.Due())
	}
}

func TestTheCalendarAgesAKeyAcrossRestarts(t *testing.T) {
	j := newJar(t, 0, 1000)
	ticket := sealTicket(t, j, "x")
	for _, c := range []struct {
		seconds        uint32
		changed, opens bool
	}{
		{0, false, true},
		{999, false, true},
		{1000 + 86399, false, true},
		{1000 + 86400, true, true},
		{1000 + 2*86400, true, false},
	} {
		again, err := session.OpenTicketJar(j.Append(nil), 0, dice(2))
		if err != nil {
			t.Fatal(err)
		}
		if got := turn(t, again, time.Minute, c.seconds); got != c.changed {
			t.Errorf("at %d: changed %v", c.seconds, got)
		}
		if got := opens(again, ticket, "x"); got != c.opens {
			t.Errorf("at %d: opens %v", c.seconds, got)
		}
	}
}

func TestACalendarThatBecomesKnownIsWrittenDown(t *testing.T) {
	j := newJar(t, 0, 0)
	if turn(t, j, time.Hour, 0) {
		t.Error("changed without a calendar")
	}
	if !turn(t, j, time.Hour, 5000) || turn(t, j, time.Hour, 5001) {
		t.Error("the birth of the key was not written down once")
	}
}

func TestATicketThatWasTouchedDoesNotOpen(t *testing.T) {
	j := newJar(t, 0, 0)
	ticket := sealTicket(t, j, "contents")
	for i := range 8 * len(ticket) {
		bad := bytes.Clone(ticket)
		bad[i/8] ^= 1 << (i % 8)
		if _, err := j.Open(bad); !errors.Is(err, session.ErrTicket) {
			t.Fatalf("bit %d: %v", i, err)
		}
	}
	for n := range ticket {
		if _, err := j.Open(ticket[:n]); !errors.Is(err, session.ErrTicket) {
			t.Fatalf("cut to %d: %v", n, err)
		}
	}
	other, err := session.NewTicketJar(0, 0, dice(9))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Open(ticket); !errors.Is(err, session.ErrTicket) {
		t.Errorf("another jar: %v", err)
	}
}

func TestResumedKeysFitAndDependOnBothNonces(t *testing.T) {
	r := session.ResumeFrom(key(3))
	one, two := key(4), key(5)
	child, parent := r.Keys(true, one, two), r.Keys(false, one, two)
	if child.Send != parent.Recv || child.Recv != parent.Send || child.Chain != parent.Chain ||
		child.Hash != parent.Hash || child.Send == child.Recv {
		t.Error("the keys of the two ends do not fit")
	}
	for name, k := range map[string]session.Keys{
		"child's nonce":  r.Keys(true, key(6), two),
		"parent's nonce": r.Keys(true, one, key(6)),
		"exchanged":      r.Keys(true, two, one),
		"secret":         session.ResumeFrom(key(7)).Keys(true, one, two),
	} {
		if k.Send == child.Send || k.Recv == child.Recv || k.Chain == child.Chain {
			t.Errorf("another %s gives the same keys", name)
		}
	}
	if session.ResumeFromBytes(r.Bytes()).Keys(true, one, two).Send != child.Send {
		t.Error("a secret from the disk gives other keys")
	}
	if chain := session.ResumeFrom(child.Chain).Bytes(); chain == r.Bytes() {
		t.Error("the next secret is the same one")
	}
}

func TestTheMacsOfAResumptionHoldOnlyForTheirMessage(t *testing.T) {
	r, msg := session.ResumeFrom(key(3)), []byte("message")
	ask, answer := r.TicketMac(msg), r.AnswerMac(key(1), msg)
	other := session.ResumeFrom(key(4))
	switch {
	case !r.CheckTicket(msg, ask) || !r.CheckAnswer(key(1), msg, answer):
		t.Error("a genuine mac is refused")
	case r.CheckTicket([]byte("massage"), ask) || other.CheckTicket(msg, ask):
		t.Error("the mac of a ticket holds for something else")
	case r.CheckAnswer(key(2), msg, answer) || other.CheckAnswer(key(1), msg, answer):
		t.Error("the mac of an answer holds for another question")
	case r.CheckTicket(msg, answer):
		t.Error("an answer passes for a question")
	}
}

func TestTheMacOfAProbeHoldsForOneDirectionAndOneLink(t *testing.T) {
	msg := []byte("probe")
	ask := session.ProbeMac(key(1), false, msg)
	switch {
	case !session.CheckProbe(key(1), false, msg, ask):
		t.Error("a genuine mac is refused")
	case session.CheckProbe(key(1), true, msg, ask):
		t.Error("a question passes for an answer")
	case session.CheckProbe(key(2), false, msg, ask):
		t.Error("a question of another link passes")
	case session.CheckProbe(key(1), false, []byte("prove"), ask):
		t.Error("another question passes")
	}
}

func TestTicketSecretsDoNotPrint(t *testing.T) {
	for _, v := range []any{*newJar(t, 0, 0), session.ResumeFrom(key(3))} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
			if s := fmt.Sprintf(verb, v); strings.Trim(s, "&") != "[secret]" {
				t.Errorf("%s prints %s", verb, s)
			}
		}
	}
}

func FuzzOpenTicketJar(f *testing.F) {
	j := newJar(f, 0, 1000)
	f.Add(j.Append(nil))
	_, _ = j.Turn(day, 0)
	f.Add(j.Append(nil))
	f.Add([]byte{})
	f.Add(make([]byte, 69))
	f.Fuzz(func(t *testing.T, b []byte) {
		j, err := session.OpenTicketJar(b, 0, dice(1))
		switch {
		case err != nil && !errors.Is(err, session.ErrTicketKeys):
			t.Errorf("unknown error %v", err)
		case err == nil && !bytes.Equal(j.Append(nil), b):
			t.Error("written again, the jar differs")
		}
	})
}

func FuzzOpenTicket(f *testing.F) {
	j := newJar(f, 0, 0)
	f.Add(sealTicket(f, j, "contents"))
	f.Add(make([]byte, session.TicketOverhead))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := j.Open(b); err != nil && !errors.Is(err, session.ErrTicket) {
			t.Errorf("unknown error %v", err)
		}
	})
}

func BenchmarkOpenTicket(b *testing.B) {
	j := newJar(b, 0, 0)
	ticket := sealTicket(b, j, strings.Repeat("x", 170))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := j.Open(ticket); err != nil {
			b.Fatal(err)
		}
	}
}
