package main

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/cmd/endpointcache/internal/term"
	"github.com/endpointcache/endpointcache/internal/human"
)

type statsCommand struct {
	target
	Tables []string `arg:"" optional:"" name:"table" completion-predictor:"repository" help:"Repositories, or tables; all without."`
	conditions
	Bodies  bool `help:"Read the bodies, too, and tell what compression saves."`
	Largest int  `help:"How many of the largest entries are listed." default:"5"`
}

// figures are what a set of entries amounts to.
type figures struct {
	Name    string `json:"name"`
	Entries int    `json:"entries"`
	Bytes   int64  `json:"bytes"`
}

// statistics are the result in JSON.
type statistics struct {
	Entries     int          `json:"entries"`
	Bytes       int64        `json:"bytes"`
	Status      []figures    `json:"status"`
	Age         []figures    `json:"age"`
	Expiry      []figures    `json:"expiry"`
	Size        []figures    `json:"size"`
	Percentiles []percentile `json:"percentiles"`
	Largest     []entry      `json:"largest"`
	BodyBytes   *int64       `json:"bodyBytes,omitempty"`
}

type percentile struct {
	Percent int   `json:"percent"`
	Bytes   int64 `json:"bytes"`
}

// Run tells what is stored in numbers.
func (c *statsCommand) Run(ctx context.Context, s *session) error {
	if c.Largest < 0 {
		return usagef("--largest is negative")
	}
	return c.with(ctx, s, false, func(rc *cache.ResponseCache) error {
		sc, err := c.scope(ctx, s, rc, c.Tables)
		if err != nil {
			return err
		}
		if c.Bodies {
			if err := sc.checkOpen(ctx, c.Keys); err != nil {
				return err
			}
			sc.query.Bodies = true
		}
		t := newTally(s.begun, c.Largest)
		for e, err := range sc.contents.Entries(ctx, sc.query) {
			if err != nil {
				return err
			}
			t.add(e)
		}
		if t.all.Entries == 0 {
			return errNothing
		}
		if s.JSON {
			return s.out.Document(s.statisticsOf(t, sc.names, c.Bodies))
		}
		s.tellTally(t, sc.names, c.Bodies)
		return nil
	})
}

// tally adds up entries.
type tally struct {
	now               time.Time
	all               figures
	status            map[int]*figures
	age, expiry, size []figures
	sizes             []int64
	largest           []cache.Stored // the largest first
	most              int            // of them
	bodies            int64
}

// The upper ends of what ages, times to live and sizes are counted by.
var (
	ages = []time.Duration{time.Minute, time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour, 365 * 24 * time.Hour}
	ends = []int64{1 << 10, 10 << 10, 100 << 10, 1 << 20, 10 << 20}
)

func newTally(now time.Time, largest int) *tally {
	t := &tally{now: now, status: make(map[int]*figures), most: largest}
	t.age, t.size = classes("less than ", ages, human.Duration, " or more"), classes("less than ", ends, human.Size, " or more")
	t.expiry = append([]figures{{Name: "expired"}}, classes("in less than ", ages, human.Duration, " or later")...)
	t.expiry = append(t.expiry, figures{Name: "never"})
	return t
}

// classes are those below each end, and one of what is beyond the last.
func classes[T any](below string, ends []T, text func(T) string, beyond string) []figures {
	var all []figures
	for _, end := range ends {
		all = append(all, figures{Name: below + text(end)})
	}
	return append(all, figures{Name: text(ends[len(ends)-1]) + beyond})
}

func classOf[T cmp.Ordered](ends []T, v T) int {
	i := slices.IndexFunc(ends, func(end T) bool { return v < end })
	if i < 0 {
		return len(ends)
	}
	return i
}

func (f *figures) add(bytes int64) {
	f.Entries++
	f.Bytes += bytes
}

func (t *tally) add(e cache.Stored) {
	t.all.add(e.Size)
	if t.status[e.Status] == nil {
		t.status[e.Status] = &figures{Name: strconv.Itoa(e.Status)}
	}
	t.status[e.Status].add(e.Size)
	t.age[classOf(ages, t.now.Sub(e.CachedAt))].add(e.Size)
	t.size[classOf(ends, e.Size)].add(e.Size)
	switch left := e.ExpiresAt.Sub(t.now); {
	case e.ExpiresAt.IsZero():
		t.expiry[len(t.expiry)-1].add(e.Size)
	case left <= 0:
		t.expiry[0].add(e.Size)
	default:
		t.expiry[1+classOf(ages, left)].add(e.Size)
	}
	t.sizes = append(t.sizes, e.Size)
	t.bodies += int64(len(e.Payload))
	e.Payload = nil
	at, _ := slices.BinarySearchFunc(t.largest, e, func(a, b cache.Stored) int { return cmp.Compare(b.Size, a.Size) })
	if at < t.most {
		t.largest = slices.Insert(t.largest, at, e)
		t.largest = t.largest[:min(len(t.largest), t.most)]
	}
}

// statuses are the figures by status code.
func (t *tally) statuses() []figures {
	var all []figures
	for _, f := range t.status {
		all = append(all, *f)
	}
	slices.SortFunc(all, func(a, b figures) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// percentiles are the least sizes which so many percent of the entries do not exceed.
func (t *tally) percentiles() []percentile {
	slices.Sort(t.sizes)
	var all []percentile
	for _, p := range []int{50, 90, 99, 100} {
		all = append(all, percentile{p, t.sizes[(len(t.sizes)*p+99)/100-1]})
	}
	return all
}

func (s *session) statisticsOf(t *tally, names tableNames, bodies bool) statistics {
	result := statistics{
		Entries: t.all.Entries, Bytes: t.all.Bytes, Status: t.statuses(), Age: t.age, Expiry: t.expiry, Size: t.size,
		Percentiles: t.percentiles(), Largest: []entry{},
	}
	for _, e := range t.largest {
		result.Largest = append(result.Largest, s.entryOf(names.of(e.Table), e))
	}
	if bodies {
		result.BodyBytes = &t.bodies
	}
	return result
}

func (s *session) tellTally(t *tally, names tableNames, bodies bool) {
	s.out.Printf("%s, %s\n", human.Things(t.all.Entries, "entry", "entries"), human.Size(t.all.Bytes))
	if bodies {
		s.out.Printf("The bodies are %s without compression.\n", human.Size(t.bodies))
	}
	for _, group := range []struct {
		title string
		rows  []figures
	}{{"STATUS", t.statuses()}, {"AGE", t.age}, {"EXPIRES", t.expiry}, {"SIZE OF AN ENTRY", t.size}} {
		s.out.Printf("\n")
		table := s.out.Table(term.Column{Title: group.title}, term.Column{Title: "ENTRIES", Right: true, Fixed: true}, term.Column{Title: "SIZE", Right: true, Fixed: true})
		for _, f := range group.rows {
			if f.Entries > 0 {
				table.Row(f.Name, human.Count(f.Entries), human.Size(f.Bytes))
			}
		}
		table.Flush()
	}
	s.out.Printf("\n")
	table := s.out.Table(term.Column{Title: "ENTRIES"}, term.Column{Title: "TAKE AT MOST", Right: true, Fixed: true})
	for _, p := range t.percentiles() {
		table.Row(strconv.Itoa(p.Percent)+"%", human.Size(p.Bytes))
	}
	table.Flush()
	if len(t.largest) > 0 {
		s.out.Printf("\n%s\n", s.out.Styled(term.Bold, "The largest"))
		largest := s.entryTable()
		for _, e := range t.largest {
			largest.row(names.of(e.Table), e)
		}
		largest.Flush()
	}
}
