package redis

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/redis/rueidis"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/parallel"
)

// scanned is how many keys a server looks at for one answer.
const scanned = 1_000

// Tables looks for descriptions among all keys of all nodes.
func (s *Store) Tables(ctx context.Context) (specs []driver.TableSpec, err error) {
	err = s.run(ctx, "list tables", "", func(ctx context.Context) error {
		keys, err := s.described(ctx)
		if err != nil {
			return err
		}
		for chunk := range slices.Chunk(keys, maxKeys) {
			commands := make(rueidis.Commands, len(chunk))
			for i, key := range chunk {
				commands[i] = resendable(s.client.B().Get().Key(key).Build())
			}
			for i, result := range s.client.DoMulti(ctx, commands...) {
				text, err := result.ToString()
				if rueidis.IsRedisNil(err) || isAnother(err) {
					continue
				}
				if err != nil {
					return err
				}
				if spec, ok := s.specOf(chunk[i], text); ok {
					specs = append(specs, spec)
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(specs, func(a, b driver.TableSpec) int { return strings.Compare(a.Name, b.Name) })
	return specs, nil
}

// described returns the keys that have the form of those of descriptions.
func (s *Store) described(ctx context.Context) ([]string, error) {
	before := s.opts.Prefix + ":{"
	var mu sync.Mutex
	found := make(map[string]bool) // a replica has what its master has
	err := s.scan(ctx, globEscaper.Replace(before)+"*}", func(keys []string) bool {
		mu.Lock()
		defer mu.Unlock()
		for _, key := range keys {
			// Keys of a table's own have a colon in the braces, or behind them.
			if !strings.Contains(key[len(before):], ":") {
				found[key] = true
			}
		}
		return true
	})
	return slices.Collect(maps.Keys(found)), err
}

// scan calls each with keys of all nodes, on several goroutines at once, until it returns
// false. There may be no keys in a call, and the same in several.
func (s *Store) scan(ctx context.Context, pattern string, each func(keys []string) bool) error {
	nodes := slices.Collect(maps.Values(s.client.Nodes()))
	return parallel.Do(len(nodes), func(i int) error {
		for cursor := uint64(0); ; {
			scan := nodes[i].B().Scan().Cursor(cursor).Match(pattern).Count(scanned).Build()
			page, err := nodes[i].Do(ctx, resendable(scan)).AsScanEntry()
			if err != nil {
				return err
			}
			if cursor = page.Cursor; !each(page.Elements) || cursor == 0 {
				return nil
			}
		}
	})
}

// find reports an error where no key is one of a cache.
func (s *Store) find(ctx context.Context) error {
	var found atomic.Bool
	err := s.scan(ctx, globEscaper.Replace(s.opts.Prefix)+":{*", func(keys []string) bool {
		if len(keys) > 0 {
			found.Store(true)
		}
		return !found.Load()
	})
	if err == nil && !found.Load() {
		err = fmt.Errorf("%w with the prefix %q", driver.ErrAbsent, s.opts.Prefix)
	}
	return err
}

var globEscaper = strings.NewReplacer("*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`, `\`, `\\`)

// specOf returns the table whose description is the text under a key, if it is one.
func (s *Store) specOf(key, text string) (spec driver.TableSpec, ok bool) {
	d, ok := parseDescription(text)
	if !ok || !d.known() {
		return spec, false
	}
	name := strings.TrimSuffix(key[len(s.opts.Prefix)+len(":{"):], "}")
	spec.Name, _ = unescape(name)
	for _, c := range d.Key {
		kind, _ := driver.ParseKind(c.Kind)
		spec.Key = append(spec.Key, driver.Column{Name: c.Name, Kind: kind})
	}
	return spec, tableName(s.opts.Prefix, spec.Name)+"}" == key && spec.Validate() == nil
}

// DropTable clears the table, and then removes its description: until that is gone, it can
// be done again.
func (s *Store) DropTable(ctx context.Context, name string) error {
	return s.run(ctx, "drop table", name, func(ctx context.Context) error {
		if s.opts.ReadOnly {
			return driver.ErrReadOnly
		}
		key := tableName(s.opts.Prefix, name) + "}"
		text, err := s.client.Do(ctx, resendable(s.client.B().Arbitrary("GET").Keys(key).Build().ToRetryable())).ToString()
		switch {
		case rueidis.IsRedisNil(err):
			return nil
		case isAnother(err):
			return dropError(name, anotherType(key))
		case err != nil:
			return err
		}
		d, ok := parseDescription(text)
		switch {
		case !ok:
			return dropError(name, noTable(key))
		case !d.known():
			return dropError(name, d.otherVersion())
		}
		t := &table{store: s, names: newNames(s.opts.Prefix, name, d.Buckets)}
		t.spec.Name = name
		if _, err := t.clear(ctx, driver.Filter{}); err != nil {
			return err
		}
		return s.client.Do(ctx, resendable(s.client.B().Unlink().Key(key).Build())).Error()
	})
}

func dropError(name, have string) error {
	return &driver.SchemaError{Table: name, Want: "a table of the cache", Have: have}
}
