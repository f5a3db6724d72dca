// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"staex/internal/ident"
)

// maxInput bounds a line that is typed or piped in: the longest thing asked for is a key
// or certificate text.
const maxInput = ident.MaxTextSize

// readLine reads one line of standard input without its end. An unfinished last line
// counts; the end of input before it is io.EOF.
func (a *app) readLine() (string, error) {
	var line []byte
	for {
		part, err := a.lines.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxInput {
			return "", fmt.Errorf("a line of input is longer than %d bytes", maxInput)
		}
		switch {
		case err == nil, errors.Is(err, io.EOF) && len(line) > 0:
			return strings.TrimRight(string(line), "\r\n"), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return "", fmt.Errorf("read standard input: %w", err)
		}
	}
}

// prompt asks a person for one line. What is typed stays hidden if it is secret.
func (a *app) prompt(question string, secret bool) (line string, err error) {
	_, _ = fmt.Fprint(a.err, question)
	read := func() error {
		line, err = a.readLine()
		return err
	}
	if !secret {
		return line, read()
	}
	err = withoutEcho(a.in, read)
	_, _ = fmt.Fprintln(a.err) // the person's own was not shown
	return line, err
}

// confirm asks a yes-or-no question; the answer without a word is no.
func (a *app) confirm(question string) bool {
	answer, err := a.prompt(question+" [y/N] ", false)
	if err != nil {
		return false
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes"
}

// networkSecret gets the network's private key, which is never kept on a node: from
// standard input (the key on line 1, its passphrase on line 2) or by asking.
func (a *app) networkSecret(stdin bool, network *ident.NetworkCert) (*ident.Secret, error) {
	return a.secretOf(network, "network", stdin)
}

// secretOf is networkSecret for whoever signs: whose is the word for it.
func (a *app) secretOf(network *ident.NetworkCert, whose string, stdin bool) (
	*ident.Secret, error,
) {
	question := func(what string, secret bool) (string, error) { return a.prompt(what, secret) }
	switch {
	case stdin:
		question = func(string, bool) (string, error) { return a.readLine() }
	case !isTerminal(a.in):
		return nil, usagef("the %s private key is needed", whose).
			withHint("pipe it in: mcc ... --stdin < network-private-key.txt")
	}
	text, err := question(strings.ToUpper(whose[:1])+whose[1:]+" private key: ", true)
	if err != nil {
		return nil, failf(exitFailed, "the %s private key: %v", whose, err).
			withHint("the key belongs on line 1 of standard input")
	}
	secret, err := ident.DecodeSecretText([]byte(text))
	if errors.Is(err, ident.ErrPassphrase) {
		pass, missing := question("Passphrase: ", true)
		if missing != nil {
			return nil, failf(exitFailed, "the %s private key is protected: %v", whose, missing).
				withHint("its passphrase belongs on line 2 of standard input")
		}
		secret, err = ident.OpenSecretText([]byte(text), []byte(pass))
	}
	if err != nil {
		return nil, failf(exitFailed, "the %s private key: %v", whose, err)
	}
	if secret.NetworkKey() != network.Key {
		return nil, failf(exitFailed, "the private key is not the one of network %s", network.Key).
			withHint("the certificate and the private key have to be of the same network")
	}
	return secret, nil
}

// newPassphrase asks twice on a terminal, else it reads one line.
func (a *app) newPassphrase() ([]byte, error) {
	if !isTerminal(a.in) {
		pass, err := a.readLine()
		if err != nil || pass == "" {
			return nil, usagef("a passphrase is needed on standard input")
		}
		return []byte(pass), nil
	}
	first, err := a.prompt("New passphrase: ", true)
	if err != nil {
		return nil, err
	}
	second, err := a.prompt("Once more: ", true)
	if err != nil {
		return nil, err
	}
	if first != second || first == "" {
		return nil, usagef("the passphrases are empty or differ")
	}
	return []byte(first), nil
}
