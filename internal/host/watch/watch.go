// SPDX-License-Identifier: Apache-2.0

// Package watch hears when files in directories change, so that nobody has to look again and
// again; it reads none of them.
package watch

import "time"

const (
	// Settle is how long directories must be quiet before a change is told: files come in groups.
	Settle = 300 * time.Millisecond

	// SettleMost is how long changes that never stop can put that off.
	SettleMost = 3 * time.Second
)
