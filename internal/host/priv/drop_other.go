// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package priv

// Give returns [ErrUnsupported].
func Give(string, Account) error { return ErrUnsupported }

// GiveFiles returns [ErrUnsupported].
func GiveFiles(string, Account, func(string) bool) error { return ErrUnsupported }

// MayBecome returns [ErrUnsupported].
func MayBecome(Account) error { return ErrUnsupported }

// Become returns [ErrUnsupported].
func Become(Account, ...Capability) error { return ErrUnsupported }

// Owner says root: here nothing is given to anybody else.
func Owner(string) (Account, error) { return Account{}, nil }
