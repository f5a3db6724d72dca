// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// takes says how many arguments a command has.
func takes(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, words []string) error {
		usage := strings.TrimSpace(c.Root().Name() + " " + c.Use)
		switch {
		case len(words) < least:
			return fmt.Errorf("an argument is missing: %s", usage)
		case len(words) > most:
			return fmt.Errorf("%q is one argument too many: %s", words[most], usage)
		}
		return nil
	}
}

// unknown is the error of a word that is no command, with the command that it is nearest to.
func unknown(root *cobra.Command, word string) error {
	root.SuggestionsMinimumDistance = 3
	if near := root.SuggestionsFor(word); len(near) > 0 {
		return fmt.Errorf("unknown command %q, did you mean %q?", word, near[0])
	}
	return fmt.Errorf("unknown command %q", word)
}
