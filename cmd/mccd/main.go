// SPDX-License-Identifier: Apache-2.0

// Command mccd is the daemon of a node: it joins the network, carries tunnels and answers mcc.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"staex/internal/api"
	"staex/internal/conf"
	"staex/internal/daemon"
)

const usage = `Usage: mccd [DIR]           run the node whose configuration is in DIR
                            (` + conf.DefaultDir + `)
       mccd --check [DIR]   read everything in DIR, tell what is wrong, and end
       mccd -C              print a configuration file with every key at its default
       mccd --version       print the version

Signals: TERM and INT stop the daemon, HUP makes it read its files again.
Exit codes: 2 usage, 10 configuration, 11 key or certificate, 12 address in use, not
there or overlap, 13 no permission, 14 data directory.
`

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run carries out one command line and returns the exit code.
func run(args []string, out, errs io.Writer) int {
	command, dir, err := parse(args)
	if err != nil {
		fmt.Fprintf(errs, "mccd: %v\n%s", err, usage)
		return daemon.ExitUsage
	}
	var text string
	switch command {
	case "--help":
		text = usage
	case "--version":
		text = "mccd " + api.Version + "\n"
	case "-C":
		text = conf.Reference()
	case "--check":
		return report(errs, daemon.Check(dir))
	default:
		return report(errs, serve(dir, errs))
	}
	_, err = io.WriteString(out, text)
	return report(errs, err)
}

// parse reads the command line.
func parse(args []string) (command, dir string, err error) {
	dir = conf.DefaultDir
	for i, arg := range args {
		switch {
		case arg == "-h" || arg == "--help":
			return "--help", dir, nil
		case arg == "-V" || arg == "--version":
			return "--version", dir, nil
		case arg == "-C" || arg == "--check":
			if command != "" {
				return "", "", fmt.Errorf("%s and %s exclude each other", command, arg)
			}
			command = arg
		case strings.HasPrefix(arg, "-"):
			return "", "", fmt.Errorf("unknown option %s", arg)
		case i != len(args)-1 || arg == "":
			return "", "", errors.New("one directory is enough, and it comes last")
		default:
			dir = arg
		}
	}
	return command, dir, nil
}

// serve runs the daemon until a signal ends it.
func serve(dir string, log io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	return daemon.Run(ctx, daemon.Options{Dir: dir, Log: log, Reload: hangups})
}

// report tells a person what failed and returns the exit code.
func report(errs io.Writer, err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(errs, "mccd: %s\n", strings.ReplaceAll(err.Error(), "\n", "\n      "))
	f, ok := errors.AsType[*daemon.Failure](err)
	if !ok {
		return daemon.ExitFailed
	}
	if f.Hint != "" {
		fmt.Fprintf(errs, "      %s\n", f.Hint)
	}
	return f.Exit
}
