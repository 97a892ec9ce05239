package inspector

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/endpointcache/endpointcache/cache"
)

const (
	longAddress = 4000 // bytes: servers and proxies refuse some of 8 KiB

	// A long address has at most and at least about as many bytes of a value.
	longestBeginning, shortestBeginning = 3200, 200
)

// addressOf is the query of the pages of a stored response: its table and its key. If that is too
// long, it has the beginnings of long values, and a digest of each. The longer the beginnings are,
// the fewer other keys does a store read that begin so.
func addressOf(e cache.Stored) string {
	var values []string
	for _, c := range e.Key {
		values = append(values, fmt.Sprint(c.Value))
	}
	address := url.Values{"table": {e.Table}, "key": values}.Encode()
	for limit := longestBeginning; len(address) > longAddress && limit >= shortestBeginning; limit -= limit / 4 {
		q := url.Values{"table": {e.Table}}
		for _, value := range values {
			digest := ""
			if len(value) > limit {
				value, digest = truncate(value, limit), digestOf(value)
			}
			q.Add("key", value)
			q.Add("digest", digest)
		}
		address = q.Encode()
	}
	return address
}

func digestOf(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:])
}

// found is a stored response, with its body, and the table that it is in.
type found struct {
	cache.Stored
	table cache.Table
}

// stored is the response that the request's address names.
func (i *Inspector) stored(r *http.Request) (found, error) {
	form := r.URL.Query()
	name, texts, digests := form.Get("table"), form["key"], form["digest"]
	tables, err := i.tables(r.Context())
	if err != nil {
		return found{}, err
	}
	at := slices.IndexFunc(tables, func(t cache.Table) bool { return t.Name == name })
	if at < 0 {
		return found{}, notFound("The store has no such table.")
	}
	t := tables[at]
	if len(texts) != len(t.Key) || len(digests) > 0 && len(digests) != len(t.Key) {
		return found{}, badRequest("A key of %s has %d columns.", printable(name, 100), len(t.Key))
	}
	key := make([]any, len(texts))
	for n, text := range texts {
		if key[n], err = parseValue(t.Key[n], text); err != nil {
			return found{}, err
		}
	}
	if len(digests) > 0 {
		if key, err = i.wholeKey(r.Context(), t, key, digests); err != nil {
			return found{}, err
		}
	}
	e, ok, err := i.cache.Contents().Get(r.Context(), name, key...)
	if err == nil && !ok {
		err = errNothingStored
	}
	return found{e, t}, err
}

var errNothingStored = notFound("Nothing is stored under this key. It may have been removed, or have left.")

// wholeKey is the stored key whose values these are. Of a value that has a digest, it is the
// beginning.
func (i *Inspector) wholeKey(ctx context.Context, t cache.Table, values []any, digests []string) ([]any, error) {
	q := cache.Query{Key: make(map[string]any), KeyPrefix: make(map[string]string)}
	for n, c := range t.Key {
		if text, ok := values[n].(string); ok && digests[n] != "" {
			q.KeyPrefix[c.Name] = text
		} else {
			q.Key[c.Name] = values[n]
		}
	}
	q.Match = func(e cache.Stored) bool {
		if e.Table != t.Name { // an origin has a table of its own
			return false
		}
		for n, digest := range digests {
			if digest != "" && digestOf(fmt.Sprint(e.Key[n].Value)) != digest {
				return false
			}
		}
		return true
	}
	for e, err := range i.cache.Contents(t.Repository).Entries(ctx, q) {
		if err != nil {
			return nil, err
		}
		var key []any
		for _, c := range e.Key {
			key = append(key, c.Value)
		}
		return key, nil
	}
	return nil, errNothingStored
}
