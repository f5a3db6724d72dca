// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"staex/internal/ident"
)

// terminal opens a pseudo terminal: what a person sees and types, and what a program has.
func terminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	t.Cleanup(func() { _ = person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("/dev/pts/%d", number)
	program, err = os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	t.Cleanup(func() { _ = program.Close() })
	return person, program
}

func TestAKeyThatIsTypedIsNotShown(t *testing.T) {
	person, program := terminal(t)
	secret := ident.SecretFromSeed([32]byte{9})
	text := strings.TrimSpace(string(ident.EncodeSecretText(secret)))
	network := &ident.NetworkCert{Key: secret.NetworkKey()}

	// The person types when asked: a prompt comes only once the echo is off or about to be,
	// so the answer waits until the terminal says so.
	asked, questions := io.Pipe()
	go func() {
		_, _ = bufio.NewReader(asked).ReadString(':')
		for echoes(person) {
		}
		_, _ = fmt.Fprintf(person, "%s\n", text)
		_, _ = io.Copy(io.Discard, asked)
	}()
	a := &app{in: program, lines: bufio.NewReader(program), out: io.Discard, err: questions}
	got, err := a.networkSecret(false, network)
	_ = questions.Close()
	if err != nil || !got.Equal(secret) {
		t.Fatalf("the key was not read: %v", err)
	}
	if !echoes(person) {
		t.Error("the terminal still hides what is typed")
	}
	if _, err := program.WriteString("end\n"); err != nil {
		t.Fatal(err)
	}
	var shown bytes.Buffer
	for !strings.Contains(shown.String(), "end") {
		b := make([]byte, 256)
		n, err := person.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		shown.Write(b[:n])
	}
	if strings.Contains(shown.String(), text[:8]) {
		t.Errorf("the key was shown: %q", shown.String())
	}
}

// echoes tells whether the terminal shows what is typed.
func echoes(f *os.File) bool {
	state, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err != nil || state.Lflag&unix.ECHO != 0
}

func TestAFileIsNoTerminal(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if isTerminal(f) {
		t.Error("the null device counts as a terminal")
	}
}
