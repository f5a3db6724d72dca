// SPDX-License-Identifier: Apache-2.0

//go:build linux

package world

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// ownMounts keeps what is mounted from now on inside this process's mount namespace.
func ownMounts() error {
	err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	if !errors.Is(err, unix.EINVAL) {
		return err
	}
	return mountRoot()
}

// mountRoot is for a process in a chroot, whose root is a folder of a mount and no mount itself:
// its mounts cannot be made private, and ip netns does not work there. The way out of a chroot is
// open to root; out there the mounts are made private and the folder a mount, which becomes the
// root again.
func mountRoot() error {
	root, err := os.Open("/")
	if err != nil {
		return err
	}
	defer root.Close()
	wd, err := os.Open(".")
	if err != nil {
		return err
	}
	defer wd.Close()
	if err := leaveChroot(root); err != nil {
		return fmt.Errorf("leave the chroot: %w", err)
	}
	dir, err := pathOf(root)
	if err != nil {
		return err
	}
	back, err := pathOf(wd)
	if err != nil {
		return err
	}
	return errors.Join(
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount(dir, dir, "", unix.MS_BIND|unix.MS_REC, ""),
		unix.Chdir(dir), unix.Chroot("."), unix.Chdir(strings.TrimPrefix(back, dir)),
	)
}

// leaveChroot makes the machine's root the root of this process.
func leaveChroot(root *os.File) error {
	below, err := os.MkdirTemp("", "below")
	if err != nil {
		return err
	}
	// With a root further down, nothing stops the way up.
	if err := errors.Join(unix.Chroot(below), unix.Fchdir(int(root.Fd()))); err != nil {
		return err
	}
	if err := os.Remove("." + below); err != nil {
		return err
	}
	const deepest = 256
	for range deepest {
		if err := unix.Chdir(".."); err != nil {
			return err
		}
	}
	return unix.Chroot(".")
}

// pathOf is where an open folder is, seen from the root of now. It becomes the working folder.
func pathOf(dir *os.File) (string, error) {
	if err := unix.Fchdir(int(dir.Fd())); err != nil {
		return "", err
	}
	return unix.Getwd()
}
