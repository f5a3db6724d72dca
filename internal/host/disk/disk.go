// SPDX-License-Identifier: Apache-2.0

// Package disk keeps small files so that a crash leaves either the old or the new content; it
// never interprets what is in them.
package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	// MaxFile is the largest file in bytes this room reads or writes: far above anything a node
	// keeps, far below what hurts a small device.
	MaxFile = 16 << 20

	// MaxSecret bounds a key file in bytes; real ones have less than a kilobyte.
	MaxSecret = 64 << 10

	// tempPrefix starts the names of files that are being written. No valid name starts with it.
	tempPrefix = ".tmp-"
)

var (
	// ErrLocked is returned by Open when another process uses the directory.
	ErrLocked = errors.New("disk: directory is in use by another process")

	// ErrExposed is returned for a secret that others may read.
	ErrExposed = errors.New("disk: secret file is readable by others")

	// ErrName is returned for a name that is not a plain file name of the allowed characters.
	ErrName = errors.New("disk: bad file name")

	// ErrTooBig is returned for a file above its limit.
	ErrTooBig = errors.New("disk: file too big")
)

// WriteFile replaces the file at path with data: after a crash at any moment it holds the old or
// the new content, never a mixture. The new file has exactly the permissions perm.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	if len(data) > MaxFile {
		return fmt.Errorf("disk: write %s, %d bytes: %w", path, len(data), ErrTooBig)
	}
	dir := filepath.Dir(path)
	temp, err := os.CreateTemp(dir, tempPrefix+"*")
	if err != nil {
		return fmt.Errorf("disk: write %s: %w", path, err)
	}
	if err := fill(temp, data, perm); err != nil {
		return errors.Join(fmt.Errorf("disk: write %s: %w", path, err), os.Remove(temp.Name()))
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return errors.Join(fmt.Errorf("disk: write %s: %w", path, err), os.Remove(temp.Name()))
	}
	// Without this the new name may be lost in a crash although the content is safe.
	if err := syncDir(dir); err != nil {
		return fmt.Errorf("disk: write %s: %w", path, err)
	}
	return nil
}

// fill writes, syncs and closes the temporary file.
func fill(temp *os.File, data []byte, perm fs.FileMode) error {
	err := chmod(temp, perm)
	if err == nil {
		_, err = temp.Write(data)
	}
	if err == nil {
		err = temp.Sync()
	}
	return errors.Join(err, temp.Close())
}

// ReadSecretFile reads a private key or similar. It refuses a file that group or others may read,
// or that belongs to neither root, nor this process's user, nor one of the owners, with an error
// that satisfies errors.Is(err, ErrExposed) and says what to type. The check is made on the opened
// file.
func ReadSecretFile(path string, owners ...int) ([]byte, error) {
	return read(path, MaxSecret, func(path string, stat fs.FileInfo) error {
		return checkSecret(path, stat, owners)
	})
}

// ReadFile reads a file of at most MaxFile bytes.
func ReadFile(path string) ([]byte, error) {
	return read(path, MaxFile, func(string, fs.FileInfo) error { return nil })
}

func read(path string, limit int64, check func(string, fs.FileInfo) error) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	if !stat.Mode().IsRegular() {
		return nil, fmt.Errorf("disk: read %s: not a regular file: %w", path, fs.ErrInvalid)
	}
	if err := check(path, stat); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("disk: read %s: %w", path, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("disk: read %s, over %d bytes: %w", path, limit, ErrTooBig)
	}
	return data, nil
}
