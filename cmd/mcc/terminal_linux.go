// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// isTerminal tells whether a person sits at the other end.
func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// withoutEcho runs read while the terminal does not show what is typed. An interrupt
// meanwhile gives the terminal back before it ends the program.
func withoutEcho(f *os.File, read func() error) error {
	fd := int(f.Fd())
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	silent := *before
	silent.Lflag &^= unix.ECHO
	silent.Lflag |= unix.ICANON | unix.ISIG
	restore := func() error { return unix.IoctlSetTermios(fd, unix.TCSETS, before) }

	interrupts, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(interrupts, os.Interrupt, unix.SIGTERM, unix.SIGHUP)
	defer signal.Stop(interrupts)
	defer close(done)
	go func() {
		select {
		case <-interrupts:
			_ = restore() // the program ends either way
			os.Exit(exitFailed)
		case <-done:
		}
	}()
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &silent); err != nil {
		return err
	}
	err = read()
	if failed := restore(); err == nil {
		err = failed
	}
	return err
}
