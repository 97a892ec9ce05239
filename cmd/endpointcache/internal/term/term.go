// Package term writes what a program has to tell to where a person reads it: tables that fit the
// terminal, colours only there, and no text of others that could do something to it.
package term

import (
	"bufio"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// Output is where results go.
type Output struct {
	w       *bufio.Writer
	width   int
	colours bool
}

// New returns an output to w. Where that is a terminal, lines fit its width; there are colours
// unless NO_COLOR is set, as no-color.org has it, or the terminal has none.
func New(w io.Writer) *Output {
	o := &Output{w: bufio.NewWriter(w)}
	if width, ok := Width(w); ok {
		o.width = width
		o.colours = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
	return o
}

// Width is that of the terminal which f writes to, or reads from, in columns; ok is false where it is none.
func Width(f any) (width int, ok bool) {
	file, isFile := f.(*os.File)
	if !isFile || !term.IsTerminal(int(file.Fd())) {
		return 0, false
	}
	if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
		return width, true
	}
	return 80, true
}

// Terminal reports whether people read what is written.
func (o *Output) Terminal() bool { return o.width > 0 }

// Write writes bytes as they are.
func (o *Output) Write(p []byte) (int, error) { return o.w.Write(p) }

// Printf writes text of the program's own: texts of others are to be arguments that were made by [Text] or [Quote].
func (o *Output) Printf(format string, args ...any) { fmt.Fprintf(o.w, format, args...) }

// Flush writes what is held back, and returns the first error of all writes.
func (o *Output) Flush() error { return o.w.Flush() }

// Style is how text looks where there are colours.
type Style string

// The styles.
const (
	Plain Style = ""
	Bold  Style = "1"
	Faint Style = "2"
	Bad   Style = "31"
	Good  Style = "32"
	Warn  Style = "33"
)

// Styled is text in a style.
func (o *Output) Styled(s Style, text string) string {
	if !o.colours || s == Plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}
