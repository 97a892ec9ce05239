package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/cmd/endpointcache/internal/term"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/human"
	"github.com/endpointcache/endpointcache/store"
)

type cpCommand struct {
	From         string   `arg:"" help:"The URL of the store to copy: ${stores}."`
	To           string   `arg:"" help:"The URL of the store to copy to, which is made if it is not there."`
	Repositories []string `arg:"" optional:"" name:"repository" completion-predictor:"repository" help:"What is copied; without one, all of the store."`
	FromName     string   `help:"The name that keeps the tables of the first store apart from others on its server." placeholder:"NAME"`
	ToName       string   `help:"The same of the second." placeholder:"NAME"`
	FromKeys     keyFiles `help:"A file with the keys of the first store, so that what is sealed there is copied open, or sealed anew: see --keys of endpointcache show." placeholder:"FILE" type:"string" sep:"none"`
	ToKeys       keyFiles `help:"The same of the second." placeholder:"FILE" type:"string" sep:"none"`
	Replace      bool     `help:"Let what is newer there be replaced, too. Without it, it stays."`
	consent
}

// copied is the result in JSON.
type copied struct {
	Looked   int   `json:"looked"`
	Copied   int   `json:"copied"`
	Equal    int   `json:"equal"`
	Kept     int   `json:"kept"`
	Damaged  int   `json:"damaged"`
	TooLarge int   `json:"tooLarge"`
	Bytes    int64 `json:"bytes"`
	DryRun   bool  `json:"dryRun"`
}

// Help is what --help tells besides.
func (cpCommand) Help() string {
	return `Copies a cache to another store, byte for byte: what is compressed or sealed stays so. Entries of the same key are replaced, unless they are newer. What is equal there is not written again, so a copy that was interrupted goes on when it is begun anew.

  endpointcache cp sqlite:music.db postgres://localhost/app --to-name music`
}

var errSame = usagef("the two stores are the same")

// Run copies.
func (c *cpCommand) Run(ctx context.Context, s *session) error {
	if c.From == c.To && c.FromName == c.ToName || samePlace(c.From, c.To) {
		return errSame
	}
	from, err := s.openCache(ctx, c.From, c.FromName, c.FromKeys, false)
	if err != nil {
		return err
	}
	err = c.from(ctx, s, from)
	return errors.Join(err, from.Close())
}

// samePlace reports whether the URLs of two stores lead to one file or folder: by another path, a symbolic link or a hard link.
func samePlace(from, to string) bool {
	one, err := os.Stat(store.Path(from))
	if err != nil {
		return false
	}
	other, err := os.Stat(store.Path(to))
	return err == nil && os.SameFile(one, other)
}

func (c *cpCommand) from(ctx context.Context, s *session, from *cache.ResponseCache) error {
	tables, err := from.Tables(ctx)
	if err != nil {
		return err
	}
	if _, err := choose(tables, c.Repositories); err != nil {
		return err
	}
	n, err := from.Contents(c.Repositories...).Count(ctx, cache.Query{})
	if err != nil {
		return err
	}
	if err := s.agreeToAdd(ctx, c.consent, c.To, c.ToName, "Copy "+human.Things(n, "entry", "entries")+" to it?"); err != nil {
		return err
	}
	if c.DryRun {
		return s.tellCopy(copied{Looked: n, DryRun: true})
	}
	to, err := s.openCache(ctx, c.To, c.ToName, c.ToKeys, true)
	if err != nil {
		return err
	}
	bar := newProgress(s.stderr, "Copying")
	p, err := from.CopyTo(ctx, to, &cache.CopyOptions{Repositories: c.Repositories, Replace: c.Replace, Progress: func(p cache.CopyProgress) {
		bar.show(p.Entries, p.Total)
	}})
	bar.end()
	if errors.Is(err, driver.ErrTooLarge) && p.TooLarge > 0 {
		err = nil // all others were copied, and the result tells of these
	}
	if errors.Is(err, cache.ErrSameStore) { // by another URL of its server
		err = errSame
	}
	if err = errors.Join(err, to.Close()); err != nil {
		if p.Copied > 0 {
			s.say("%s copied before that; the same command goes on there", human.Things(p.Copied, "entry", "entries"))
		}
		return err
	}
	result := copied{
		Looked: p.Entries, Copied: p.Copied, Equal: p.Entries - p.Copied - p.Kept - p.Damaged - p.TooLarge,
		Kept: p.Kept, Damaged: p.Damaged, TooLarge: p.TooLarge, Bytes: p.Bytes,
	}
	if err := s.tellCopy(result); err != nil {
		return err
	}
	if p.Damaged > 0 || p.TooLarge > 0 {
		return errDifferent
	}
	return nil
}

// agreeToAdd asks whether to write to a store which has entries already.
func (s *session) agreeToAdd(ctx context.Context, ask consent, url, name, question string) error {
	if ask.Yes || ask.DryRun {
		return nil
	}
	there := s.entriesAt(ctx, url, name)
	if there == 0 {
		return nil
	}
	return ask.agree(ctx, s, "The store has "+human.Things(there, "entry", "entries")+", of which those with the same keys are replaced. "+question)
}

// entriesAt is how many entries a store has, 0 where there is none yet, or it cannot be read: writing tells.
func (s *session) entriesAt(ctx context.Context, url, name string) int {
	c, err := s.openCache(ctx, url, name, nil, false)
	if err != nil {
		return 0
	}
	n, err := c.Contents().Count(ctx, cache.Query{})
	if errors.Join(err, c.Close()) != nil {
		return 0
	}
	return n
}

func (s *session) tellCopy(c copied) error {
	if s.JSON {
		return s.out.JSON(c)
	}
	if c.DryRun {
		s.out.Printf("To copy: %s\n", human.Things(c.Looked, "entry", "entries"))
		return nil
	}
	s.out.Printf("Copied %s of %s, %s.\n", human.Count(c.Copied), human.Things(c.Looked, "entry", "entries"), human.Size(c.Bytes))
	for _, rest := range []struct {
		n    int
		what string
	}{
		{c.Equal, "equal there already"}, {c.Kept, "left as they are there, which is newer (--replace replaces them)"},
		{c.Damaged, "damaged, and left out (endpointcache verify lists them)"}, {c.TooLarge, "too large for the store, and left out"},
	} {
		if rest.n > 0 {
			s.out.Printf("%s: %s.\n", human.Count(rest.n), rest.what)
		}
	}
	return nil
}

// progress shows how far something is: as a bar on a terminal, elsewhere as a line now and then.
type progress struct {
	w     io.Writer
	what  string
	bar   *progressbar.ProgressBar
	total int
	told  time.Time
}

func newProgress(w io.Writer, what string) *progress {
	return &progress{w: w, what: what, told: time.Now()}
}

const tellEvery = 10 * time.Second

func (p *progress) show(done, total int) {
	total = max(done, total)
	if _, terminal := term.Width(p.w); !terminal {
		if now := time.Now(); now.Sub(p.told) >= tellEvery {
			p.told = now
			fmt.Fprintf(p.w, "%s: %s of %s\n", p.what, human.Count(done), human.Count(total))
		}
		return
	}
	if p.bar == nil || p.total != total {
		p.total = total
		p.bar = progressbar.NewOptions(total,
			progressbar.OptionSetWriter(p.w),
			progressbar.OptionSetDescription(p.what),
			progressbar.OptionFullWidth(),
			progressbar.OptionShowCount(),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetSpinnerChangeInterval(0), // no goroutine
		)
	}
	_ = p.bar.Set(done) // a terminal that is gone is not the copy's concern
}

// end ends the bar's line.
func (p *progress) end() {
	if p.bar != nil {
		fmt.Fprintln(p.w)
	}
}
