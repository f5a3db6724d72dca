// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
)

// MaxList bounds a file with a list in bytes: some hundred thousand records.
const MaxList = 64 << 20

// ErrDamaged is returned by TakeList for a file that is not as WriteList left it.
var ErrDamaged = errors.New("disk: the list is damaged")

// WriteList replaces the file at path, and makes its directory, with entries of at most MaxLogEntry
// bytes each; longer ones are left out, as is everything from MaxList bytes on. Without any entry
// there is no file afterwards. It returns how many were written.
//
//	{ length of the entry (2, big endian) | entry } ... | SHA-256 of all before (32)
func WriteList(path string, entries iter.Seq[[]byte]) (count int, err error) {
	var data []byte
	for e := range entries {
		if len(data)+entryHead+len(e)+sha256.Size > MaxList {
			break
		}
		if len(e) > MaxLogEntry {
			continue
		}
		data = binary.BigEndian.AppendUint16(data, uint16(len(e)))
		data = append(data, e...)
		count++
	}
	if count == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, fmt.Errorf("disk: remove a list: %w", err)
		}
		return 0, nil
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, fmt.Errorf("disk: write a list: %w", err)
	}
	sum := sha256.Sum256(data)
	if err := replace(path, append(data, sum[:]...)); err != nil {
		return 0, fmt.Errorf("disk: write a list: %w", err)
	}
	return count, nil
}

// replace writes a file beside the old one and takes its place. A crash may lose it; its sum then
// tells.
func replace(path string, data []byte) error {
	temp := path + ".new"
	err := os.WriteFile(temp, data, 0o600)
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(temp))
	}
	return nil
}

// TakeList reads what WriteList wrote and removes the file, so that it is used once. It returns
// nothing when there is none, and ErrDamaged for one that is not whole, which is removed, too.
func TakeList(path string) (entries [][]byte, err error) {
	data, err := read(path, MaxList, func(string, fs.FileInfo) error { return nil })
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if gone := os.Remove(path); err != nil || gone != nil {
		return nil, errors.Join(err, gone)
	}
	end := len(data) - sha256.Size
	if end < 0 || sha256.Sum256(data[:end]) != [sha256.Size]byte(data[end:]) {
		return nil, fmt.Errorf("disk: read %s: %w", path, ErrDamaged)
	}
	for data = data[:end]; len(data) > 0; {
		if len(data) < entryHead {
			return nil, fmt.Errorf("disk: read %s: %w", path, ErrDamaged)
		}
		n := entryHead + int(binary.BigEndian.Uint16(data))
		if n > len(data) {
			return nil, fmt.Errorf("disk: read %s: %w", path, ErrDamaged)
		}
		entries = append(entries, data[entryHead:n:n])
		data = data[n:]
	}
	return entries, nil
}
