// SPDX-License-Identifier: Apache-2.0

//go:build unix

package hook

import (
	"fmt"
	"os"
	"syscall"
)

// trusted tells why a file could be of somebody who may not do what this process may, or nil.
func trusted(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return fmt.Errorf("hook: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	owned := ok && (st.Uid == 0 || int(st.Uid) == os.Geteuid())
	if !owned || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%w %s", ErrOwner, file)
	}
	return nil
}
