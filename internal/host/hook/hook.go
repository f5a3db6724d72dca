// SPDX-License-Identifier: Apache-2.0

// Package hook runs a command that stands in a configuration file; it runs none that somebody
// without the rights of this process could have written.
package hook

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

const (
	// Patience is how long a command may take.
	Patience = 20 * time.Second
	// maxOutput is how much of what a command says is repeated in an error, in bytes.
	maxOutput = 300
)

// ErrOwner is returned for a command from a file that others than root and this process's own user
// may change.
var ErrOwner = errors.New("hook: others than root may change the file")

// Run runs a shell command that was read from the file. The error has the last that the command
// said.
func Run(ctx context.Context, file, command string) error {
	if err := trusted(file); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.WaitDelay = time.Second // what it left behind may hold the pipe
	out, err := cmd.CombinedOutput()
	if err == nil || errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	said := strings.TrimSpace(string(out))
	if len(said) > maxOutput {
		said = "..." + said[len(said)-maxOutput:]
	}
	if ctx.Err() != nil {
		return fmt.Errorf("hook: %s: not done within %v: %w", command, Patience, ctx.Err())
	}
	return fmt.Errorf("hook: %s: %w: %s", command, err, said)
}
