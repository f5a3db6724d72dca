// SPDX-License-Identifier: Apache-2.0

package api

import "time"

// The operations about forwarding rules: name, arguments, result.
const (
	OpApplyRules  = "apply-rules"  // ApplyRulesArgs, ApplyRulesReply
	OpSettleRules = "settle-rules" // SettleRulesArgs, SettleRulesReply
)

// ApplyRulesArgs puts rules in force on trial.
type ApplyRulesArgs struct {
	Text string `json:"text"` // of a forwarding rules file
}

// ApplyRulesReply is a trial that has begun. Without a word it ends as if it had not been.
type ApplyRulesReply struct {
	Trial   uint64        `json:"trial"`
	Rules   int           `json:"rules"` // in force now
	Timeout time.Duration `json:"timeout"`
}

// SettleRulesArgs ends a trial.
type SettleRulesArgs struct {
	Trial uint64 `json:"trial"`
	Keep  bool   `json:"keep,omitempty"` // write the rules to the file, else take them back
}

// SettleRulesReply is what is in force then.
type SettleRulesReply struct {
	Rules int `json:"rules"`
	// File is where the rules that are kept still have to be written, because the daemon may not.
	File string `json:"file,omitempty"`
}
