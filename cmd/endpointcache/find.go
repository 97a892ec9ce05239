package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/cmd/endpointcache/internal/term"
	"github.com/endpointcache/endpointcache/internal/human"
)

// listing is what the commands that list stored responses have in common.
type listing struct {
	target
	Tables []string `arg:"" optional:"" name:"table" completion-predictor:"repository" help:"Repositories, or tables, to look into; all without."`
	conditions

	Sort  string `help:"By key, name, cached, used, expiry or size." enum:"key,name,cached,used,expiry,size" default:"key"`
	Desc  bool   `short:"r" help:"The greatest first."`
	Limit int    `short:"n" help:"How many to list; 0 is all of them." default:"50"`
	After string `help:"Go on behind a page: what that says comes next." placeholder:"PLACE"`
}

var orders = map[string]cache.Order{
	"key": cache.ByKey, "name": cache.ByName, "cached": cache.ByCached, "used": cache.ByUsed, "expiry": cache.ByExpiry, "size": cache.BySize,
}

const batch = 1000 // responses that are read at once where many are listed

// list calls each with the responses of the listing and what commands call their tables, and returns where the next page begins, empty where there is none.
func (l *listing) list(ctx context.Context, s *session, each func(table string, e cache.Stored) error) (next string, err error) {
	if l.Limit < 0 {
		return "", usagef("--limit is negative")
	}
	err = l.with(ctx, s, false, func(c *cache.ResponseCache) error {
		sc, err := l.scope(ctx, s, c, l.Tables)
		if err != nil {
			return err
		}
		next, err = l.pages(ctx, sc, each)
		return err
	})
	return next, err
}

// pages reads page by page until there are as many as are wanted.
func (l *listing) pages(ctx context.Context, sc scope, each func(table string, e cache.Stored) error) (next string, err error) {
	for n, after := 0, l.After; ; {
		size := batch
		if l.Limit > 0 {
			size = min(size, l.Limit-n)
		}
		page, err := sc.contents.List(ctx, cache.Listing{
			Query: sc.query, Order: orders[l.Sort], Descending: l.Desc, After: after, Limit: size,
		})
		switch {
		case errors.Is(err, cache.ErrPosition):
			return "", usagef("--after %s is not what a page of this listing tells", term.Quote(l.After))
		case err != nil:
			return "", err
		}
		for _, e := range page.Entries {
			if err := each(sc.names.of(e.Table), e); err != nil {
				return "", err
			}
		}
		n += len(page.Entries)
		switch after = page.Next; {
		case n == 0:
			return "", errNothing
		case after == "" || n == l.Limit:
			return after, nil
		}
	}
}

// more tells how to get the next page: in JSON by a last line, otherwise by the command for it.
func (l *listing) more(s *session, command, next string) error {
	switch {
	case next == "":
		return nil
	case s.JSON:
		return s.out.JSON(struct {
			Next string `json:"next"`
		}{next})
	}
	if err := s.out.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(s.stderr, "There is more:\n  endpointcache %s\n", strings.Join(append(append([]string{command}, l.words()...), "--after", next), " "))
	return nil
}

// words are the listing's arguments.
func (l *listing) words() []string {
	words := l.given()
	for _, t := range l.Tables {
		words = append(words, term.Quote(t))
	}
	flag := func(name, value, usual string) {
		if value != usual {
			words = append(words, "--"+name, term.Quote(value))
		}
	}
	for _, k := range l.Key {
		flag("key", k, "")
	}
	for _, k := range l.KeyPrefix {
		flag("key-prefix", k, "")
	}
	flag("key-json", l.KeyJSON, "")
	flag("named", l.Named, "")
	flag("named-prefix", l.NamedPrefix, "")
	flag("status", l.Status, "")
	flag("state", l.State, "all")
	flag("older", l.Older, "")
	flag("newer", l.Newer, "")
	flag("unused", l.Unused, "")
	flag("larger", l.Larger, "")
	flag("sort", l.Sort, "key")
	if l.Desc {
		words = append(words, "--desc")
	}
	flag("limit", strconv.Itoa(l.Limit), "50")
	return words
}

type keysCommand struct{ listing }

// Run lists keys.
func (c *keysCommand) Run(ctx context.Context, s *session) error {
	table := s.out.Table(term.Column{Title: "TABLE"}, term.Column{Title: "KEY", Fixed: true})
	next, err := c.list(ctx, s, func(name string, e cache.Stored) error {
		if s.JSON {
			return s.out.JSON(identityOf(name, e))
		}
		table.Row(term.Text(name), keyWords(e.Key))
		return nil
	})
	if err != nil {
		return err
	}
	table.Flush()
	return c.more(s, "keys", next)
}

type findCommand struct{ listing }

// Run lists stored responses.
func (c *findCommand) Run(ctx context.Context, s *session) error {
	table := s.entryTable()
	next, err := c.list(ctx, s, func(name string, e cache.Stored) error {
		if s.JSON {
			return s.out.JSON(s.entryOf(name, e))
		}
		table.row(name, e)
		return nil
	})
	if err != nil {
		return err
	}
	table.Flush()
	return c.more(s, "find", next)
}

// entryTable shows stored responses, one on a line.
type entryTable struct {
	*term.Table
	now time.Time
}

func (s *session) entryTable() entryTable { return s.entryTableTo(s.out) }

func (s *session) entryTableTo(out *term.Output) entryTable {
	return entryTable{out.Table(
		term.Column{Title: "TABLE"}, term.Column{Title: "KEY"}, term.Column{Title: "NAME"}, term.Column{Title: "STATUS", Right: true, Fixed: true},
		term.Column{Title: "SIZE", Right: true, Fixed: true}, term.Column{Title: "AGE", Right: true, Fixed: true}, term.Column{Title: "EXPIRES", Fixed: true},
	), s.begun}
}

// row shows a response of a table, as commands call that.
func (t entryTable) row(table string, e cache.Stored) {
	expires := term.Cell{Text: "never"}
	if !e.ExpiresAt.IsZero() {
		expires.Text = human.Relative(e.ExpiresAt, t.now)
		if !e.ExpiresAt.After(t.now) {
			expires.Style = term.Warn
		}
	}
	status := term.Cell{Text: strconv.Itoa(e.Status)}
	if e.Status >= 400 {
		status.Style = term.Bad
	}
	t.Cells(term.Cell{Text: term.Text(table)}, term.Cell{Text: keyWords(e.Key)}, term.Cell{Text: term.Text(e.Name)}, status,
		term.Cell{Text: human.Size(e.Size)}, term.Cell{Text: human.Between(e.CachedAt, t.now)}, expires)
}

// identity tells in JSON which response it is.
type identity struct {
	Table      text    `json:"table"`
	Repository text    `json:"repository"`
	Origin     text    `json:"origin,omitempty"`
	Key        jsonKey `json:"key"`
}

// identityOf is that of a response of a table, as commands call that.
func identityOf(table string, e cache.Stored) identity {
	return identity{text(table), text(e.Repository), text(e.Origin), jsonKey(e.Key)}
}

// entry is a stored response in JSON, without headers and body.
type entry struct {
	identity
	Name      text      `json:"name"`
	Status    int       `json:"status"`
	Bytes     int64     `json:"bytes"`
	CachedAt  time.Time `json:"cachedAt,omitzero"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
	UsedAt    time.Time `json:"usedAt,omitzero"`
	Expired   bool      `json:"expired"`
}

func (s *session) entryOf(table string, e cache.Stored) entry {
	return entry{
		identityOf(table, e), text(e.Name), e.Status, e.Size, s.at(e.CachedAt), s.at(e.ExpiresAt), s.at(e.UsedAt),
		!e.ExpiresAt.IsZero() && !s.begun.Before(e.ExpiresAt),
	}
}

// at is an instant in the zone in which times are shown.
func (s *session) at(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.In(s.zone())
}
