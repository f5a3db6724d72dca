// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package daemon

import "context"

// dirWatch would tell when a directory changes. Here it does not; mcc create-tunnel and a signal
// do.
type dirWatch struct{}

func newDirWatch(...string) (*dirWatch, error) { return &dirWatch{}, nil }

func (*dirWatch) add() {}

func (*dirWatch) close() {}

func (*daemon) watchTunnels(context.Context) error { return nil }
