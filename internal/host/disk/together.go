// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	// markName is the file that stands in a directory while files in it are being replaced
	// together. It lists them, and whoever writes holds its lock.
	markName = ".unfinished"

	newSuffix = ".new" // what will be there
	oldSuffix = ".old" // what was there
)

// File is something to write.
type File struct {
	Path string
	Data []byte
	Perm fs.FileMode
	New  bool // nothing may be there yet
}

// WriteFiles writes files of one directory so that all are written or none. What was there before
// is kept until everything new stands: after an error all is as before; after a crash it is so
// after the next WriteFiles, or Recover, in that directory. When another process writes there the
// error satisfies errors.Is(err, ErrLocked); when a New file is there, errors.Is(err, fs.ErrExist).
func WriteFiles(files []File) error {
	if len(files) == 0 {
		return nil
	}
	t := &together{dir: filepath.Dir(files[0].Path), files: files}
	if err := t.begin(); err != nil {
		return fmt.Errorf("disk: write in %s: %w", t.dir, err)
	}
	defer t.end()
	for _, step := range t.steps() {
		if err := step(); err != nil {
			return errors.Join(fmt.Errorf("disk: write in %s: %w", t.dir, err), t.undo())
		}
	}
	return nil
}

// Recover puts back what WriteFiles had replaced in a directory when it was interrupted. It does
// nothing where nothing was.
func Recover(dir string) error {
	if !Unfinished(dir) {
		return nil
	}
	t := &together{dir: dir}
	if err := t.begin(); err != nil {
		return fmt.Errorf("disk: recover %s: %w", dir, err)
	}
	t.end()
	return nil
}

// Unfinished tells whether a WriteFiles in the directory was interrupted, or is at work.
func Unfinished(dir string) bool {
	info, err := os.Lstat(filepath.Join(dir, markName))
	return err == nil && info.Size() > 0
}

// The mark has one line for each file: a word and the name.
const (
	wasThere = "old " // X.old is put back
	isNew    = "new " // X is removed
)

// together is one WriteFiles.
//
//	begin  take the lock, undo what an earlier one left  mark: empty
//	1      write all X.new
//	2      keep every X as X.old
//	3      list the names in the mark                    mark: names  <- ends here: undone
//	4      move every X.new to X
//	5      empty the mark                                mark: empty  <- ends here: done
//	6      remove every X.old
//	end    remove the mark
type together struct {
	dir   string
	files []File
	lines []string // of the mark, without line ends
	mark  *os.File
}

// begin takes the lock and recovers.
func (t *together) begin() (err error) {
	path := filepath.Join(t.dir, markName)
	if t.mark, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	err = lockFile(t.mark)
	if err == nil && !t.isOurs(path) {
		err = ErrLocked // who had the lock has just removed it: let a person try again
	}
	if err == nil {
		err = t.recover()
	}
	if err != nil {
		return errors.Join(err, t.mark.Close())
	}
	return nil
}

// isOurs tells whether the locked file is still the one under the name.
func (t *together) isOurs(path string) bool {
	a, err := t.mark.Stat()
	b, err2 := os.Lstat(path)
	return err == nil && err2 == nil && os.SameFile(a, b)
}

// end removes the mark, unless undoing failed and somebody has to try again.
func (t *together) end() {
	if info, err := t.mark.Stat(); err == nil && info.Size() == 0 {
		_ = os.Remove(t.mark.Name()) // an empty mark means nothing
	}
	_ = t.mark.Close()
}

// recover undoes what the mark lists.
func (t *together) recover() error {
	text, err := ReadFile(t.mark.Name())
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		line, whole := strings.CutSuffix(line, "\n")
		if !whole {
			break // torn: the crash came before anything was moved
		}
		t.lines = append(t.lines, line)
	}
	err = t.putBack()
	t.lines = nil
	return err
}

// steps are what remains to be done after begin, in order.
func (t *together) steps() []func() error {
	var list []func() error
	each := func(f func(File) error) {
		for _, x := range t.files {
			list = append(list, func() error { return f(x) })
		}
	}
	each(t.writeNew)
	each(t.keepOld)
	list = append(list, t.sync, t.list, t.sync)
	each(func(f File) error { return os.Rename(f.Path+newSuffix, f.Path) })
	list = append(list, t.sync, t.clear)
	each(func(f File) error { return removeIfThere(f.Path + oldSuffix) })
	return append(list, t.sync)
}

func (t *together) writeNew(f File) error {
	if len(f.Data) > MaxFile {
		return fmt.Errorf("%s, %d bytes: %w", f.Path, len(f.Data), ErrTooBig)
	}
	if filepath.Dir(f.Path) != t.dir {
		return fmt.Errorf("%s: %w: another directory", f.Path, fs.ErrInvalid)
	}
	if err := removeIfThere(f.Path + newSuffix); err != nil {
		return err
	}
	file, err := os.OpenFile(f.Path+newSuffix, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return fill(file, f.Data, f.Perm)
}

// keepOld keeps what is there, under the same permissions.
func (t *together) keepOld(f File) error {
	info, err := os.Lstat(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		t.lines = append(t.lines, isNew+filepath.Base(f.Path))
		return removeIfThere(f.Path + oldSuffix)
	}
	if err != nil {
		return err
	}
	if f.New {
		return fmt.Errorf("%s: %w", f.Path, fs.ErrExist)
	}
	t.lines = append(t.lines, wasThere+filepath.Base(f.Path))
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: not a regular file: %w", f.Path, fs.ErrInvalid)
	}
	data, err := ReadFile(f.Path)
	if err != nil {
		return err
	}
	return WriteFile(f.Path+oldSuffix, data, info.Mode().Perm())
}

// list writes to the mark what is to be undone from now on.
func (t *together) list() error {
	text := strings.Join(t.lines, "\n") + "\n"
	if _, err := t.mark.WriteAt([]byte(text), 0); err != nil {
		return err
	}
	return t.mark.Sync()
}

func (t *together) clear() error { return errors.Join(t.mark.Truncate(0), t.mark.Sync()) }

func (t *together) sync() error { return syncDir(t.dir) }

// undo makes all as it was before an error.
func (t *together) undo() error {
	info, err := t.mark.Stat()
	if err != nil {
		return err
	}
	if info.Size() > 0 {
		return t.putBack()
	}
	var errs []error
	for _, f := range t.files {
		errs = append(errs, removeIfThere(f.Path+newSuffix), removeIfThere(f.Path+oldSuffix))
	}
	return errors.Join(errs...)
}

// putBack does what the lines say, the last first. It may be interrupted and begun again.
func (t *together) putBack() error {
	for _, line := range slices.Backward(t.lines) {
		name, replaced := strings.CutPrefix(line, wasThere)
		if !replaced {
			name, _ = strings.CutPrefix(line, isNew)
		}
		if name != filepath.Base(name) {
			return fmt.Errorf("%s: bad line %q: %w", markName, line, fs.ErrInvalid)
		}
		path := filepath.Join(t.dir, name)
		err := removeIfThere(path + newSuffix)
		if replaced {
			if back := os.Rename(path+oldSuffix, path); !errors.Is(back, fs.ErrNotExist) {
				err = errors.Join(err, back)
			}
		} else {
			err = errors.Join(err, removeIfThere(path))
		}
		if err != nil {
			return err
		}
	}
	if len(t.lines) == 0 {
		return nil
	}
	return errors.Join(t.sync(), t.clear())
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
