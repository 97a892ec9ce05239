package cache

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/declared"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

// Contents are stored responses without their types: for programs that look into a cache
// or maintain it. They are those of the whole store, whoever has saved them and whether or
// not the cache has repositories for them, or of some repositories.
//
// Its calls select responses by a [Query]. Stores run those parts of it that they can; the
// others are run here, over what the stores select. The latest response of a key is what is
// selected, counted and measured: variants of it, which responses with Vary have, go with it.
// Many goroutines may use it at once.
type Contents struct {
	cache        *ResponseCache
	repositories []string
}

// Contents returns what is stored of the repositories of these names, for all origins, or
// with no names of the whole store. Calls return [ErrNotFound], wrapped, where the store has no
// table of one of them.
func (c *ResponseCache) Contents(repositories ...string) *Contents {
	return &Contents{cache: c, repositories: slices.Clone(repositories)}
}

// Stored is a stored response.
type Stored struct {
	Table      string // the name of its table
	Repository string
	Origin     string // whose responses its table has; empty for the first origin, or for all
	Key        []KeyColumn

	// Entry has the Payload only where it was asked for.
	repository.Entry

	UsedAt time.Time // when it was used last, as far as that is recorded, see [settings.Limit]
	Size   int64     // about how many bytes it takes
}

// Sealed reports whether package seal keeps the headers and the body of the response from the
// cache, which is not given its keys.
func (e Stored) Sealed() bool {
	_, err := e.Head()
	return errors.Is(err, head.ErrSealed)
}

// KeyColumn is a column of a key and its value: a string, an int64 or a bool.
type KeyColumn struct {
	Name  string
	Value any
}

// Size is how much is stored, live and expired.
type Size struct {
	Entries int
	Bytes   int64 // about: bodies as they are stored, names and keys, and what some stores count besides
}

// Size tells how much is stored, without variants. It reads no bodies.
func (s *Contents) Size(ctx context.Context) (sum Size, err error) {
	tables, err := s.tables(ctx)
	if err != nil {
		return Size{}, err
	}
	for _, t := range tables {
		size, err := t.Size(ctx)
		sum.Entries += size.Entries
		sum.Bytes += size.Bytes
		if err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// Count returns how many responses the query selects. It reads no bodies, unless the query
// asks for them.
func (s *Contents) Count(ctx context.Context, q Query) (sum int, err error) {
	err = s.selected(ctx, q, func(sel selection) error {
		if sel.wanted == nil {
			n, err := sel.table.Count(ctx, sel.Filter)
			sum += n
			return err
		}
		for e, err := range sel.table.Entries(ctx, sel.Selection) {
			if err != nil {
				return err
			}
			if sel.wanted(e) {
				sum++
			}
		}
		return nil
	})
	return sum, err
}

// Entries yields the responses that the query selects, table by table, each in the store's
// order. The loop's body may use the cache, also to write. A response that is not touched
// meanwhile is yielded once, others perhaps. An error that ends the iteration is its last
// element.
func (s *Contents) Entries(ctx context.Context, q Query) iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		err := s.selected(ctx, q, func(sel selection) error {
			sel.Parts |= driver.Meta | driver.Usage
			for e, err := range sel.table.Entries(ctx, sel.Selection) {
				if err != nil {
					return err
				}
				if sel.wanted != nil && !sel.wanted(e) {
					continue
				}
				if !yield(sel.stored(e), nil) {
					return errStopped
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(Stored{}, err)
		}
	}
}

var errStopped = errors.New("the loop was left")

// Get returns the response with that key in a table, whose columns have these values, live
// or expired, with its body. ok is false where there is none. The error wraps [ErrNotFound]
// where there is no such table.
func (s *Contents) Get(ctx context.Context, table string, key ...any) (_ Stored, ok bool, err error) {
	t, err := s.table(ctx, table)
	if err != nil {
		return Stored{}, false, err
	}
	k, err := keyOf(t.Spec(), key)
	if err != nil {
		return Stored{}, false, fmt.Errorf("cache: get from %q: %w", table, err)
	}
	sel := selection{ctx: ctx, table: t}
	sel.Parts = driver.Payload | driver.Meta | driver.Usage
	var found driver.Entry
	err = t.Get(ctx, []driver.Key{k}, sel.Selection, func(_ int, e driver.Entry) { found, ok = e, true })
	if err != nil || !ok {
		return Stored{}, false, err
	}
	found.Key = k
	return sel.stored(found), true, nil
}

// Delete removes the responses that the query selects, and returns how many. Their variants
// are not found any more: the zero query removes them, too, after others they stay until they
// are cleared. Of the tables that it selects from, responses that were requested before and
// come afterwards are not saved, unless it selects expired ones alone. With a condition that
// the store does not know, such as Match, or the state where an invalidation may have made
// responses old, one that is replaced while Delete looks at it may be removed, too.
func (s *Contents) Delete(ctx context.Context, q Query) (sum int, err error) {
	err = s.selected(ctx, q, func(sel selection) error {
		var n int
		var err error
		if sel.wanted == nil {
			n, err = sel.table.ClearWithVariants(ctx, sel.Filter)
		} else {
			n, err = sel.table.DeleteWanted(ctx, sel.Selection, sel.wanted)
		}
		sum += n
		return err
	})
	return sum, err
}

// Expire makes the responses that the query selects expire now, and returns how many it has
// changed. They stay stored, to be confirmed by the origin or to stand in for it; their
// variants are not found any more. Of the tables that it selects from, responses that were
// requested before and come afterwards are not saved, unless it selects expired ones alone. It
// moves no bodies, unless the query asks for them.
func (s *Contents) Expire(ctx context.Context, q Query) (int, error) {
	now := exchange.Instant(s.cache.exchange.Now())
	return s.setExpiry(ctx, q, now, true)
}

// Touch makes the responses that the query selects live for d from now, and returns how many
// it has changed. d is positive, or [settings.NeverExpire]. What an invalidation has made old
// stays so, and variants keep their times. It moves no bodies, unless the query asks for them.
func (s *Contents) Touch(ctx context.Context, q Query, d time.Duration) (int, error) {
	var expires time.Time
	switch {
	case d > 0:
		expires = exchange.Instant(s.cache.exchange.Now().Add(d))
	case d != settings.NeverExpire:
		return 0, fmt.Errorf("cache: touch: the duration is %v: it is positive, or NeverExpire", d)
	}
	return s.setExpiry(ctx, q, expires, false)
}

func (s *Contents) setExpiry(ctx context.Context, q Query, expires time.Time, old bool) (sum int, err error) {
	err = s.selected(ctx, q, func(sel selection) error {
		wanted := sel.wanted
		if wanted == nil {
			wanted = func(driver.Entry) bool { return true }
		}
		n, err := sel.table.SetExpiry(ctx, sel.Selection, wanted, expires, old)
		sum += n
		return err
	})
	return sum, err
}

// selected calls do with what the query selects of each table.
func (s *Contents) selected(ctx context.Context, q Query, do func(selection) error) error {
	if err := q.validate(); err != nil {
		return err
	}
	tables, err := s.tables(ctx)
	if err != nil {
		return err
	}
	if err := q.fit(tables); err != nil {
		return err
	}
	now := s.cache.exchange.Now()
	for _, t := range tables {
		if sel, ok := q.of(ctx, t, now); ok {
			if err := do(sel); err != nil {
				return err
			}
		}
	}
	return nil
}

// tables are those of the contents, without the cache's own, by name.
func (s *Contents) tables(ctx context.Context) ([]*exchange.Table, error) {
	listed, err := s.listed(ctx)
	if err != nil {
		return nil, err
	}
	return s.open(ctx, listed)
}

// listed are the store's tables of the contents that have entries in use, by name.
func (s *Contents) listed(ctx context.Context) ([]declared.Table, error) {
	all, err := s.cache.exchange.Tables(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range s.repositories {
		if !slices.ContainsFunc(all, func(t declared.Table) bool {
			repository, _ := splitTable(t.Declared)
			return repository == name && t.Repository != "" // which it is for the cache's own
		}) {
			return nil, fmt.Errorf("cache: %w: repository %q", ErrNotFound, name)
		}
	}
	return slices.DeleteFunc(all, func(t declared.Table) bool {
		name, _ := splitTable(t.Declared)
		return !t.Current || len(s.repositories) > 0 && !slices.Contains(s.repositories, name)
	}), nil
}

// open opens tables that are listed: as those of the cache's repositories, or else as they are.
func (s *Contents) open(ctx context.Context, listed []declared.Table) (tables []*exchange.Table, err error) {
	opened, err := s.opened(ctx)
	if err != nil {
		return nil, err
	}
	marked, looked := false, false
	for _, table := range listed {
		t := opened[table.Name]
		if t == nil {
			if !looked {
				if marked, err = s.cache.exchange.HasMarks(ctx); err != nil {
					return nil, err
				}
				looked = true
			}
			if t, err = s.cache.exchange.Raw(ctx, s.cache.store, table, marked); err != nil {
				return nil, err
			}
		}
		tables = append(tables, t)
	}
	return tables, nil
}

// opened are the tables of the cache's repositories, by name.
func (s *Contents) opened(ctx context.Context) (map[string]*exchange.Table, error) {
	opened := make(map[string]*exchange.Table)
	for _, home := range s.cache.created() {
		family, err := home.Family(ctx)
		if err != nil {
			return nil, err
		}
		for _, t := range family {
			opened[t.Spec().Name] = t
		}
	}
	return opened, nil
}

func (s *Contents) table(ctx context.Context, name string) (*exchange.Table, error) {
	_, t, err := s.find(ctx, name)
	return t, err
}

// find returns one of the contents' tables, as it is listed and opened.
func (s *Contents) find(ctx context.Context, name string) (declared.Table, *exchange.Table, error) {
	listed, err := s.listed(ctx)
	if err != nil {
		return declared.Table{}, nil, err
	}
	for _, one := range listed {
		if one.Name == name {
			opened, err := s.open(ctx, []declared.Table{one})
			if err != nil {
				return declared.Table{}, nil, err
			}
			return one, opened[0], nil
		}
	}
	return declared.Table{}, nil, fmt.Errorf("cache: %w: table %q", ErrNotFound, name)
}

// splitTable returns the repository and the origin that the name of a table tells.
func splitTable(table string) (repository, origin string) {
	if name, origin, ok := strings.Cut(table, "@"); ok && strings.Contains(origin, "://") {
		return name, origin
	}
	return table, ""
}
