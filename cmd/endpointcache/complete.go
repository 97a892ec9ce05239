package main

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/cmd/endpointcache/internal/term"
	"github.com/endpointcache/endpointcache/store"
)

// completeWithin is how long a shell waits for the names of repositories.
const completeWithin = 2 * time.Second

// repositories are the names of those in the store that the words of an unfinished command line tell, or the
// environment; none where there is no store, or it does not tell in time. Names that a shell would not take as they
// are are left out.
func (p *program) repositories(ctx context.Context, words []string) []string {
	ctx, cancel := context.WithTimeout(ctx, completeWithin)
	defer cancel()
	t := target{Store: storeURL(os.Getenv(storeVariable))}
	if first := slices.IndexFunc(words, func(word string) bool { return store.Kind(word) != "" }); first >= 0 {
		t.Store = storeURL(words[first])
	}
	for i, word := range words {
		flag, value, together := strings.Cut(word, "=")
		if !together && i+1 < len(words) {
			value = words[i+1]
		}
		switch flag {
		case "--name", "--from-name":
			t.Name = value
		case "--keys", "--from-keys":
			if info, err := os.Stat(value); err == nil && info.Mode().IsRegular() { // a pipe may have nothing for long
				t.Keys = append(t.Keys, value)
			}
		}
	}
	if t.Store == "" {
		return nil
	}
	c, err := t.openTo(ctx, &session{program: p, log: slog.New(slog.DiscardHandler)}, false)
	if err != nil {
		return nil
	}
	defer func() { _ = c.Close() }() // it was only read
	tables, err := c.Tables(ctx)
	if err != nil {
		return nil
	}
	tables, err = choose(tables, nil)
	if err != nil {
		return nil
	}
	var names []string
	for _, table := range tables {
		// A shell takes what it is given as it is: another program may have given a name that it would obey.
		if term.Quote(table.Repository) == table.Repository && !slices.Contains(names, table.Repository) {
			names = append(names, table.Repository)
		}
	}
	return names
}
