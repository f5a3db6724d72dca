// SPDX-License-Identifier: Apache-2.0

//go:build linux

package daemon_test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"staex/internal/api"
)

// knows lists the ids that a daemon names under "nodes".
func knows(t *testing.T, r *running, id string) bool {
	t.Helper()
	var nodes api.NodesReply
	r.ask(t, api.OpNodes, api.NodesArgs{}, &nodes)
	for _, n := range nodes.Nodes {
		if n.ID.String() == id {
			return true
		}
	}
	return false
}

func TestARootRemembersItsChildrenOverAPlannedRestart(t *testing.T) {
	needDevices(t)
	n := newNetwork(t)
	root := newSite(t, n, alone(1)...)
	child := newSite(t, n, append(alone(2), "parents = 127.0.0.1:9401")...)
	r, c := root.start(t), child.start(t)
	until(t, "the root knows its child", func() bool { return knows(t, r, child.id.String()) })
	c.end(t) // stopped first, and gone for good: its rows are withdrawn
	until(t, "the root misses its child", func() bool { return !knows(t, r, child.id.String()) })
	c = child.start(t)
	until(t, "the root knows its child", func() bool { return knows(t, r, child.id.String()) })
	r.end(t)
	file := root.path("data/records/remembered")
	if _, err := os.Stat(file); err != nil {
		t.Errorf("nothing is kept: %v", err)
	}
	c.end(t) // so that nobody can tell the root
	r = root.start(t)
	if !knows(t, r, child.id.String()) {
		t.Error("the root has forgotten its child")
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the list would be used twice: %v", err)
	}
	r.end(t)
	if err := os.WriteFile(file, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	r = root.start(t)
	if !strings.Contains(root.log.String(), "list is damaged") || knows(t, r, child.id.String()) {
		t.Error("a damaged list is not named, or used")
	}
	r.end(t)
	if _, err := os.Stat(child.path("data/records/remembered")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a node with a parent keeps a list: %v", err)
	}
}
