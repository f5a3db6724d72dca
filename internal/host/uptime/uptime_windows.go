// SPDX-License-Identifier: Apache-2.0

package uptime

import (
	"time"

	"golang.org/x/sys/windows"
)

// boottime counts milliseconds since the start, time asleep included.
func boottime() time.Duration { return windows.DurationSinceBoot() }

// synchronised is unknown here, which is not yes.
func synchronised() bool { return false }
