package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/readonly"
	"github.com/endpointcache/endpointcache/internal/testserver/places"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/store"
)

var update = flag.Bool("update", false, "write what the commands print on SQLite into the golden files")

// noon is when the tests take place: long after now, as Redis removes by its own clock what has expired.
var noon = time.Date(2126, 11, 29, 12, 0, 0, 0, time.UTC)

// location is a store that commands are run on.
type location struct {
	kind, url, name string
	program         program
	normal          []string // pairs: what differs from run to run, and what stands in golden files instead
}

// kinds are those of all stores. SQLite is the first, as its output is what -update writes.
var kinds = []string{"sqlite", "filesystem", "memory", "postgres", "redis", "mongodb", "dynamodb"}

// onEveryStore runs a test on an empty place of each kind.
func onEveryStore(t *testing.T, test func(t *testing.T, p *location)) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) { test(t, newLocation(t, kind)) })
	}
}

// newLocation is an empty place for a store. Commands find it by the environment.
func newLocation(tb testing.TB, kind string) *location {
	tb.Helper()
	p := &location{kind: kind, url: "memory:", name: tracktest.NewName()}
	p.program.now = func() time.Time { return noon }
	if newURL, lasting := places.Lasting[kind]; lasting {
		p.url = newURL(tb, p.name)
	} else {
		// What is in memory ends with its store: all commands of the test get the same one.
		s, err := memory.New(nil)
		check(tb, err)
		tb.Cleanup(func() { check(tb, s.Close()) })
		p.program.open = func(ctx context.Context, url string, opts *store.Options) (driver.Store, error) {
			if url != p.url {
				return store.Open(ctx, url, opts)
			}
			if opts.ReadOnly {
				return readonly.Store(unclosed{s}), nil
			}
			return unclosed{s}, nil
		}
	}
	p.normal = []string{p.url, "STORE", p.name, "NAME"}
	return p
}

// unclosed is a store that stays open.
type unclosed struct{ driver.Store }

func (unclosed) Close() error { return nil }

// Unwrap returns the store.
func (u unclosed) Unwrap() driver.Store { return u.Store }

// cache opens the cache at the place, as the program whose cache it is does.
func (p *location) cache(tb testing.TB, opts *cache.Options) *cache.ResponseCache {
	tb.Helper()
	open := p.program.open
	if open == nil {
		open = store.Open
	}
	s, err := open(tb.Context(), p.url, &store.Options{Name: p.name})
	check(tb, err)
	if opts == nil {
		opts = &cache.Options{}
	}
	if opts.Now == nil {
		opts.Now = p.program.now
	}
	opts.KeepExpired = -1
	c, err := cache.New(s, opts)
	check(tb, err)
	return c
}

// result is what a command has left.
type result struct {
	stdout, stderr string
	code           int
}

// run runs a command on the place, of which the environment tells it. input is typed at its terminal; without any it has no terminal.
func (p *location) run(tb testing.TB, input string, args ...string) result {
	tb.Helper()
	tb.Setenv(storeVariable, p.url)
	program := p.program
	var stdout, stderr bytes.Buffer
	program.stdin, program.stdout, program.stderr = strings.NewReader(input), &stdout, &stderr
	program.interactive = input != ""
	if p.kind != "sqlite" && p.kind != "filesystem" && p.kind != "memory" {
		args = withName(args, p.name)
	}
	code := program.run(tb.Context(), args)
	return result{stdout.String(), stderr.String(), code}
}

// withName gives a command the name that its tables have on a server.
func withName(args []string, name string) []string {
	if len(args) == 0 {
		return args
	}
	return slices.Concat(args[:1], []string{"--name", name}, args[1:])
}

// golden runs the commands of a file in testdata, and compares what they print with what stands there:
//
//	# a comment
//	$ find tracks --status 404     a command, whose words quotes can hold together
//	< y                            what is typed at its terminal; without it there is none
//	TABLE  KEY …                   what it prints
//	! endpointcache: …             what it prints to stderr
//	[exit 3]                       its exit code, if that is not 0
//
// Sizes are left out, as each store counts its own way, and with them the widths of columns. So one file holds for all stores.
// substitutions are pairs as of strings.NewReplacer.
func (p *location) golden(t *testing.T, name string, substitutions ...string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	text, err := os.ReadFile(path)
	check(t, err)
	replace := strings.NewReplacer(slices.Concat(substitutions, p.normal)...)
	unreplace := make([]string, 0, len(substitutions))
	for i := 0; i < len(substitutions); i += 2 {
		unreplace = append(unreplace, substitutions[i+1], substitutions[i])
	}
	var got strings.Builder
	all := strings.Split(string(text), "\n")
	for i, line := range all {
		switch {
		case strings.HasPrefix(line, "#"), line == "" && i+1 < len(all) && (strings.HasPrefix(all[i+1], "$") || strings.HasPrefix(all[i+1], "#")):
			fmt.Fprintln(&got, line)
			continue
		case !strings.HasPrefix(line, "$ "):
			continue
		}
		fmt.Fprintln(&got, line)
		input := ""
		if i+1 < len(all) && strings.HasPrefix(all[i+1], "< ") {
			input = strings.TrimPrefix(all[i+1], "< ") + "\n"
			fmt.Fprintln(&got, all[i+1])
		}
		r := p.run(t, input, words(t, strings.NewReplacer(unreplace...).Replace(line[2:]))...)
		got.WriteString(normalized(replace.Replace(r.stdout)))
		for line := range strings.Lines(normalized(replace.Replace(r.stderr))) {
			fmt.Fprint(&got, "! ", line)
		}
		if r.code != 0 {
			fmt.Fprintf(&got, "[exit %d]\n", r.code)
		}
	}
	if *update && p.kind == kinds[0] {
		check(t, os.WriteFile(path, []byte(got.String()), 0o644))
		return
	}
	if d := cmp.Diff(strings.Split(string(text), "\n"), strings.Split(got.String(), "\n")); d != "" {
		t.Errorf("%s is another (-want +got); go test -update writes it:\n%s", path, d)
	}
}

var (
	sizes   = regexp.MustCompile(`\b\d+(\.\d+)? ([KMGT]i)?B\b`)
	jsonInt = regexp.MustCompile(`"bytes":( ?)\d+`)
	spaces  = regexp.MustCompile(` {2,}`)
	named   = regexp.MustCompile(` --name NAME`)
	logged  = regexp.MustCompile(`^time=\S+ `)
)

// normalized is output without what differs between stores.
func normalized(output string) string {
	var b strings.Builder
	for line := range strings.Lines(output) {
		line = logged.ReplaceAllString(named.ReplaceAllString(line, ""), "")
		line = jsonInt.ReplaceAllString(sizes.ReplaceAllString(line, "SIZE"), `"bytes":${1}0`)
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if text := line[indent:]; strings.TrimSpace(text) != "" {
			line = line[:indent] + spaces.ReplaceAllString(text, "  ")
		}
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return b.String()
}

// words splits a command into its words. Quotes hold words together, and \xNN in them is a byte.
func words(tb testing.TB, command string) []string {
	tb.Helper()
	var all []string
	for rest := strings.TrimLeft(command, " "); rest != ""; rest = strings.TrimLeft(rest, " ") {
		var word strings.Builder
		for rest != "" && rest[0] != ' ' {
			if rest[0] != '\'' {
				word.WriteByte(rest[0])
				rest = rest[1:]
				continue
			}
			quoted, after, ok := strings.Cut(rest[1:], "'")
			if !ok {
				tb.Fatalf("a quote is not closed: %s", command)
			}
			word.WriteString(quoted)
			rest = after
		}
		all = append(all, word.String())
	}
	return all
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
