// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"bufio"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// GiveBack returns free heap to the system, and the pages of the program's own file that were
// read in: code that only the start needed does not come back, the rest is mapped again at its
// next use without reading the disk. Only mappings that cannot be written are given back, so
// nothing can be lost. An error says that they stay, which harms nothing.
//
// The address of a mapping of our own is all that madvise(2) wants, and only the kernel's list of
// mappings knows it: that is what unsafe is for here. The bytes are never read or written.
func GiveBack() error {
	debug.FreeOSMemory()
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("memory: %w", err)
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return fmt.Errorf("memory: %w", err)
	}
	defer maps.Close()
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		from, size, ok := clean(lines.Text(), program)
		if !ok {
			continue
		}
		b := unsafe.Slice((*byte)(pointer(from)), size)
		if err := unix.Madvise(b, unix.MADV_DONTNEED); err != nil {
			return fmt.Errorf("memory: give back pages: %w", err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("memory: %w", err)
	}
	return nil
}

// Machine is the memory of the machine in bytes, 0 when it is not known.
func Machine() uint64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	return uint64(info.Totalram) * uint64(info.Unit) //nolint:unconvert // 32 bits on some
}

// pointer turns an address of a mapping into what madvise takes. The mapping is not of Go's heap
// and does not move.
func pointer(address uintptr) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&address))
}

// clean reads a line of /proc/self/maps (proc(5)) and reports a mapping of the program's file that
// is private and cannot be written.
func clean(line, program string) (from, size uintptr, ok bool) {
	fields := strings.Fields(line)
	const columns = 6
	if len(fields) != columns || fields[columns-1] != program {
		return 0, 0, false
	}
	if rights := fields[1]; len(rights) != 4 || rights[1] != '-' || rights[3] != 'p' {
		return 0, 0, false
	}
	low, high, _ := strings.Cut(fields[0], "-")
	a, err := strconv.ParseUint(low, 16, 64)
	b, err2 := strconv.ParseUint(high, 16, 64)
	if err != nil || err2 != nil || b <= a {
		return 0, 0, false
	}
	return uintptr(a), uintptr(b - a), true
}
