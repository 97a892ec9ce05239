package driver

import (
	"context"
	"errors"
	"time"
)

// Summary is what a table holds, summed up.
type Summary struct {
	Size

	Live   int // entries that are live
	Absent int // entries of status 404 or 410

	// Oldest and Newest are the first and the last CachedAt, zero where there is no entry.
	Oldest, Newest time.Time
}

// Add adds an entry with its parts Meta and Usage to the summary as of now.
func (s *Summary) Add(e Entry, now time.Time) {
	if s.Entries == 0 || e.CachedAt.Before(s.Oldest) {
		s.Oldest = e.CachedAt
	}
	if s.Entries == 0 || e.CachedAt.After(s.Newest) {
		s.Newest = e.CachedAt
	}
	s.Entries++
	s.Bytes += e.Size
	if e.Live(now) {
		s.Live++
	}
	if e.Status == 404 || e.Status == 410 {
		s.Absent++
	}
}

// Summarizer is a [Store] that can sum up a table in one statement, where others have to read
// each entry. It tells what a sum of [Summary.Add] would.
type Summarizer interface {
	Store

	// Summarize sums up the table that spec describes as of now, which is UTC and whole
	// microseconds. The caller guarantees that there is such a table. It changes nothing. Where
	// what the store is connected to cannot do so, it returns [errors.ErrUnsupported], wrapped.
	Summarize(ctx context.Context, spec TableSpec, now time.Time) (Summary, error)
}

// Summarize sums up a table of the store as of now, which is UTC and whole microseconds, if it
// can in one statement, and otherwise by reading all entries without their payloads.
func Summarize(ctx context.Context, s Store, t Table, spec TableSpec, now time.Time) (sum Summary, err error) {
	if summarizer, ok := As[Summarizer](s); ok {
		sum, err = summarizer.Summarize(ctx, spec, now)
		if !errors.Is(err, errors.ErrUnsupported) {
			return sum, err
		}
	}
	sum = Summary{}
	for e, err := range t.Entries(ctx, Selection{Parts: Meta | Usage}) {
		if err != nil {
			return Summary{}, err
		}
		sum.Add(e, now)
	}
	return sum, nil
}
