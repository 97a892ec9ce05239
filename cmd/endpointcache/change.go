package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/cmd/endpointcache/internal/term"
	"github.com/endpointcache/endpointcache/internal/human"
	"github.com/endpointcache/endpointcache/settings"
)

// changing selects what a command changes: one entry by its table and key, or many by conditions.
type changing struct {
	target
	place
	All bool `help:"All of the table, or without one of the store."`
	conditions
	consent
}

// scope is what the arguments select.
func (c *changing) scope(ctx context.Context, s *session, rc *cache.ResponseCache) (scope, error) {
	switch {
	case (len(c.Words) > 0 || isURL(c.Table)) && (c.All || c.set()):
		return scope{}, usagef("a key or a URL selects one entry: without it, conditions select many")
	case len(c.Words) > 0 || isURL(c.Table):
		return c.only(ctx, rc)
	case !c.All && !c.set():
		return scope{}, usagef("it is not said which entries: give a table and a key, or a URL, or conditions such as --status 404, or --all")
	}
	var names []string
	if c.Table != "" {
		names = []string{c.Table}
	}
	return c.conditions.scope(ctx, s, rc, names)
}

// change is what a command does with what was selected.
type change struct {
	verb, done string
	do         func(*cache.Contents, context.Context, cache.Query) (int, error)
}

var (
	deleting = change{"delete", "Deleted", (*cache.Contents).Delete}
	expiring = change{"expire", "Expired", (*cache.Contents).Expire}
)

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
		result.Changed, err = ch.do(sc.contents, ctx, sc.query)
		return err
	})
	return result, err
}

// tell writes the result of a change.
func (s *session) tell(result changed, ch change) error {
	switch {
	case s.JSON:
		return s.out.JSON(result)
	case result.DryRun && result.Selected == 0:
		s.out.Printf("There is nothing to %s.\n", ch.verb)
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
func (c *rmCommand) Run(ctx context.Context, s *session) error { return c.run(ctx, s, deleting) }

type expireCommand struct{ changing }

// Run makes entries expire.
func (c *expireCommand) Run(ctx context.Context, s *session) error { return c.run(ctx, s, expiring) }

type touchCommand struct {
	changing
	For   string `help:"How long they live from now, such as 24h or 7d." placeholder:"DURATION" xor:"for"`
	Never bool   `help:"They never expire." xor:"for"`
}

// Run makes entries live on.
func (c *touchCommand) Run(ctx context.Context, s *session) error {
	d := settings.NeverExpire
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
	return c.run(ctx, s, change{"touch", "Touched", func(of *cache.Contents, ctx context.Context, q cache.Query) (int, error) {
		return of.Touch(ctx, q, d)
	}})
}

type clearCommand struct {
	target
	Tables  []string `arg:"" optional:"" name:"table" completion-predictor:"repository" help:"Repositories, or tables; all without."`
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
	result, err := c.apply(ctx, s, c.consent, func(rc *cache.ResponseCache) (scope, error) { return which.scope(ctx, s, rc, c.Tables) }, deleting)
	if err != nil {
		return err
	}
	return s.tell(result, deleting)
}
