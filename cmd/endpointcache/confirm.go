package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/cmd/endpointcache/internal/term"
	"github.com/endpointcache/endpointcache/internal/human"
)

// consent are the flags of commands that change a cache.
type consent struct {
	Yes    bool `short:"y" help:"Do it without asking." xor:"consent"`
	DryRun bool `name:"dry-run" help:"Only show what would be done." xor:"consent"`
}

// agree asks whether to do what was shown. It returns an error where the answer is not yes.
func (c consent) agree(ctx context.Context, s *session, question string) error {
	if c.Yes {
		return nil
	}
	if _, ok := term.Width(s.stdin); !ok && !s.interactive {
		return usagef("nobody can be asked, as the input is no terminal: --yes does it without asking")
	}
	fmt.Fprintf(s.stderr, "%s [y/N] ", question)
	answer := make(chan string, 1)
	go func() { // ends with the program, as a read of a terminal cannot be ended
		line, _ := bufio.NewReader(s.stdin).ReadString('\n')
		answer <- line
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(s.stderr)
		return ctx.Err()
	case line := <-answer:
		if !strings.HasSuffix(line, "\n") {
			fmt.Fprintln(s.stderr) // the end of the input ends no line
		}
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "y", "yes":
			return nil
		}
		return errors.New("not confirmed: nothing was changed")
	}
}

const sample = 5 // entries that are shown of those that would be changed

// preview shows what of the scope would be changed, and returns how many entries.
func (s *session) preview(ctx context.Context, out *term.Output, verb string, sc scope, of *cache.Contents) (int, error) {
	n, err := sc.contents.Count(ctx, sc.query)
	if err != nil || n == 0 {
		return n, err
	}
	all, err := of.Count(ctx, cache.Query{})
	if err != nil {
		return n, err
	}
	page, err := sc.contents.List(ctx, cache.Listing{Query: sc.query, Limit: sample})
	if err != nil {
		return n, err
	}
	out.Printf("To %s: %s of %s\n", verb, human.Count(n), human.Things(all, "entry", "entries"))
	table := s.entryTableTo(out)
	for _, e := range page.Entries {
		table.row(sc.names.of(e.Table), e)
	}
	table.Flush()
	if rest := n - len(page.Entries); rest > 0 {
		out.Printf("… and %s more.\n", human.Count(rest))
	}
	return n, out.Flush()
}
