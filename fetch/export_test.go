package fetch

import (
	"context"

	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

// Stats are those of the exchange that the fetcher's repository belongs to.
func (f *Fetcher[K, V]) Stats() exchange.Stats { return f.table.Exchange().Stats() }

// Pending is how many flights there are, and how many callers wait for them.
func (f *Fetcher[K, V]) Pending() (flights, callers int) { return f.current().Pending() }

// Source is a fetcher's way to the origin alone.
type Source[K comparable] struct{ source *source[K] }

// Answer is a response with a value, or why there is none.
type Answer struct {
	Entry repository.Entry
	Err   error
}

// NewSource returns the way to the origin of a repository with these settings.
func NewSource[K comparable, V any](c *Client, s settings.RepositorySettings[K, V]) (*Source[K], error) {
	source, err := newSource(c, s)
	return &Source[K]{source}, err
}

// Requests is how many requests have been sent so far.
func (s *Source[K]) Requests() int64 { return s.source.traffic.Requests() }

// InFlight is how many requests are under way.
func (s *Source[K]) InFlight() int64 { return s.source.traffic.InFlight() }

// Limited is a source like s with no more than n requests at once.
func (s *Source[K]) Limited(n int) *Source[K] { return &Source[K]{s.source.limited(n, &Traffic{})} }

// Batches are keys by the requests that a run of them makes.
func (s *Source[K]) Batches(keys []K) (batches [][]K) {
	open := make(map[any]int)
	for _, key := range keys {
		group, ok := s.source.Group(key)
		at, found := open[group]
		switch {
		case !ok:
			batches = append(batches, []K{key})
		case !found || len(batches[at]) == s.source.BatchSize():
			open[group] = len(batches)
			batches = append(batches, []K{key})
		default:
			batches[at] = append(batches[at], key)
		}
	}
	return batches
}

// Fetch asks for keys with one request, and calls each for every answer.
func (s *Source[K]) Fetch(ctx context.Context, keys []K, each func(int, Answer)) {
	if len(keys) == 0 {
		return
	}
	s.source.ask(ctx, keys, false, func(from int, answers []answer) {
		for i, a := range answers {
			each(from+i, a.exported())
		}
	})
}

func (a answer) exported() Answer {
	switch {
	case a.err != nil:
		return Answer{Err: a.err}
	case !exchange.HasValue(a.resp.StatusCode):
		return Answer{Err: statusError(a.resp)}
	}
	entry, err := repository.EntryOf(a.resp, a.body)
	return Answer{Entry: entry, Err: err}
}
