package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/cmd/endpointcache/internal/term"
	cacheidentity "github.com/endpointcache/endpointcache/identity"
	"github.com/endpointcache/endpointcache/internal/head"
)

// place is where one entry is, as arguments tell it.
type place struct {
	Table string   `arg:"" optional:"" completion-predictor:"repository" help:"The repository, or table; or the URL of a request, of any origin where it is a path."`
	Words []string `arg:"" optional:"" name:"value" sep:"none" help:"The key of one entry: values in order, or column=value."`
}

// asked are flags that tell a request.
type asked struct {
	Method string   `short:"X" help:"The method of the request." placeholder:"METHOD" group:"request"`
	Header []string `short:"H" help:"A header of the request; may be repeated." placeholder:"NAME:VALUE" sep:"none" group:"request"`
	Data   string   `short:"d" help:"The body of the request, or @file for what is in a file." placeholder:"TEXT" group:"request"`
	As     string   `help:"The identity on whose behalf the request is: the name that the program gives it." placeholder:"NAME" group:"request"`
}

// pick are the arguments of commands about one entry.
type pick struct {
	target
	place
	URL     string `name:"url" help:"The URL of a request: the entry is the one that answers it." placeholder:"URL" group:"request"`
	KeyJSON string `name:"key-json" help:"The key as JSON, as --json writes it; {\"base64\": …} stands for any bytes." placeholder:"OBJECT"`
	asked
}

// isURL reports whether an argument is the URL of a request, of any origin where it is only a path.
func isURL(text string) bool {
	return strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://") || strings.HasPrefix(text, "/")
}

// entry is the one that the arguments tell, without its body, and the request that it was found by, if there was one.
func (p *pick) entry(ctx context.Context, c *cache.ResponseCache) (cache.Stored, *http.Request, error) {
	address := p.URL
	switch {
	case address != "" && p.Table != "":
		return cache.Stored{}, nil, usagef("--url tells which entry: give no table beside it")
	case address == "" && isURL(p.Table) && len(p.Words) > 0:
		return cache.Stored{}, nil, usagef("a URL tells which entry: give no key beside it")
	case isURL(p.Table):
		address = p.Table
	}
	if address != "" {
		if p.KeyJSON != "" {
			return cache.Stored{}, nil, usagef("a URL tells which entry: give no --key-json beside it")
		}
		req, err := p.request(ctx, address)
		if err != nil {
			return cache.Stored{}, nil, err
		}
		e, err := answering(c, req)
		return e, req, err
	}
	switch {
	case p.Table == "":
		return cache.Stored{}, nil, usagef("it is not said which entry: give a table and a key, or a URL")
	case p.As != "":
		return cache.Stored{}, nil, usagef("--as is for a URL: a key has the identity first")
	}
	var key map[string]any
	if p.KeyJSON != "" {
		var err error
		if key, err = parseKeyJSON(p.KeyJSON); err != nil {
			return cache.Stored{}, nil, usagef("--key-json: %w", err)
		}
	}
	e, err := theEntry(ctx, c, p.place, key)
	return e, nil, err
}

// request is the one that the flags tell, to that URL.
func (a asked) request(ctx context.Context, address string) (*http.Request, error) {
	var body io.Reader
	method := a.Method
	if a.Data != "" {
		data := []byte(a.Data)
		if path, ok := strings.CutPrefix(a.Data, "@"); ok {
			var err error
			if data, err = os.ReadFile(path); err != nil {
				return nil, err
			}
		}
		body = bytes.NewReader(data)
		if method == "" {
			method = http.MethodPost
		}
	}
	req, err := http.NewRequestWithContext(cacheidentity.With(ctx, a.As), method, address, body) // #nosec G704 -- it is for the user to say
	if err != nil {
		return nil, usageError{err}
	}
	if !isURL(address) || req.URL.Host == "" && address[0] != '/' {
		return nil, usagef("%s is no URL of a request: it begins with https:// or http:// and a host, or with a slash", term.Quote(address))
	}
	for _, line := range a.Header {
		name, value, ok := strings.Cut(line, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return nil, usagef("--header: it is of the form name:value") // which is not shown, as it may be a token
		}
		req.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	return req, nil
}

// lookup tells what the store has for a request. What is sealed, and is there without the keys, is an error.
func lookup(c *cache.ResponseCache, req *http.Request) (cache.Lookup, error) {
	found, err := c.Contents().Lookup(req.Context(), req)
	if errors.Is(err, head.ErrSealed) || found.Found && found.Stored.Sealed() {
		err = errSealed
	}
	return found, err
}

// answering is the entry that answers a request.
func answering(c *cache.ResponseCache, req *http.Request) (cache.Stored, error) {
	found, err := lookup(c, req)
	if err != nil {
		return cache.Stored{}, err
	}
	if found.Found {
		return found.Stored, nil
	}
	var b strings.Builder
	for _, reason := range found.Reasons {
		fmt.Fprintf(&b, "\n  %s", term.Text(reason))
	}
	if len(found.Near) > 0 {
		names, err := readNames(req.Context(), c)
		if err != nil {
			return cache.Stored{}, err
		}
		b.WriteString("\nNear it are:")
		for _, e := range found.Near {
			fmt.Fprintf(&b, "\n  %s %s", term.Quote(names.of(e.Table)), keyWords(e.Key))
		}
	}
	return cache.Stored{}, fmt.Errorf("%w for that request%s", errNothing, b.String())
}

// only is the scope of the one entry at the place.
func (p place) only(ctx context.Context, c *cache.ResponseCache) (scope, error) {
	tables, err := c.Tables(ctx)
	if err != nil {
		return scope{}, err
	}
	e, _, err := (&pick{place: p}).entry(ctx, c)
	if err != nil {
		return scope{}, err
	}
	chosen := slices.DeleteFunc(slices.Clone(tables), func(t cache.Table) bool { return t.Name != e.Table })
	return among(c, cache.Query{Key: keyMap(e.Key)}, tables, chosen), nil
}

func keyMap(key []cache.KeyColumn) map[string]any {
	values := make(map[string]any)
	for _, c := range key {
		values[c.Name] = c.Value
	}
	return values
}

// theEntry is the only entry at a place, and with these values in its key. Columns may be left out where the rest
// tells the entry.
func theEntry(ctx context.Context, c *cache.ResponseCache, at place, values map[string]any) (cache.Stored, error) {
	tables, err := c.Tables(ctx)
	if err != nil {
		return cache.Stored{}, err
	}
	chosen, err := choose(tables, []string{at.Table})
	if err != nil {
		return cache.Stored{}, err
	}
	const most = sample + 1
	var found []cache.Stored
	var wrong error
	for _, t := range chosen {
		key, err := parseKey(t, at.Words)
		if err != nil {
			wrong = err
			continue
		}
		maps.Copy(key, values)
		sc := among(c, cache.Query{Key: key}, tables, []cache.Table{t})
		page, err := sc.contents.List(ctx, cache.Listing{Query: sc.query, Limit: most})
		if err != nil {
			return cache.Stored{}, err
		}
		found = append(found, page.Entries...)
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return cache.Stored{}, ambiguous(tables, found)
	case wrong != nil:
		return cache.Stored{}, usageError{wrong}
	}
	return cache.Stored{}, errNothing
}

// ambiguous is the error where several entries are meant.
func ambiguous(tables []cache.Table, found []cache.Stored) error {
	var b strings.Builder
	for _, e := range found[:min(len(found), sample)] {
		for _, t := range tables {
			if t.Name == e.Table {
				fmt.Fprintf(&b, "\n  %s %s", term.Quote(nameOf(tables, t)), keyWords(e.Key))
			}
		}
	}
	if len(found) > sample {
		b.WriteString("\n  …")
	}
	return usagef("several entries are meant: give more of the key, or the table, of one of them%s", b.String())
}

// whole is the entry with its body.
func whole(ctx context.Context, c *cache.ResponseCache, e cache.Stored) (cache.Stored, error) {
	if e.Sealed() {
		return e, errSealed
	}
	values := make([]any, len(e.Key))
	for i, c := range e.Key {
		values[i] = c.Value
	}
	full, ok, err := c.Contents().Get(ctx, e.Table, values...)
	switch {
	case err != nil:
		return e, err
	case !ok:
		return e, fmt.Errorf("the entry is damaged, or was deleted at this moment: endpointcache verify tells")
	}
	return full, nil
}
