// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

import (
	"errors"
	"os"
)

// isTerminal says no: on this system keys are read with --stdin only.
func isTerminal(*os.File) bool { return false }

// withoutEcho is not called where nothing is a terminal.
func withoutEcho(*os.File, func() error) error {
	return errors.New("hidden input is not available on this system")
}
