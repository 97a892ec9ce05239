package doccheck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Scratch is a folder in which the blocks of a page are run, one after another.
type Scratch struct {
	Root  string   // the project's
	Dir   string   // the folder, which is also the home of what runs
	Shims string   // the folder of the programs that stand before those of the system
	Env   []string // more variables

	last string // what the block before printed
}

// Ran is a command of a block, with its output.
type Ran struct {
	Line    int // in the page
	Command string
	Output  string
}

// Runnable reports whether blocks of the language are run, or are programs that are.
func Runnable(b *Block) bool {
	switch b.Lang {
	case "sh", "sql":
		return true
	case "go":
		return b.Quoted == "" && strings.HasPrefix(strings.TrimSpace(b.Text), "package main\n")
	}
	return b.OutputOf != "" && b.OutputOf != blockBefore
}

// unchecked are the languages of blocks that show something.
var unchecked = []string{"", "text", "http", "json"}

// CheckLanguages finds blocks that nothing checks.
func CheckLanguages(p *Page) []Problem {
	var problems []Problem
	for i, b := range p.Blocks {
		if b.Lang != "go" && !Runnable(b) && b.NotRun == "" && !slices.Contains(unchecked, b.Lang) {
			problems = append(problems, b.problem(b.Line, "nothing checks blocks of %q: say why in a comment <!-- not run: … -->", b.Lang))
		}
		if b.OutputOf == blockBefore && (i == 0 || !Runnable(p.Blocks[i-1])) {
			problems = append(problems, b.problem(b.Line, "the block before has no output"))
		}
	}
	return problems
}

// Tools are those of the programs given that a block's commands use.
func Tools(b *Block, sql string, known []string) []string {
	text := b.OutputOf
	switch b.Lang {
	case "sh":
		text = b.Text
	case "sql":
		text = sql
	}
	var tools []string
	for _, name := range known {
		if regexp.MustCompile(`(^|\n|[|;(&] *|exec +)` + regexp.QuoteMeta(name) + `\s`).MatchString(text + "\n") {
			tools = append(tools, name)
		}
	}
	return tools
}

// Run runs a block; sql is the command that takes statements from its input. It returns
// the commands with their output, as far as they came.
func (s *Scratch) Run(ctx context.Context, b *Block, sql string) ([]Ran, []Problem) {
	switch {
	case b.Lang == "go":
		return s.runFile(ctx, b, "main.go", "go run main.go")
	case b.Lang == "sql":
		return s.runFile(ctx, b, "block.sql", sql+" < block.sql")
	case b.Lang != "sh":
		return s.runScript(ctx, b, b.OutputOf)
	}
	return s.runScript(ctx, b, b.Text)
}

// runFile runs a command that reads the block from a file.
func (s *Scratch) runFile(ctx context.Context, b *Block, name, command string) ([]Ran, []Problem) {
	if err := os.WriteFile(filepath.Join(s.Dir, name), []byte(b.Text), 0o600); err != nil {
		return nil, []Problem{b.problem(b.Line, "%v", err)}
	}
	ran, problems := s.runScript(ctx, b, command)
	if len(ran) > 0 {
		ran[0].Command = strings.TrimSpace(b.Text)
	}
	return ran, problems
}

// before is the first line of each script: it has the shell tell the line of what it runs.
const before = `exec 3>&1; set -eo pipefail; trap 'printf "\036%s\n" "$LINENO" >&3' DEBUG` + "\n"

func (s *Scratch) runScript(ctx context.Context, b *Block, text string) ([]Ran, []Problem) {
	script := filepath.Join(s.Dir, ".script")
	if err := os.WriteFile(script, []byte(before+text), 0o600); err != nil {
		return nil, []Problem{b.problem(b.Line, "%v", err)}
	}
	cmd := exec.CommandContext(ctx, "bash", script) // #nosec G204 -- the pages' commands
	cmd.Dir = s.Dir
	cmd.Env = append(os.Environ(), "HOME="+s.Dir, "TMPDIR="+s.Dir, "DOCCHECK_ROOT="+s.Root, "LC_ALL=C",
		"PATH="+s.Shims+string(os.PathListSeparator)+os.Getenv("PATH"))
	cmd.Env = append(cmd.Env, s.Env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	ran := split(b, text, out.String())
	if len(ran) > 0 {
		s.last = ""
		for _, r := range ran {
			s.last += r.Output
		}
	}
	if err == nil {
		return ran, nil
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || len(ran) == 0 {
		return ran, []Problem{b.problem(b.Line, "%v: %s", err, out.String())}
	}
	failed := ran[len(ran)-1]
	return ran, []Problem{b.problem(failed.Line, "%s: %v\n%s", failed.Command, err, failed.Output)}
}

// split takes the output of a script apart, by the lines that the shell has told.
func split(b *Block, text, out string) []Ran {
	starts := startsOf(text)
	lines := strings.Split(text, "\n")
	var ran []Ran
	for part := range strings.SplitSeq(out, "\036") {
		number, output, ok := strings.Cut(part, "\n")
		line, err := strconv.Atoi(number)
		if !ok || err != nil {
			continue // what comes before the first
		}
		line = min(max(line-2, 0), len(starts)-1) // one line is not the block's
		start := starts[line]
		at := b.Line
		if b.Lang == "sh" {
			at += start
		}
		if last := len(ran) - 1; last >= 0 && ran[last].Line == at {
			ran[last].Output += output
			continue
		}
		end := start + 1
		for end < len(starts) && starts[end] == start {
			end++
		}
		ran = append(ran, Ran{at, commandOf(lines[start:end]), output})
	}
	return ran
}

// startsOf tells for each line of a script the first line of its command: one goes on
// after a backslash, a bar, and within quotes.
func startsOf(text string) []int {
	lines := strings.Split(text, "\n")
	starts := make([]int, len(lines))
	var quote byte
	goesOn := false
	for i, line := range lines {
		starts[i] = i
		if goesOn {
			starts[i] = starts[i-1]
		}
		line, quote = codeOf(line, quote)
		goesOn = quote != 0 || strings.HasSuffix(line, `\`) || strings.HasSuffix(line, "|")
	}
	return starts
}

// commandOf is a command without comments.
func commandOf(lines []string) string {
	var text strings.Builder
	var quote byte
	for _, line := range lines {
		line, quote = codeOf(line, quote)
		text.WriteString(line + "\n")
	}
	return strings.TrimSpace(text.String())
}

// codeOf is a line of a script without its comment, and the quote that is open at its end,
// if one was open at its beginning.
func codeOf(line string, quote byte) (string, byte) {
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && quote != '\'':
			i++
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case quote == 0 && c == '#' && (i == 0 || line[i-1] == ' '):
			return strings.TrimRight(line[:i], " "), 0
		}
	}
	return strings.TrimRight(line, " "), quote
}

// CheckOutput checks a block that shows the output of a command, or of the block before.
func (s *Scratch) CheckOutput(b *Block) []Problem {
	if Same(b.Text, s.last) {
		return nil
	}
	return []Problem{b.problem(b.Line, "the output is\n%s", s.last)}
}

// Same reports whether text is as it is expected. An ellipsis stands for anything within
// a line, and alone in a line for any lines.
func Same(want, got string) bool {
	var pattern strings.Builder
	pattern.WriteString(`(?s)\A`)
	for line := range strings.Lines(strings.TrimSpace(want) + "\n") {
		line = strings.TrimRight(line, " \n")
		if strings.TrimSpace(line) == "…" {
			pattern.WriteString(`.*`)
			continue
		}
		parts := strings.Split(line, "…")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		pattern.WriteString(strings.Join(parts, `[^\n]*`) + `\s*\n`)
	}
	pattern.WriteString(`\z`)
	got = regexp.MustCompile(` +\n`).ReplaceAllString(strings.TrimSpace(got)+"\n", "\n")
	return regexp.MustCompile(pattern.String()).MatchString(got)
}

// Transcript holds the output of commands, as it was once looked at.
type Transcript struct {
	file    string
	outputs map[string]string
	order   []string
}

// ReadTranscript reads a transcript; one that is absent is empty.
func ReadTranscript(file string) (*Transcript, error) {
	t := &Transcript{file: file, outputs: make(map[string]string)}
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	command := ""
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "$ "):
			command = strings.TrimSpace(line[2:])
			t.set(command, "")
		case strings.HasPrefix(line, "> ") && t.outputs[command] == "":
			t.order = t.order[:len(t.order)-1]
			delete(t.outputs, command)
			command += "\n" + strings.TrimRight(line[2:], "\n")
			t.set(command, "")
		default:
			t.outputs[command] += line
		}
	}
	return t, nil
}

// Check compares what ran with the transcript.
func (t *Transcript) Check(page string, ran []Ran) []Problem {
	var problems []Problem
	for _, r := range ran {
		want, ok := t.outputs[r.Command]
		switch {
		case !ok:
			problems = append(problems, Problem{page, r.Line, fmt.Sprintf("%s: this is new: look at its output with -update", r.Command)})
		case !Same(want, r.Output):
			problems = append(problems, Problem{page, r.Line, fmt.Sprintf("%s: the output is\n%s\nwant\n%s", r.Command, r.Output, want)})
		}
	}
	return problems
}

// Record takes the output of commands, where it is not the same. If they are all of the
// page's, other commands are removed.
func (t *Transcript) Record(ran []Ran, all bool) {
	for _, r := range ran {
		if want, ok := t.outputs[r.Command]; !ok || !Same(want, r.Output) {
			t.set(r.Command, r.Output)
		}
	}
	if all {
		others := t.Others(ran)
		t.order = slices.DeleteFunc(t.order, func(c string) bool { return slices.Contains(others, c) })
	}
}

func (t *Transcript) set(command, output string) {
	if _, ok := t.outputs[command]; !ok {
		t.order = append(t.order, command)
	}
	t.outputs[command] = output
}

// Others are the transcript's commands that did not run.
func (t *Transcript) Others(ran []Ran) []string {
	var others []string
	for _, command := range t.order {
		if !slices.ContainsFunc(ran, func(r Ran) bool { return r.Command == command }) {
			others = append(others, command)
		}
	}
	return others
}

// Write saves the transcript, unless it is empty.
func (t *Transcript) Write() error {
	if len(t.order) == 0 {
		return nil
	}
	var text strings.Builder
	for _, command := range t.order {
		text.WriteString("$ " + strings.ReplaceAll(command, "\n", "\n> ") + "\n")
		if output := strings.TrimRight(t.outputs[command], "\n"); output != "" {
			text.WriteString(output + "\n")
		}
	}
	return os.WriteFile(t.file, []byte(text.String()), 0o600)
}
