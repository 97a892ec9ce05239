package main

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/cmd/endpointcache/internal/human"
	"github.com/endpointcache/endpointcache/cmd/endpointcache/internal/term"
	"github.com/endpointcache/endpointcache/settings"
)

// changing selects what a command changes: one entry by its table and key, or many by conditions.
type changing struct {
	target
	Table string   `arg:"" optional:"" help:"The repository, or table."`
	Words []string `arg:"" optional:"" name:"value" sep:"none" help:"The key of one entry: values in order, or column=value."`
	All   bool     `help:"All of the table, or without one of the store."`
	conditions
	consent
}

// scope is what the arguments select.
func (c *changing) scope(ctx context.Context, s *session, rc *cache.ResponseCache) (scope, error) {
	switch {
	case len(c.Words) > 0 && (c.All || c.set()):
		return scope{}, usagef("a key selects one entry: without it, conditions select many")
	case len(c.Words) > 0:
		return one(ctx, rc, c.Table, c.Words)
	case !c.All && !c.set():
		return scope{}, usagef("it is not said which entries: give a table and a key, conditions such as --status 404, or --all")
	}
	var names []string
	if c.Table != "" {
		names = []string{c.Table}
	}
	return c.conditions.scope(ctx, s, rc, names)
}

// change is what a command does with what was selected.
type change struct {
	verb, done string // "delete", "Deleted"
	do         func(*cache.Contents, cache.Query) (int, error)
}

// changed is the result of a change in JSON.
type changed struct {
	Selected int  `json:"selected"`
	Changed  int  `json:"changed"`
	DryRun   bool `json:"dryRun"`
}

// apply shows what the command would do, asks, and does it. What it shows comes from a store that is opened to be read, so
// that one which is not there is not made.
func (t target) apply(ctx context.Context, s *session, ask consent, chosen func(*cache.ResponseCache) (scope, error), ch change) (changed, error) {
	result := changed{DryRun: ask.DryRun}
	err := t.with(ctx, s, false, func(c *cache.ResponseCache) error {
		sc, err := chosen(c)
		if err != nil {
			return err
		}
		if ask.Yes || ask.DryRun && s.JSON {
			result.Selected, err = sc.contents.Count(ctx, sc.query)
			return err
		}
		out := term.New(s.stderr)
		if ask.DryRun {
			out = s.out
		}
		result.Selected, err = s.preview(ctx, out, ch.verb, sc, c.Contents())
		return err
	})
	if err != nil || result.Selected == 0 || ask.DryRun {
		return result, err
	}
	question := fmt.Sprintf("%s %s?", strings.ToUpper(ch.verb[:1])+ch.verb[1:], human.Things(result.Selected, "entry", "entries"))
	if err := ask.agree(ctx, s, question); err != nil {
		return result, err
	}
	err = t.with(ctx, s, true, func(c *cache.ResponseCache) error {
		sc, err := chosen(c)
		if err != nil {
			return err
		}
		result.Changed, err = ch.do(sc.contents, sc.query)
		return err
	})
	return result, err
}

// tell writes the result of a change.
func (s *session) tell(result changed, ch change) error {
	switch {
	case s.JSON:
		return s.out.JSON(result)
	case !result.DryRun:
		s.out.Printf("%s %s.\n", ch.done, human.Things(result.Changed, "entry", "entries"))
	}
	return nil
}

// run makes the change.
func (c *changing) run(ctx context.Context, s *session, ch change) error {
	result, err := c.apply(ctx, s, c.consent, func(rc *cache.ResponseCache) (scope, error) { return c.scope(ctx, s, rc) }, ch)
	if err != nil {
		return err
	}
	if result.Selected == 0 {
		return errNothing
	}
	return s.tell(result, ch)
}

type rmCommand struct{ changing }

// Run deletes entries.
func (c *rmCommand) Run(ctx context.Context, s *session) error { return c.run(ctx, s, deleting(ctx)) }

func deleting(ctx context.Context) change {
	return change{"delete", "Deleted", func(of *cache.Contents, q cache.Query) (int, error) { return of.Delete(ctx, q) }}
}

type expireCommand struct{ changing }

// Run makes entries expire.
func (c *expireCommand) Run(ctx context.Context, s *session) error {
	return c.run(ctx, s, change{"expire", "Expired", func(of *cache.Contents, q cache.Query) (int, error) { return of.Expire(ctx, q) }})
}

type touchCommand struct {
	changing
	For   string `help:"How long they live from now, such as 24h or 7d." placeholder:"DURATION" xor:"for"`
	Never bool   `help:"They never expire." xor:"for"`
}

// Run makes entries live on.
func (c *touchCommand) Run(ctx context.Context, s *session) error {
	var d time.Duration = settings.NeverExpire
	switch {
	case !c.Never && c.For == "":
		return usagef("it is not said how long they live: give --for 24h, or --never")
	case !c.Never:
		var err error
		if d, err = human.ParseDuration(c.For); err != nil {
			return usagef("--for: %w", err)
		}
		if d == 0 {
			return usagef("--for %s is no time at all: endpointcache expire makes entries expire", c.For)
		}
	}
	return c.run(ctx, s, change{"touch", "Touched", func(of *cache.Contents, q cache.Query) (int, error) { return of.Touch(ctx, q, d) }})
}

type clearCommand struct {
	target
	Tables  []string `arg:"" optional:"" name:"table" help:"Repositories, or tables; all without."`
	Expired bool     `help:"What has expired." xor:"what"`
	All     bool     `help:"Everything." xor:"what"`
	consent
}

// Run deletes what has expired, or everything. That there is nothing to delete is as well.
func (c *clearCommand) Run(ctx context.Context, s *session) error {
	var which conditions
	switch {
	case c.Expired:
		which.State = "expired"
	case c.All:
		which.State = "all"
	default:
		return usagef("it is not said what to clear: give --expired, or --all")
	}
	ch := deleting(ctx)
	result, err := c.apply(ctx, s, c.consent, func(rc *cache.ResponseCache) (scope, error) { return which.scope(ctx, s, rc, c.Tables) }, ch)
	if err != nil {
		return err
	}
	return s.tell(result, ch)
}

// one is the scope of the only entry of that name and key.
func one(ctx context.Context, rc *cache.ResponseCache, name string, words []string) (scope, error) {
	e, err := theEntry(ctx, rc, name, words)
	if err != nil {
		return scope{}, err
	}
	tables, err := rc.Tables(ctx)
	if err != nil {
		return scope{}, err
	}
	chosen, err := choose(tables, []string{e.Table})
	if err != nil {
		return scope{}, err
	}
	key := make(map[string]any)
	for _, c := range e.Key {
		key[c.Name] = c.Value
	}
	return among(rc, cache.Query{Key: key}, tables, chosen), nil
}

// theEntry is the only entry of the table, or of the repository's tables, with that key. Columns may be left out where
// no other entry is meant with the rest.
func theEntry(ctx context.Context, rc *cache.ResponseCache, name string, words []string) (cache.Stored, error) {
	tables, err := rc.Tables(ctx)
	if err != nil {
		return cache.Stored{}, err
	}
	chosen, err := choose(tables, []string{name})
	if err != nil {
		return cache.Stored{}, err
	}
	const most = 10
	var found []cache.Stored
	var wrong error
	for _, t := range chosen {
		key, err := parseKey(t, words)
		if err != nil {
			wrong = err
			continue
		}
		sc := among(rc, cache.Query{Key: maps.Clone(key)}, tables, []cache.Table{t})
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
		return cache.Stored{}, ambiguous(found)
	case wrong != nil:
		return cache.Stored{}, usageError{wrong}
	}
	return cache.Stored{}, errNothing
}

// ambiguous is the error where several entries are meant.
func ambiguous(found []cache.Stored) error {
	var b strings.Builder
	for _, e := range found[:min(len(found), sample)] {
		fmt.Fprintf(&b, "\n  %s %s", term.Quote(e.Table), keyWords(e.Key))
	}
	if len(found) > sample {
		b.WriteString("\n  …")
	}
	return usagef("several entries are meant: give more of the key, or the table, of one of them%s", b.String())
}
