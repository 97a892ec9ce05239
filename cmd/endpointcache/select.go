package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/cmd/endpointcache/internal/term"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/human"
	"github.com/endpointcache/endpointcache/repository"
)

// conditions are flags that select stored responses: those that fulfil all of them.
type conditions struct {
	Key         []string `help:"The value of a key column; may be repeated." placeholder:"COLUMN=VALUE" sep:"none" group:"select"`
	KeyPrefix   []string `help:"What the value of a key column begins with." placeholder:"COLUMN=PREFIX" sep:"none" group:"select"`
	KeyJSON     string   `name:"key-json" help:"Values of key columns as JSON, as --json writes them; {\"base64\": …} stands for any bytes." placeholder:"OBJECT" group:"select"`
	Named       string   `help:"The readable name." placeholder:"TEXT" group:"select"`
	NamedPrefix string   `help:"What the readable name begins with." placeholder:"TEXT" group:"select"`
	Status      string   `help:"The status code, such as 404, 4xx or 200-299." placeholder:"CODES" group:"select"`
	State       string   `help:"live, expired or all." enum:"live,expired,all" default:"all" group:"select"`
	Older       string   `help:"Requested longer ago than this age, or before this time." placeholder:"AGE" group:"select"`
	Newer       string   `help:"Requested no longer ago than this age, or no earlier than this time." placeholder:"AGE" group:"select"`
	Unused      string   `help:"Not used for this long, or since this time, as far as that is recorded." placeholder:"AGE" group:"select"`
	Larger      string   `help:"Takes more than this, such as 20kB." placeholder:"SIZE" group:"select"`
}

// set reports whether the flags leave anything out.
func (c conditions) set() bool {
	return len(c.Key) > 0 || len(c.KeyPrefix) > 0 || c.KeyJSON != "" || c.Named != "" || c.NamedPrefix != "" || c.Status != "" ||
		c.State != "all" || c.Older != "" || c.Newer != "" || c.Unused != "" || c.Larger != ""
}

// scope is which tables a command is about, and what of them.
type scope struct {
	contents *cache.Contents
	query    cache.Query
	names    tableNames
}

// scope is what the conditions select of the tables named, or with no names of all.
func (c conditions) scope(ctx context.Context, s *session, rc *cache.ResponseCache, names []string) (scope, error) {
	tables, err := rc.Tables(ctx)
	if err != nil {
		return scope{}, err
	}
	chosen, err := choose(tables, names)
	if err != nil {
		return scope{}, err
	}
	q, err := c.query(s, chosen)
	if err != nil {
		return scope{}, usageError{err}
	}
	if len(names) == 0 {
		return scope{rc.Contents(), q, namesOf(tables)}, nil
	}
	return among(rc, q, tables, chosen), nil
}

// among is what the query selects of tables alone.
func among(rc *cache.ResponseCache, q cache.Query, all, chosen []cache.Table) scope {
	var repositories []string
	wanted := make(map[string]bool)
	for _, t := range chosen {
		wanted[t.Name] = true
		if !slices.Contains(repositories, t.Repository) {
			repositories = append(repositories, t.Repository)
		}
	}
	whole := !slices.ContainsFunc(all, func(t cache.Table) bool {
		return !wanted[t.Name] && !t.Left && slices.Contains(repositories, t.Repository)
	})
	if !whole { // the same repository has the responses of other origins, too
		match := q.Match
		q.Match = func(e cache.Stored) bool { return wanted[e.Table] && (match == nil || match(e)) }
	}
	return scope{rc.Contents(repositories...), q, namesOf(all)}
}

// checkOpen is an error where something of the scope is sealed, and there are no keys: its headers and its body cannot be
// read then. It goes through all entries, without their bodies.
func (sc scope) checkOpen(ctx context.Context, keys keyFiles) error {
	if len(keys) > 0 { // the store opens what it hands out
		return nil
	}
	q := sc.query
	q.Bodies = false
	for e, err := range sc.contents.Entries(ctx, q) {
		if err != nil {
			return err
		}
		if e.Sealed() {
			return errSealed
		}
	}
	return nil
}

// choose returns the tables of these names: that of a repository, for its tables of all origins, or one of a table.
// Without names it returns all.
func choose(tables []cache.Table, names []string) ([]cache.Table, error) {
	tables = slices.DeleteFunc(slices.Clone(tables), func(t cache.Table) bool { return t.Repository == "" || t.Left })
	if len(names) == 0 {
		return tables, nil
	}
	var chosen []cache.Table
	for _, name := range names {
		found := slices.DeleteFunc(slices.Clone(tables), func(t cache.Table) bool {
			return name != t.Repository && name != t.Name && (name != t.Name+first || t.Name != t.Repository)
		})
		if len(found) == 0 {
			return nil, noTable(tables, name)
		}
		chosen = append(chosen, found...)
	}
	return chosen, nil
}

// first is behind the name of a repository where only the first of its tables is meant, which has the same name.
const first = "@"

// nameOf is what commands call a table among others.
func nameOf(tables []cache.Table, t cache.Table) string {
	several := slices.ContainsFunc(tables, func(other cache.Table) bool {
		return other.Name != t.Name && other.Repository == t.Repository && !other.Left
	})
	if several && t.Name == t.Repository {
		return t.Name + first
	}
	return t.Name
}

// tableNames are what commands call tables, by the names that these have in the store.
type tableNames map[string]string

func namesOf(tables []cache.Table) tableNames {
	names := make(tableNames)
	for _, t := range tables {
		names[t.Name] = nameOf(tables, t)
	}
	return names
}

// readNames reads what commands call the tables of a cache.
func readNames(ctx context.Context, rc *cache.ResponseCache) (tableNames, error) {
	tables, err := rc.Tables(ctx)
	return namesOf(tables), err
}

// of is what commands call a table of that name.
func (n tableNames) of(name string) string { return cmp.Or(n[name], name) }

// noTable is the error for a table that is not there. It tells which are.
func noTable(tables []cache.Table, name string) error {
	var names []string
	for _, t := range tables {
		if !slices.Contains(names, t.Repository) {
			names = append(names, t.Repository)
		}
	}
	const most = 10
	switch {
	case len(names) == 0:
		return fmt.Errorf("%w: the store has no repositories", errNothing)
	case len(names) > most:
		names = append(names[:most], "…")
	}
	return fmt.Errorf("%w: no repository or table %s; there is %s", errNothing, term.Quote(name), strings.Join(names, ", "))
}

// query is what the conditions select of the tables.
func (c conditions) query(s *session, tables []cache.Table) (q cache.Query, err error) {
	if q.Key, err = c.keyValues(tables); err != nil {
		return q, err
	}
	for _, text := range c.KeyPrefix {
		name, prefix, ok := strings.Cut(text, "=")
		if !ok || prefix == "" {
			return q, fmt.Errorf("--key-prefix %s: it is of the form column=prefix", term.Quote(text))
		}
		if !slices.ContainsFunc(tables, func(t cache.Table) bool { i := columnOf(t, name); return i >= 0 && t.Key[i].Kind == driver.String }) {
			return q, fmt.Errorf("--key-prefix: no table has a key column %s of strings", term.Quote(name))
		}
		if q.KeyPrefix == nil {
			q.KeyPrefix = make(map[string]string)
		}
		q.KeyPrefix[name] = prefix
	}
	q.Name, q.NamePrefix = c.Named, c.NamedPrefix
	q.State = map[string]repository.State{"all": repository.All, "live": repository.Live, "expired": repository.Expired}[c.State]
	if q.MinStatus, q.MaxStatus, err = parseStatus(c.Status); err != nil {
		return q, err
	}
	for _, instant := range []struct {
		flag, text string
		to         *time.Time
	}{{"older", c.Older, &q.CachedBefore}, {"newer", c.Newer, &q.CachedFrom}, {"unused", c.Unused, &q.UsedBefore}} {
		if instant.text == "" {
			continue
		}
		if *instant.to, err = parseInstant(instant.text, s.begun, s.zone()); err != nil {
			return q, fmt.Errorf("--%s: %w", instant.flag, err)
		}
	}
	if c.Larger != "" {
		least, err := parseSize(c.Larger)
		if err != nil {
			return q, fmt.Errorf("--larger: %w", err)
		}
		q.Match = func(e cache.Stored) bool { return e.Size > least }
	}
	return q, nil
}

// keyValues are the values of key columns that --key and --key-json tell.
func (c conditions) keyValues(tables []cache.Table) (map[string]any, error) {
	values := make(map[string]any)
	if c.KeyJSON != "" {
		columns, err := parseKeyJSON(c.KeyJSON)
		if err != nil {
			return nil, fmt.Errorf("--key-json: %w", err)
		}
		maps.Copy(values, columns)
	}
	for _, text := range c.Key {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("--key %s: it is of the form column=value", term.Quote(text))
		}
		if _, twice := values[name]; twice {
			return nil, fmt.Errorf("--key: column %s is given twice", term.Quote(name))
		}
		// Columns of one name may have other kinds in other tables: the value is that of the first it is one for.
		parsed, err := any(value), fmt.Errorf("no table has a key column %s", term.Quote(name))
		for _, t := range tables {
			if i := columnOf(t, name); i >= 0 {
				if parsed, err = parseValue(t.Key[i], value); err == nil {
					break
				}
			}
		}
		if err != nil {
			return nil, fmt.Errorf("--key: %w", err)
		}
		values[name] = parsed
	}
	return values, nil
}

// parseStatus reads status codes: "404", "4xx", "200-299"; empty is all.
func parseStatus(text string) (least, most int, err error) {
	invalid := fmt.Errorf("--status %s: it is a code such as 404, 4xx or 200-299", term.Quote(text))
	switch low, high, isRange := strings.Cut(text, "-"); {
	case text == "":
		return 0, 0, nil
	case len(text) == 3 && strings.HasSuffix(strings.ToLower(text), "xx") && text[0] >= '1' && text[0] <= '9':
		least = int(text[0]-'0') * 100
		return least, least + 99, nil
	case isRange:
		var err1, err2 error
		least, err1 = strconv.Atoi(low)
		most, err2 = strconv.Atoi(high)
		if errors.Join(err1, err2) != nil || least < 100 || most > 999 || least > most {
			return 0, 0, invalid
		}
		return least, most, nil
	default:
		if least, err = strconv.Atoi(text); err != nil || least < 100 || least > 999 {
			return 0, 0, invalid
		}
		return least, least, nil
	}
}

// parseInstant reads an instant: a duration before now, or a date, or a time as RFC 3339 has it. Dates without a time
// zone are those of the zone.
func parseInstant(text string, now time.Time, zone *time.Location) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	d, err := human.ParseDuration(text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is neither an age such as 24h or 7d nor a time such as 2006-01-02 or 2006-01-02T15:04:05Z", text)
	}
	return now.Add(-d), nil
}

// parseSize reads a number of bytes: "1500", "20kB", "1.5 MiB".
func parseSize(text string) (int64, error) {
	n, err := humanize.ParseBytes(text)
	if err != nil || n > 1<<62 {
		return 0, fmt.Errorf("%q is no size such as 1500, 20kB or 1.5MiB", text)
	}
	return int64(n), nil
}

// zone is where times are shown, and read that do not tell theirs.
func (s *session) zone() *time.Location {
	if s.Local {
		return time.Local
	}
	return time.UTC
}
