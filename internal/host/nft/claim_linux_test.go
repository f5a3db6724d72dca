// SPDX-License-Identifier: Apache-2.0

package nft_test

import (
	"errors"
	"syscall"
	"testing"

	"staex/internal/host/nft"
)

func TestATablesNameBelongsToOneProgramUntilItEnds(t *testing.T) {
	first, err := nft.NewClaim("claimed_by_a_test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nft.NewClaim("claimed_by_a_test"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a second claim: %v", err)
	}
	other, err := nft.NewClaim("claimed_by_another")
	if err != nil {
		t.Errorf("another name: %v", err)
	} else if err := other.Close(); err != nil {
		t.Error(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := nft.NewClaim("claimed_by_a_test")
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
