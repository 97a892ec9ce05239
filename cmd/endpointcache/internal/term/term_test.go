package term

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/creack/pty"
	"github.com/rivo/uniseg"
)

var hostile = []string{
	"", "plain", "Daft Punk", "it's", `back\slash`, "\x1b[2J\x1b]0;title\a", "a\nb\r\tc", "\u202egnp.exe", "\xff\xfe", "\x1b1", "\x1bf'\\x",
	"\u009b31m", "$(touch x)`x`$HOME", "*?[a]{b}~", "日本語 👩‍👩‍👧", "\U000e0041tag", "-n", "a=b", "#", "!x",
}

// What a shell makes of a quoted text is the text.
func TestQuote(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash here")
	}
	for _, text := range hostile {
		quoted := Quote(text)
		if Text(quoted) != quoted {
			t.Errorf("%q is quoted as %q, which a terminal does not show", text, quoted)
		}
		command := exec.CommandContext(t.Context(), bash, "--noprofile", "-c", "printf %s "+quoted)
		command.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
		out, err := command.Output()
		if err != nil || string(out) != text {
			t.Errorf("%q is quoted as %s, of which bash makes %q, %v", text, quoted, out, err)
		}
	}
}

func TestJSONShowsEverything(t *testing.T) {
	for _, text := range hostile {
		var b bytes.Buffer
		o := New(&b)
		if err := o.JSON(map[string]string{"text": text}); err != nil {
			t.Fatal(err)
		}
		if err := o.Flush(); err != nil {
			t.Fatal(err)
		}
		line := strings.TrimSuffix(b.String(), "\n")
		if Text(line) != line {
			t.Errorf("%q is %q in JSON, which a terminal does not show", text, line)
		}
		var back map[string]string
		if err := json.Unmarshal([]byte(line), &back); err != nil || back["text"] != strings.ToValidUTF8(text, "\ufffd") && back["text"] != strings.Repeat("\ufffd", len(text)) {
			t.Errorf("%q comes back as %q, %v", text, back["text"], err)
		}
	}
}

// terminal is an output to a terminal that is so wide, and what has been written to it.
func terminal(t *testing.T, width uint16, write func(*Output)) string {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Skip("there are no terminals here:", err)
	}
	defer master.Close()
	if err := pty.Setsize(slave, &pty.Winsize{Rows: 24, Cols: width}); err != nil {
		t.Fatal(err)
	}
	text := make(chan string)
	go func() {
		var all bytes.Buffer
		all.ReadFrom(master) // ends with an error where the other end is closed
		text <- strings.ReplaceAll(all.String(), "\r\n", "\n")
	}()
	o := New(slave)
	write(o)
	if err := o.Flush(); err != nil {
		t.Error(err)
	}
	slave.Close()
	return <-text
}

func writeTable(o *Output) {
	table := o.Table(Column{Title: "NAME"}, Column{Title: "SIZE", Right: true, Fixed: true})
	table.Row("日本語の長い名前がここに", "1 B")
	table.Cells(Cell{Text: strings.Repeat("long ", 20), Style: Bad}, Cell{Text: "12.5 MiB"})
	table.Flush()
}

func TestTablesFitTheTerminal(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	text := terminal(t, 30, writeTable)
	for line := range strings.Lines(text) {
		if w := uniseg.StringWidth(strings.TrimSuffix(line, "\n")); w > 30 {
			t.Errorf("the line %q is %d wide", line, w)
		}
	}
	for _, want := range []string{"日本語の長い名前が…", "long long long long…  12.5 MiB"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "\x1b") {
		t.Errorf("there are colours in spite of NO_COLOR: %q", text)
	}
}

func TestColoursAreForTerminals(t *testing.T) {
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm")
	if text := terminal(t, 80, writeTable); !strings.Contains(text, "\x1b[31mlong") {
		t.Errorf("there are no colours: %q", text)
	}
	var b bytes.Buffer
	o := New(&b)
	writeTable(o)
	if err := o.Flush(); err != nil || strings.Contains(b.String(), "\x1b") || !strings.Contains(b.String(), strings.Repeat("long ", 20)) {
		t.Errorf("where there is no terminal, it is %q, %v", b.String(), err)
	}
	t.Setenv("TERM", "dumb")
	if text := terminal(t, 80, writeTable); strings.Contains(text, "\x1b") {
		t.Errorf("there are colours on a dumb terminal: %q", text)
	}
}

// Many rows are not held back until the last one is known.
func TestALongTableIsWrittenAsItComes(t *testing.T) {
	var b bytes.Buffer
	o := New(&b)
	table := o.Table(Column{Title: "N"})
	for range aside + 1 {
		table.Row("x")
	}
	if err := o.Flush(); err != nil || strings.Count(b.String(), "x\n") != aside+1 {
		t.Errorf("%d rows are written, %v", strings.Count(b.String(), "x\n"), err)
	}
}
