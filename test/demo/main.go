// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command demo plays the story of the camera for a person: a gateway behind one router has a
// camera on its LAN that knows nothing of us, a technician behind another router opens the camera's
// page by name, and a public relay carries the packets and can read none of them. It never talks to
// anything outside the namespaces that it makes itself.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"staex/test/world"
)

func main() {
	keep := flag.Bool("keep", false, "leave the world standing and print what to try")
	flag.Parse()
	if err := world.Enter(); err != nil {
		fmt.Fprintln(os.Stderr, "demo: this user may not make network namespaces;",
			"as root it works:\n    sudo make demo\n", err)
		os.Exit(1)
	}
	if err := world.TUN(); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
	s := &story{began: time.Now()}
	code := s.play(*keep)
	s.cleanUp()
	os.Exit(code)
}

// errFailed ends the story; what went wrong is told already.
var errFailed = errors.New("the demo failed")

// story is one performance, and the world's T.
type story struct {
	began    time.Time
	cleanups []func()
	daemons  []*world.Process
}

func (s *story) Helper() {}

func (s *story) Logf(format string, args ...any) { fmt.Printf("      "+format+"\n", args...) }

func (s *story) Fatalf(format string, args ...any) {
	fmt.Printf("\nFAILED: "+format+"\n", args...)
	for _, d := range s.daemons {
		fmt.Printf("\n%s said last:\n%s", d.Name, d.Tail())
	}
	panic(errFailed)
}

func (s *story) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

func (s *story) cleanUp() {
	for _, f := range slices.Backward(s.cleanups) {
		f()
	}
}

func (s *story) chapter(title string) {
	fmt.Printf("\n%5.1f s  %s\n", time.Since(s.began).Seconds(), title)
}

func (s *story) say(format string, args ...any) { fmt.Printf("         "+format+"\n", args...) }

// play tells the story and returns the exit code.
func (s *story) play(keep bool) (code int) {
	defer func() {
		if r := recover(); r != nil {
			err, ok := r.(error)
			if !ok || !errors.Is(err, errFailed) {
				panic(r)
			}
			code = 1
		}
	}()
	c := newCast(s)
	c.join()
	c.makeTunnels()
	c.openPage()
	c.openPictures()
	c.nothingElse()
	c.switchLive()
	c.loseParent()
	s.chapter("Done. Nobody opened a port, nobody in between could read, and nobody else got in.")
	if keep {
		s.stand(c)
	}
	return 0
}

// stand leaves the world alone until the person has seen enough.
func (s *story) stand(c *cast) {
	c.w.WriteAt("dist/at")
	fmt.Print(strings.ReplaceAll(`
The world stands. At another terminal, in this folder, try:
    dist/at technician curl http://camera1/
    dist/at technician ping -c 3 camera2
    dist/at technician mcc tunnels
    dist/at technician mcc ping GATEWAY
    dist/at gateway    mcc nodes
    dist/at gateway    mcc disable-tunnel camera1
    dist/at public     mcc nodes
    dist/at stranger   curl --max-time 3 http://192.168.1.10/
Hosts: public standby technician stranger gateway camera gateway2 camera2, and the routers
homenat homenat2 officenat.
Ctrl-C takes it down.
`, "GATEWAY", c.gatewayID))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	<-ctx.Done()
}
