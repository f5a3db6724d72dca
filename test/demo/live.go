// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"strings"
	"time"

	"staex/test/world"
)

const (
	// streamScript makes a camera send ten frames a second for as long as somebody watches.
	streamScript = `#!/bin/sh
printf 'Content-Type: text/plain\r\n\r\n'
n=0
while n=$((n+1)); do echo "frame $n" || exit; sleep 0.1; done
`
	// streamTime bounds the wait for a frame. TCP asks again after a second or two.
	streamTime = 15 * time.Second
	// someFrames are enough to see that a stream runs.
	someFrames = 5
)

// watch opens a camera's stream at the technician's machine.
func (c *cast) watch(camera string) *world.Process {
	return c.technician.Start("curl", "-sN", "http://"+camera+"/cgi-bin/stream")
}

// frames counts what a stream has brought.
func frames(p *world.Process) int { return strings.Count(p.Log(), "frame ") }

// goesOn waits until a stream brings more frames than it had.
func (c *cast) goesOn(p *world.Process, what string) {
	had := frames(p)
	c.w.Until(what, streamTime, func() bool { return frames(p) >= had+someFrames })
}

// switchLive takes one tunnel away and gives it back while both cameras are watched.
func (c *cast) switchLive() {
	c.s.chapter("One tunnel is switched off and on; the other does not notice.")
	first, second := c.watch("camera1"), c.watch("camera2")
	c.goesOn(first, "a stream from camera1")
	c.goesOn(second, "a stream from camera2")
	c.s.say("technician watches both:   camera1 %d frames, camera2 %d",
		frames(first), frames(second))

	c.gateway.MCC("disable-tunnel", "camera1")
	after := frames(first) // what was in flight is there already: the answer came after it
	c.goesOn(second, "camera2 goes on")
	c.goesOn(second, "camera2 goes on")
	got := frames(first) - after
	c.s.say("gateway$ mcc disable-tunnel camera1")
	c.s.say("    since then:            camera1 %d frames, camera2 %d or more", got, 2*someFrames)
	if got > 1 {
		c.s.Fatalf("camera1 sent %d frames through a tunnel that is off", got)
	}
	c.gateway.MCC("enable-tunnel", "camera1")
	c.s.say("gateway$ mcc enable-tunnel camera1")
	c.goesOn(first, "camera1 goes on")
	c.s.say("    and the same download goes on: camera1 %d frames", frames(first))
	if !first.Running() || !second.Running() {
		c.s.Fatalf("a download ended:\n%s\n%s", first.Tail(), second.Tail())
	}
	first.Kill()
	second.Kill()
}
