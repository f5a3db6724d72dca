// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package nft

// NAT is the table of one daemon. None can be opened on this system yet.
type NAT struct{}

// Open returns [ErrUnsupported], or [ErrRule] for a bad name.
func Open(table string, _ ...Guard) (*NAT, error) {
	if !validTable(table) {
		return nil, ErrRule
	}
	return nil, ErrUnsupported
}

// Set returns [ErrUnsupported].
func (*NAT) Set([]External) error { return ErrUnsupported }

// Protect returns [ErrUnsupported].
func (*NAT) Protect([]Guard) error { return ErrUnsupported }

// Confine returns [ErrUnsupported].
func (*NAT) Confine([]Confined) error { return ErrUnsupported }

// Close does nothing.
func (*NAT) Close() error { return nil }

// Mend returns [ErrUnsupported].
func (*NAT) Mend() (bool, error) { return false, ErrUnsupported }

// Watch would hear when a table is removed.
type Watch struct{}

// NewWatch returns [ErrUnsupported].
func NewWatch() (*Watch, error) { return nil, ErrUnsupported }

// Wait returns [ErrUnsupported].
func (*Watch) Wait() error { return ErrUnsupported }

// Close does nothing.
func (*Watch) Close() error { return nil }

// Rivals returns [ErrUnsupported].
func Rivals(string) ([]string, error) { return nil, ErrUnsupported }

// Guards returns [ErrUnsupported].
func Guards(string) ([]string, error) { return nil, ErrUnsupported }

// Claim would keep a table's name.
type Claim struct{}

// NewClaim returns [ErrUnsupported].
func NewClaim(string) (*Claim, error) { return nil, ErrUnsupported }

// Close does nothing.
func (*Claim) Close() error { return nil }
