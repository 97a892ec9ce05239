package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/declared"
	"github.com/endpointcache/endpointcache/settings"
)

// ErrInUse means that the cache has a repository of that name.
var ErrInUse = errors.New("the cache has the repository: remove it first")

// Table is a table of the cache's store.
type Table struct {
	Name string
	Key  []driver.Column

	// Repository is the name of the one whose responses the table has: for tables of which the
	// store remembers nothing, their own name. It is empty for the tables that caches keep for
	// themselves.
	Repository string

	// Origin is that of the responses, such as "https://api.example.com", or empty if nobody
	// has asked for one yet, or all origins share the table.
	Origin string

	// Declaration is that of the entries, nil if the store remembers none, or one that only a
	// newer version of this library can read.
	Declaration *settings.Declaration

	// Left is true for what is left of an older declaration, or of a migration that has not
	// ended.
	Left bool

	// InUse is true if the cache has the repository.
	InUse bool
}

// Tables returns the tables of the store, by name in byte order, whoever has made them:
// also those of repositories that the cache does not have. It reads no responses.
func (c *ResponseCache) Tables(ctx context.Context) ([]Table, error) {
	known, err := c.exchange.Tables(ctx)
	if err != nil {
		return nil, fmt.Errorf("cache: tables: %w", err)
	}
	tables := make([]Table, len(known))
	for i, t := range known {
		tables[i] = c.asTable(t)
	}
	return tables, nil
}

// Tables returns the tables that have the contents, by name in byte order. It reads no responses.
func (s *Contents) Tables(ctx context.Context) ([]Table, error) {
	all, err := s.cache.Tables(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(t Table) bool {
		return t.Repository == "" || t.Left || len(s.repositories) > 0 && !slices.Contains(s.repositories, t.Repository)
	}), nil
}

func (c *ResponseCache) asTable(t declared.Table) Table {
	return Table{
		Name: t.Name, Key: t.Key, Repository: t.Repository, Origin: t.Origin, Declaration: t.Declaration,
		Left:  t.Repository != "" && !t.Current,
		InUse: t.Repository != "" && c.uses(t.Repository),
	}
}

// Drop removes the tables of a repository from the store, those of all origins, with what the
// store remembers of it. Without such tables it does nothing. The error is [ErrInUse] if the
// cache has the repository: [ResponseCache.Remove] it first. Calls of other caches and processes
// that have it may fail or find nothing from then on. A repository that is created under the
// name later gets tables of other names, so that it never has what these still save.
func (c *ResponseCache) Drop(ctx context.Context, repository string) error {
	var err error
	switch {
	case declared.Own(repository):
		err = errors.New("the table is the cache's own")
	case c.uses(repository):
		err = ErrInUse
	default:
		err = c.exchange.Drop(ctx, repository)
	}
	if err != nil {
		return fmt.Errorf("cache: drop %q: %w", repository, err)
	}
	return nil
}

// uses reports whether the cache has a repository of that name, or is about to.
func (c *ResponseCache) uses(name string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, m := range c.members {
		if strings.EqualFold(m.name, name) {
			return true
		}
	}
	return false
}
