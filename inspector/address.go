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

// place is where a stored response is: its table and its key there.
type place struct {
	table cache.Table
	key   []any
}

// place is the one that the request's address names.
func (i *Inspector) place(r *http.Request) (place, error) {
	form := r.URL.Query()
	name, texts, digests := form.Get("table"), form["key"], form["digest"]
	tables, err := i.tables(r.Context())
	if err != nil {
		return place{}, err
	}
	at := slices.IndexFunc(tables, func(t cache.Table) bool { return t.Name == name })
	if at < 0 {
		return place{}, notFound("The store has no such table.")
	}
	t := tables[at]
	if len(texts) != len(t.Key) || len(digests) > 0 && len(digests) != len(t.Key) {
		return place{}, badRequest("A key of %s has %d columns.", printable(name, 100), len(t.Key))
	}
	key := make([]any, len(texts))
	for n, text := range texts {
		if key[n], err = parseValue(t.Key[n], text); err != nil {
			return place{}, err
		}
	}
	if len(digests) > 0 {
		key, err = i.wholeKey(r.Context(), t, key, digests)
	}
	return place{t, key}, err
}

// query selects what is at the place alone.
func (p place) query() cache.Query {
	q := cache.Query{Key: make(map[string]any)}
	for n, c := range p.table.Key {
		q.Key[c.Name] = p.key[n]
	}
	q.Match = func(e cache.Stored) bool { return e.Table == p.table.Name } // an origin has a table of its own
	return q
}

// found is a stored response, with its body, and the table that it is in.
type found struct {
	cache.Stored
	table cache.Table
}

// stored is the response that the request's address names.
func (i *Inspector) stored(r *http.Request) (found, error) {
	at, err := i.place(r)
	if err != nil {
		return found{}, err
	}
	e, ok, err := i.cache.Contents().Get(r.Context(), at.table.Name, at.key...)
	if err != nil || ok {
		return found{e, at.table}, err
	}
	e, err = i.withoutBody(r.Context(), at)
	switch {
	case err != nil:
	case e.Sealed():
		err = errSealed
	default:
		err = errDamaged
	}
	return found{}, err
}

var (
	errNothingStored = notFound("Nothing is stored under this key. It may have been removed, or have left.")
	errDamaged       = problem{http.StatusConflict, "What is stored under this key is damaged, and counts as a miss."}
	errSealed        = problem{http.StatusConflict, "What is stored under this key is sealed, and these pages do not have the keys."}
)

// withoutBody is the response at a place, without its body, which perhaps cannot be read.
func (i *Inspector) withoutBody(ctx context.Context, at place) (cache.Stored, error) {
	for e, err := range i.cache.Contents(at.table.Repository).Entries(ctx, at.query()) {
		return e, err
	}
	return cache.Stored{}, errNothingStored
}

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
