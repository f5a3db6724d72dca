// SPDX-License-Identifier: Apache-2.0

package conf

import "strings"

// A Key describes one key of a file, for documents, completion and tests.
type Key struct {
	Name       string
	Default    string // as a person would write it; empty when there is none
	Doc        string // sentences; lines are broken where the reference file breaks them
	Built      bool   // false: only the default is accepted
	Deprecated string // what to use instead; empty when the key is current
}

// Keys lists the keys of the main file in the order of the reference file.
func Keys() []Key { return describe(mainKeys, unbuilt) }

// TunnelKeys lists the keys of a tunnel's file.
func TunnelKeys() []Key { return describe(tunnelKeys, nil) }

func describe[T any](keys []key[T], without []missing) []Key {
	all := make([]Key, len(keys))
	for i := range keys {
		k := &keys[i]
		all[i] = Key{k.name, k.def, k.doc, true, k.deprecated}
		for _, m := range without {
			if m.key == k.name {
				all[i].Built = false
			}
		}
	}
	return all
}

// Reference returns a complete main file: every key with its explanation, at its default.
// Parse accepts it and gets Default.
func Reference() string {
	var b strings.Builder
	b.WriteString("# Every key of " + FileName + " at its default.\n" +
		"# Relative paths start at the directory of this file. Lists are separated by commas.\n" +
		"# Durations are written 30s, 2m or 1h.\n")
	for i := range mainKeys {
		k := &mainKeys[i]
		b.WriteString("\n# " + strings.ReplaceAll(k.doc, "\n", "\n# ") + "\n")
		for _, m := range unbuilt {
			if m.key == k.name {
				b.WriteString("# Not in this version: only the default is accepted.\n")
			}
		}
		b.WriteString(line(k.name, k.def) + "\n")
	}
	return b.String()
}

// line is how a key and its value stand in a file.
func line(name, text string) string {
	if text == "" {
		return name + " ="
	}
	return name + " = " + text
}
