// SPDX-License-Identifier: Apache-2.0

// Command staex-sim plays a scenario of the simulator by its name and seed, and tells its story.
package main

import (
	"flag"
	"fmt"
	"os"

	"staex/internal/sim"
)

func main() {
	list := flag.Bool("list", false, "list the scenarios")
	seed := flag.Uint64("seed", 1, "the dice of the run; equal seeds give equal runs")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: staex-sim [-list] [-seed N] NAME")
		flag.PrintDefaults()
	}
	flag.Parse()
	switch {
	case *list:
		for _, s := range sim.Scenarios() {
			fmt.Printf("%-20s %s\n", s.Name, s.Story)
		}
	case flag.NArg() != 1:
		flag.Usage()
		os.Exit(2)
	default:
		os.Exit(play(flag.Arg(0), *seed))
	}
}

// play tells one story and returns the exit status.
func play(name string, seed uint64) int {
	s, ok := sim.Find(name)
	if !ok {
		fmt.Fprintf(os.Stderr, "staex-sim: no scenario %q; -list names them\n", name)
		return 2
	}
	fmt.Printf("%s, seed %d: %s\n\n", s.Name, seed, s.Story)
	w, result := s.Play(seed, os.Stdout)
	if !s.Tell(os.Stdout, w, result) {
		return 1
	}
	return 0
}
