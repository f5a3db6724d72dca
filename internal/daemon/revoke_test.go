// SPDX-License-Identifier: Apache-2.0

//go:build linux

package daemon_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"staex/internal/api"
	"staex/internal/ident"
	"staex/internal/overlay/revoke"
)

// revoke does what mcc revoke does: asks for the newest list and has the daemon take the next one.
func (r *running) revoke(t *testing.T, n *network, keys ...ident.NodeID) (done api.RevokeReply) {
	t.Helper()
	var known api.RevocationsReply
	r.ask(t, api.OpRevocations, nil, &known)
	prints, err := revoke.ParsePrints(known.Prints)
	if err != nil || known.Network != n.cert.Key {
		t.Fatalf("revocations: %+v, %v", known, err)
	}
	list, err := revoke.Next(revoke.Known{Number: known.Number, Prints: prints}, keys,
		revoke.Signer{Secret: n.secret, Network: n.cert.Key}, known.Moment)
	if err != nil {
		t.Fatal(err)
	}
	r.ask(t, api.OpRevoke, api.RevokeArgs{List: list.Append(nil)}, &done)
	return done
}

func TestAKeyIsRevokedFromTheSocketForEverAndEverywhere(t *testing.T) {
	needDevices(t)
	port := pages(t, "the page")
	server, client := pair(t)
	first := server.offer(t, "camera1", "tcp:"+port, client.id)
	server.offer(t, "camera2", "tcp:"+port, client.id)
	c, s := client.start(t), server.start(t)
	opens := func(name string) bool {
		_, err := fetch("127.0.0.1:8401", name+".home.arpa", port)
		return err == nil
	}
	until(t, "both pages open", func() bool { return opens("camera1") && opens("camera2") })

	if got := s.revoke(t, server.net, first); got.Number != 1 || got.Count != 1 {
		t.Errorf("after the first: %+v", got)
	}
	until(t, "both know of the tunnel's end", func() bool {
		const want = "camera1 revoked, camera2 active"
		return s.states(t) == want && c.states(t) == want
	})
	if opens("camera1") || !opens("camera2") {
		t.Error("a revoked tunnel carries traffic, or another one does not")
	}
	s.end(t)
	s = server.start(t)
	until(t, "the restart has not forgotten it", func() bool {
		return strings.Contains(s.states(t), "camera1 revoked") && opens("camera2")
	})

	if got := c.revoke(t, server.net, server.id); got.Number != 2 || got.Count != 2 {
		t.Errorf("after the second: %+v", got)
	}
	until(t, "the node says what is wrong with it", func() bool {
		var h api.HealthReply
		s.ask(t, api.OpHealth, nil, &h)
		return slices.ContainsFunc(h.Problems, func(p string) bool {
			return strings.Contains(p, "own key was revoked")
		})
	})
	if opens("camera2") {
		t.Error("a revoked node's tunnel carries traffic")
	}
	c.end(t)
	s.end(t)
}

func TestWhatMayNotBeRevokedIsRefusedWithASentence(t *testing.T) {
	needDevices(t)
	server, client := pair(t)
	c := client.start(t)
	other := newNetwork(t)
	foreign, err := revoke.Next(revoke.Known{}, []ident.NodeID{server.id},
		revoke.Signer{Secret: other.secret, Network: other.cert.Key}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		args api.RevokeArgs
		code api.Code
		text string
	}{
		"no role": {
			api.RevokeArgs{Keys: []ident.NodeID{server.id}}, api.CodeRefused, "role",
		},
		"another network": {api.RevokeArgs{List: foreign.Append(nil)}, api.CodeNotFound, "network"},
		"no list":         {api.RevokeArgs{List: []byte{1}}, api.CodeBadRequest, "cut"},
		"nothing":         {api.RevokeArgs{}, api.CodeBadRequest, "nothing"},
	} {
		err := c.call(t, api.OpRevoke, x.args, nil)
		e, ok := errors.AsType[*api.Error](err)
		if !ok || e.Code != x.code || !strings.Contains(e.Message, x.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	err = c.call(t, api.OpRevocations, api.RevocationsArgs{Network: other.cert.Key}, nil)
	if e, ok := errors.AsType[*api.Error](err); !ok || e.Code != api.CodeNotFound {
		t.Errorf("another network's list: %v", err)
	}
	c.end(t)
}
