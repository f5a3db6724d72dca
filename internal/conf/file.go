// SPDX-License-Identifier: Apache-2.0

package conf

import (
	"fmt"
	"path/filepath"
	"sort"
	"strings"
	"unicode/utf8"
)

// Limits of a configuration file. They are far above what a person writes and keep a
// wrong file (a core dump, say) from costing memory or flooding a terminal.
const (
	MaxFileSize = 1 << 20 // bytes
	maxProblems = 100     // listed; the rest is only counted by their absence
)

// A Problem is one thing that is wrong with a file.
type Problem struct {
	File string
	Line int    // counted from 1; 0 when the file as a whole is meant
	Key  string // empty when the line has no key
	Text string // a sentence without the place
}

// String gives "file:line: text".
func (p Problem) String() string {
	if p.Line == 0 {
		return p.File + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
}

// A ProblemList is the error of a file that cannot be used: everything that is wrong
// with it, in the order of its lines.
type ProblemList struct{ Problems []Problem }

// Error gives one problem a line.
func (l *ProblemList) Error() string {
	lines := make([]string, len(l.Problems))
	for i, p := range l.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// A key is one line that a file may hold and the field of T it fills.
type key[T any] struct {
	name       string
	def        string // the default as a person would write it
	doc        string // for the reference file
	deprecated string // what to use instead; empty when the key is current
	field[T]
}

// A field converts between text and a value inside T.
type field[T any] struct {
	set   func(c *T, text string) error
	get   func(c *T) string // canonical text: equal values give equal texts
	shell bool              // the value is a command: a # in it is not a comment
	flag  bool              // true or false; the key alone means true
}

// A parser reads one file into a T and gathers what is wrong with it.
type parser[T any] struct {
	file     string
	keys     []key[T]
	unbuilt  []missing
	problems []Problem
	warnings []Problem
	lines    map[string]int // where each key was set
}

// parse fills c from data. The value defaults tells what an unbuilt key may still say.
func (p *parser[T]) parse(data []byte, c, defaults *T) {
	p.lines = make(map[string]int)
	if len(data) > MaxFileSize {
		p.problem(0, "", fmt.Sprintf("the file is larger than %d bytes", MaxFileSize))
		return
	}
	text := strings.TrimPrefix(string(data), "\ufeff") // Windows editors add a mark
	number := 0
	for line := range strings.Lines(text) {
		number++
		p.line(number, strings.TrimSpace(line), c, defaults)
		if len(p.problems) >= maxProblems {
			p.problem(number, "", "too many problems, the rest of the file was not read")
			return
		}
	}
}

// line handles one trimmed line.
func (p *parser[T]) line(number int, line string, c, defaults *T) {
	if line == "" || line[0] == '#' {
		return
	}
	if bad := strings.IndexFunc(line, isForbidden); bad >= 0 {
		p.problem(number, "", fmt.Sprintf("byte %d of the line is not text", bad+1))
		return
	}
	name, value, found := strings.Cut(line, "=")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	if !found {
		name = withoutComment(name)
	}
	k := p.find(name)
	if !found && k != nil && k.flag {
		found, value = true, "true"
	}
	if !found {
		p.problem(number, "", fmt.Sprintf("%q is not of the form key = value", clip(line)))
		return
	}
	if k == nil {
		p.problem(number, name, fmt.Sprintf("unknown key %q, did you mean %q?",
			clip(name), p.nearest(name)))
		return
	}
	if first, twice := p.lines[name]; twice {
		p.problem(number, name, fmt.Sprintf("%s is set twice, on line %d and on line %d",
			name, first, number))
		return
	}
	p.lines[name] = number
	if !k.shell {
		value = withoutComment(value)
	}
	if err := k.set(c, value); err != nil {
		p.problem(number, name, fmt.Sprintf("%s: %v", name, err))
		return
	}
	if why := p.missing(k, c, defaults); why != "" {
		p.problem(number, name, fmt.Sprintf("%s: %s", name, why))
	}
	if k.deprecated != "" {
		p.warnings = append(p.warnings, Problem{
			p.file, number, name,
			fmt.Sprintf("%s is deprecated, use %s", name, k.deprecated),
		})
	}
}

// missing says why the value that was just set cannot be used by this version.
func (p *parser[T]) missing(k *key[T], c, defaults *T) string {
	now, normal := k.get(c), k.get(defaults)
	if now == normal {
		return ""
	}
	for _, m := range p.unbuilt {
		if m.key == k.name && m.covers(now) {
			return m.sentence(k.name, k.def)
		}
	}
	return ""
}

// check adds what a rule about several keys found, at the line of the key it names.
func (p *parser[T]) check(found []Problem) {
	for _, f := range found {
		p.problem(p.lines[f.Key], f.Key, f.Key+": "+f.Text)
	}
	sort.SliceStable(p.problems, func(i, j int) bool {
		return p.problems[i].Line < p.problems[j].Line
	})
}

func (p *parser[T]) problem(line int, name, text string) {
	p.problems = append(p.problems, Problem{p.file, line, name, text})
}

func (p *parser[T]) find(name string) *key[T] {
	for i := range p.keys {
		if p.keys[i].name == name {
			return &p.keys[i]
		}
	}
	return nil
}

// nearest returns the known key with the smallest edit distance; the first one wins.
func (p *parser[T]) nearest(name string) string {
	best, least := "", -1
	name = strings.ToLower(clip(name))
	for i := range p.keys {
		if d := distance(name, p.keys[i].name); least < 0 || d < least {
			best, least = p.keys[i].name, d
		}
	}
	return best
}

// distance is the Levenshtein distance in bytes, by rows.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := corner
			if a[i] != b[j] {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, corner+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// withoutComment cuts a comment that follows a value on the same line.
func withoutComment(value string) string {
	if strings.HasPrefix(value, "#") {
		return ""
	}
	for i := 1; i < len(value); i++ {
		if value[i] == '#' && (value[i-1] == ' ' || value[i-1] == '\t') {
			return strings.TrimSpace(value[:i])
		}
	}
	return value
}

func isForbidden(r rune) bool {
	return r == utf8.RuneError || r == 0x7f || r < ' ' && r != '\t'
}

// clip keeps a message short whatever the file holds.
func clip(s string) string {
	const longest = 64
	if len(s) <= longest {
		return s
	}
	return s[:longest] + "..."
}

// baseOf is where the relative paths of a file start.
func baseOf(file, dir string) string {
	if parent := filepath.Dir(file); parent != "." {
		return parent
	}
	return dir
}
