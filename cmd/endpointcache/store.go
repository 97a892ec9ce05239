package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/cmd/endpointcache/internal/term"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/secret"
	"github.com/endpointcache/endpointcache/store"
)

const storeVariable = "ENDPOINTCACHE_STORE"

// storeURL is the URL of a store as an argument. Where the environment tells it, the argument can be left out: then
// the next one is not taken for it unless it begins as such a URL does.
type storeURL string

// Decode reads the argument, and leaves it where it is another one.
func (s *storeURL) Decode(ctx *kong.DecodeContext) error {
	token := ctx.Scan.Peek()
	text, _ := token.Value.(string)
	set := os.Getenv(storeVariable)
	switch {
	case store.Kind(text) != "", token.Type != kong.PositionalArgumentToken: // the environment's own is judged when it is opened
		ctx.Scan.Pop()
		*s = storeURL(text)
	case set != "":
		*s = storeURL(set)
	case strings.Contains(text, ":"):
		return errStoreURL
	default:
		return fmt.Errorf("%w: for a file such as music.db, write sqlite:music.db", errStoreURL)
	}
	return nil
}

// errStoreURL does not show what was given, as that may have a password.
var errStoreURL = fmt.Errorf("it is none of %s, which %s can have, too", storeForms(), storeVariable)

// target is the store that a command looks into.
type target struct {
	Store storeURL `arg:"" optional:"" env:"ENDPOINTCACHE_STORE" completion-predictor:"repository" help:"The URL of the store: ${stores}."`
	Name  string   `help:"The name that keeps the program's tables apart from others on a server: a schema, a prefix or a namespace." placeholder:"NAME"`
	Keys  keyFiles `help:"A file with the keys of a sealed store: a Tink keyset in JSON, or a key in base64 on each line. Only you may be able to read it." placeholder:"FILE" type:"string" sep:"none"`
}

func storeForms() string { return strings.Join(store.Forms(), ", ") }

// openTo opens the cache to be read, or also to be changed. The caller closes it.
func (t target) openTo(ctx context.Context, s *session, change bool) (*cache.ResponseCache, error) {
	return s.openCache(ctx, string(t.Store), t.Name, t.Keys, change)
}

// with calls do with the cache, and closes it.
func (t target) with(ctx context.Context, s *session, change bool, do func(*cache.ResponseCache) error) error {
	c, err := t.openTo(ctx, s, change)
	if err != nil {
		return err
	}
	return errors.Join(do(c), c.Close())
}

// openCache opens a cache by the URL of its store, to be read, or also to be changed. It removes nothing by itself.
func (s *session) openCache(ctx context.Context, url, name string, keys keyFiles, change bool) (*cache.ResponseCache, error) {
	below, err := s.openStore(ctx, url, name, change)
	if err != nil {
		return nil, err
	}
	opened, err := keys.open(ctx, s, below)
	if err != nil {
		return nil, errors.Join(err, below.Close())
	}
	c, err := cache.New(opened, &cache.Options{KeepExpired: -1, Logger: s.log, Now: s.now})
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return c, nil
}

// openStore opens a store by its URL, to be read, or also to be changed.
func (s *session) openStore(ctx context.Context, url, name string, change bool) (driver.Store, error) {
	if url == "" {
		return nil, usagef("it is not said which store: give its URL, one of %s, or set %s", storeForms(), storeVariable)
	}
	open := s.open
	if open == nil {
		open = store.Open
	}
	opened, err := open(ctx, url, &store.Options{Name: name, ReadOnly: !change})
	if err != nil && store.Kind(url) == "" {
		err = usageError{err}
	}
	return opened, err
}

// lines is text of several lines, such as that of joined errors, without secrets and without what a terminal obeys.
func lines(text string) string {
	all := strings.Split(secret.Mask(text), "\n")
	for i, line := range all {
		all[i] = term.Text(strings.ReplaceAll(line, "\t", "  ")) // as libraries indent
	}
	return strings.Join(all, "\n")
}

// given is how the store can be named in a command that is shown: not at all where the environment tells it, and without
// what may be secret.
func (t target) given() []string {
	var words []string
	switch url := string(t.Store); {
	case url == os.Getenv(storeVariable):
	case secret.In(url) || secret.Mask(url) != url:
		words = append(words, "STORE")
	default:
		words = append(words, term.Quote(url))
	}
	if t.Name != "" {
		words = append(words, "--name", term.Quote(t.Name))
	}
	for _, path := range t.Keys {
		words = append(words, "--keys", term.Quote(path))
	}
	return words
}
