package main

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/endpointcache/endpointcache/store"
)

// completeWithin is how long a shell waits for the names of repositories.
const completeWithin = 2 * time.Second

// repositories are the names of those in the store that the words of an unfinished command line tell, or the
// environment; none where there is no store, or it does not tell in time.
func (p *program) repositories(ctx context.Context, words []string) []string {
	ctx, cancel := context.WithTimeout(ctx, completeWithin)
	defer cancel()
	t := target{Store: storeURL(os.Getenv(storeVariable))}
	if first := slices.IndexFunc(words, func(word string) bool { return store.Kind(word) != "" }); first >= 0 {
		t.Store = storeURL(words[first])
	}
	for i, word := range words {
		switch {
		case i > 0 && (words[i-1] == "--name" || words[i-1] == "--from-name"):
			t.Name = word
		case i > 0 && (words[i-1] == "--keys" || words[i-1] == "--from-keys"):
			t.Keys = append(t.Keys, word)
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
		if !slices.Contains(names, table.Repository) {
			names = append(names, table.Repository)
		}
	}
	return names
}
