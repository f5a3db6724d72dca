// SPDX-License-Identifier: Apache-2.0

// Command mcc is the command line of a node: it asks the daemon over its socket, and it
// makes keys, certificates and configuration files. It never talks to another machine.
package main

import "os"

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
