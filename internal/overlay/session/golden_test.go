// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"testing"

	"golang.org/x/crypto/blake2s"

	"staex/internal/ident"
	"staex/internal/overlay/session"
)

var update = flag.Bool("update", false, "rewrite the golden file")

const goldenHead = `# Values to check an implementation against; the derivations are in
# docs/key-schedule.md. key(n) is the bytes n, n+1, .. n+31. The Ed25519 seed of the device is
# 01 00 .. 00, of the parent 02 00 .. 00; the ephemeral keys are key(0x20) and key(0x40).
# Written by go test -update.

`

func TestDerivationsMatchTheGoldenFile(t *testing.T) {
	const path = "testdata/keys.golden"
	got := goldenHead + goldenKeys() + goldenHandshake(t, "XX") + goldenHandshake(t, "XK") +
		goldenResumption(t) + goldenHybrid(t)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("have\n%s\nwant\n%s", got, want)
	}
}

func goldenKeys() string {
	var b bytes.Buffer
	mac1 := session.Mac1(key(1), []byte("first message"))
	fmt.Fprintf(&b, "mac1 under key(1) of \"first message\" = %x\n", mac1)
	mac := session.HelloMAC(key(1), []byte("ab"), []byte("c"))
	fmt.Fprintf(&b, "hello MAC under key(1) of \"ab\", \"c\" = %x\n", mac)
	tunnel := session.TunnelSecret(device, parent.ID())
	fmt.Fprintf(&b, "tunnel secret of device and parent = %x\n", tunnel)
	nudge := session.NudgeMAC(key(1), []byte("nudge"))
	fmt.Fprintf(&b, "nudge MAC under key(1) of \"nudge\" = %x\n", nudge)
	size := session.SizeMAC(key(1), []byte("size"))
	fmt.Fprintf(&b, "size MAC under key(1) of \"size\" = %x\n", size)
	up, down := session.HopKeys(key(1))
	fmt.Fprintf(&b, "hop MACs, chain key(1), of \"frame\", up and down = %x %x\n\n",
		up.Append([]byte("frame"))[5:], down.Append([]byte("frame"))[5:])
	b.WriteString(goldenResume())
	for _, suite := range suites {
		s := session.NewSender(key(1), suite)
		for _, ctr := range []uint64{1, epochLen, 2*epochLen + 5} {
			skip(s, ctr)
			sealed := s.Seal(nil, s.Reserve(1), 0x2a, []byte("payload"))
			fmt.Fprintf(&b, "%v, key(1), counter %#x, byte 0 2a, \"payload\" = %x\n",
				suite, ctr, sealed)
		}
	}
	return b.String()
}

// goldenResume is an ask of the side that began the handshake and the answer to it.
func goldenResume() string {
	var b bytes.Buffer
	one, two := ends(session.AESGCM)
	id := [8]byte([]byte("set-up 1"))
	p, _ := one.Ask(one.send, id)
	if err := two.CheckAsk(two.recv, id, p); err != nil {
		return err.Error()
	}
	q, _ := two.Answer(two.send, id)
	fmt.Fprintln(&b, "resumption, AES-256-GCM, chain key(3), id \"set-up 1\":")
	fmt.Fprintf(&b, "ask 1 with key(1): tag %x, counter %d, MAC %x\n", p.Tag, p.Counter, p.MAC)
	fmt.Fprintf(&b, "its answer with key(2): tag %x, counter %d, MAC %x\n\n",
		q.Tag, q.Counter, q.MAC)
	return b.String()
}

func goldenHandshake(t *testing.T, pattern string) string {
	t.Helper()
	var i, r *session.Handshake
	var errI, errR error
	e, f := key(0x20), key(0x40)
	if pattern == "XX" {
		i, errI = session.NewXX(true, device, bytes.NewReader(e[:]))
		r, errR = session.NewXX(false, parent, bytes.NewReader(f[:]))
	} else {
		i, errI = session.NewXK(true, device, parent.ID(), bytes.NewReader(e[:]))
		r, errR = session.NewXK(false, parent, ident.NodeID{}, bytes.NewReader(f[:]))
	}
	if errI != nil || errR != nil {
		t.Fatal(errI, errR)
	}
	var b bytes.Buffer
	fmt.Fprintln(&b)
	for n := range payloads {
		msg := write(t, n, i, r)
		read(t, n, i, r, msg)
		fmt.Fprintf(&b, "%s message %d with %q = %x\n", pattern, n+1, payloads[n], msg)
	}
	k := i.Keys()
	fmt.Fprintf(&b, "%s initiator sends with = %x\n", pattern, k.Send)
	fmt.Fprintf(&b, "%s responder sends with = %x\n", pattern, k.Recv)
	fmt.Fprintf(&b, "%s chain = %x\n", pattern, k.Chain)
	fmt.Fprintf(&b, "%s transcript hash = %x\n", pattern, k.Hash)
	return b.String()
}

func goldenResumption(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	r := session.ResumeFrom(key(1))
	fmt.Fprintf(&b, "\nresumption secret of the chain key(1) = %x\n", r.Bytes())
	fmt.Fprintf(&b, "ticket mac of \"question\" = %x\n", r.TicketMac([]byte("question")))
	fmt.Fprintf(&b, "answer mac of \"answer\" to nonce key(2) = %x\n",
		r.AnswerMac(key(2), []byte("answer")))
	k := r.Keys(true, key(2), key(3))
	fmt.Fprintf(&b, "nonces key(2), key(3): child sends with = %x\n", k.Send)
	fmt.Fprintf(&b, "nonces key(2), key(3): parent sends with = %x\n", k.Recv)
	fmt.Fprintf(&b, "nonces key(2), key(3): chain = %x\n", k.Chain)
	fmt.Fprintf(&b, "nonces key(2), key(3): hash = %x\n", k.Hash)
	one := key(4)
	disk := append([]byte{1}, one[:]...)
	disk = append(append(disk, 0, 0, 0, 0), one[:]...)
	j, err := session.OpenTicketJar(disk, 0, bytes.NewReader(one[:]))
	if err != nil {
		t.Fatal(err)
	}
	ticket, err := j.Seal([]byte("contents"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, "ticket with \"contents\" under key(4) = %x\n", ticket)
	fmt.Fprintf(&b, "nat question mac under key(1) of \"probe\" = %x\n",
		session.ProbeMac(key(1), false, []byte("probe")))
	fmt.Fprintf(&b, "nat answer mac under key(1) of \"probe\" = %x\n",
		session.ProbeMac(key(1), true, []byte("probe")))
	fmt.Fprintf(&b, "reset token of label 010203 under key(4) = %x\n", j.Token(0x010203))
	return b.String()
}

// goldenHybrid is the exchange after a handshake with the keys of agreedKeys: the seed of the
// key is key(0x60) and key(0x80), the randomness of the answer key(0xa0).
func goldenHybrid(t *testing.T) string {
	t.Helper()
	seed, random := append(keyBytes(0x60), keyBytes(0x80)...), keyBytes(0xa0)
	kem, err := session.NewKEM(bytes.NewReader(seed))
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := agreedKeys()
	answer, _, err := session.AnswerKEM(theirs, kem.Public(), bytes.NewReader(random))
	if err != nil {
		t.Fatal(err)
	}
	k, err := kem.Mix(ours, answer)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "\nexchange after k1 = key(1), k2 = key(2), Chain key(3), Hash key(4), with "+
		"the seed key(0x60) || key(0x80)\nand the randomness key(0xa0):\n")
	fmt.Fprintf(&b, "H(encapsulation key) = %x\n", blake2s.Sum256(kem.Public()))
	fmt.Fprintf(&b, "H(ciphertext) = %x\n", blake2s.Sum256(answer))
	fmt.Fprintf(&b, "initiator sends with %x\nresponder sends with %x\n", k.Send, k.Recv)
	fmt.Fprintf(&b, "Chain = %x\nHash = %x\n", k.Chain, k.Hash)
	return b.String()
}

func keyBytes(seed byte) []byte {
	k := key(seed)
	return k[:]
}
