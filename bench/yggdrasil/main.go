// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command yggdrasil runs the library of Yggdrasil where its own command cannot be built: the same
// core, device and links, without the admin socket and the search for neighbours by multicast. It
// adds nothing to them.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/gologme/log"
	"github.com/yggdrasil-network/yggdrasil-go/src/config"
	"github.com/yggdrasil-network/yggdrasil-go/src/core"
	"github.com/yggdrasil-network/yggdrasil-go/src/ipv6rwc"
	"github.com/yggdrasil-network/yggdrasil-go/src/tun"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "yggdrasil:", err)
		os.Exit(1)
	}
}

// run starts a node: yggdrasil DEVICE LISTEN|- PEER...
func run(args []string) error {
	if len(args) < 2 {
		return errors.New("usage: yggdrasil DEVICE LISTEN|- PEER...")
	}
	c := config.GenerateConfig()
	logger := log.New(os.Stderr, "", log.Flags())
	logger.EnableLevel("error")
	var options []core.SetupOption
	if args[1] != "-" {
		options = append(options, core.ListenAddress(args[1]))
	}
	for _, peer := range args[2:] {
		options = append(options, core.Peer{URI: peer})
	}
	node, err := core.New(c.Certificate, logger, options...)
	if err != nil {
		return err
	}
	_, err = tun.New(ipv6rwc.NewReadWriteCloser(node), logger,
		tun.InterfaceName(args[0]), tun.InterfaceMTU(c.IfMTU))
	if err != nil {
		return err
	}
	fmt.Println("ADDR", node.Address())
	select {}
}
