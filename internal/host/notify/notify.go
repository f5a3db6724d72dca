// SPDX-License-Identifier: Apache-2.0

// Package notify tells the service manager how the daemon is (sd_notify(3)); it listens to
// nothing. Without a service manager that asked to be told, every call does nothing.
package notify

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// MaxState bounds a message in bytes; service managers read no more than a page.
const MaxState = 4096

// Ready says that start-up is complete.
func Ready() error { return send("READY=1") }

// Status changes the text shown to whoever asks the service manager how the daemon is.
func Status(status string) error { return send("STATUS=" + line(status)) }

// Stopping says that the daemon is about to end.
func Stopping() error { return send("STOPPING=1") }

// Watchdog says that the daemon still works.
func Watchdog() error { return send("WATCHDOG=1") }

// WatchdogInterval returns how often to call Watchdog: half of what the service manager tolerates;
// false when it does not watch this process.
func WatchdogInterval() (time.Duration, bool) {
	micros, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || micros <= 1 || micros > int64(time.Duration(1<<63-1)/time.Microsecond) {
		return 0, false
	}
	if pid := os.Getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0, false
	}
	return time.Duration(micros) * time.Microsecond / 2, true
}

// line keeps a text from becoming a second assignment.
func line(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, s)
	return s[:min(len(s), MaxState/2)]
}

func send(state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	// A name that begins with "@" is an address outside the file system.
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify: reach service manager: %w", err)
	}
	_, err = conn.Write([]byte(state))
	if err = errors.Join(err, conn.Close()); err != nil {
		return fmt.Errorf("notify: tell service manager: %w", err)
	}
	return nil
}
