package dynamodb

import (
	"context"
	"iter"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/endpointcache/endpointcache/driver"
)

// Entries reads pages of several partitions at once, each of which DynamoDB ends at a
// MiB, and yields them before it reads more.
func (t *table) Entries(ctx context.Context, sel driver.Selection) iter.Seq2[driver.Entry, error] {
	return func(yield func(driver.Entry, error) bool) {
		for s := t.scan(sel); s.more(); {
			var entries []driver.Entry
			err := t.store.run(ctx, "iterate over", t.spec.Name, func() (err error) {
				entries, err = s.next(ctx)
				return err
			})
			if err != nil {
				yield(driver.Entry{}, err)
				return
			}
			for i := range entries {
				if !yield(entries[i], nil) {
					return
				}
				entries[i] = driver.Entry{} // the body may be large
			}
		}
	}
}

// scan is where an iteration is.
type scan struct {
	table   *table
	sel     driver.Selection
	queries []*dynamodb.QueryInput // of the partitions that have not been read to the end
	split   []record               // of what was read, those whose payloads have not
}

func (t *table) scan(sel driver.Selection) *scan {
	sel.Parts |= sel.Where.Parts()
	s := &scan{table: t, sel: sel}
	for _, partition := range t.partitions.entries {
		s.queries = append(s.queries, t.entriesQueries(partition, sel)...)
	}
	return s
}

// entriesQueries ask for the selected entries of a partition in the order of their keys,
// which does not change when they are replaced, or for keys alone.
func (t *table) entriesQueries(partition string, sel driver.Selection) []*dynamodb.QueryInput {
	var queries []*dynamodb.QueryInput
	switch {
	case isByKey(sel.Filter):
		queries = t.leadingQueries(partition, sel.Filter)
	case sel.Parts == 0:
		queries = append(queries, t.indexQuery(partition, sel.Filter)) // which has no payloads
	default:
		queries = append(queries, t.entriesQuery(partition, sel.Filter))
	}
	for _, query := range queries {
		project(query, t.projections[1][sel.Parts])
	}
	return queries
}

func (s *scan) more() bool { return len(s.queries)+len(s.split) > 0 }

// next reads a page of each of the first partitions, or payloads that are split: a page
// may tell of more of them than there is memory.
func (s *scan) next(ctx context.Context) (entries []driver.Entry, err error) {
	var mu sync.Mutex
	seen := make(map[string]bool)
	r := s.table.reader(ctx, s.sel, s.table.projections[1][s.sel.Parts], func(r record) error {
		mu.Lock()
		defer mu.Unlock()
		if !seen[r.place.key] {
			seen[r.place.key] = true
			entries = append(entries, r.entry)
		}
		return nil
	})
	r.keyed = true
	if len(s.split) > 0 {
		for _, group := range firstOf(groupByParts(s.split), s.table.store.opts.Parallel) {
			r.split = append(r.split, group...)
		}
		s.split = s.split[len(r.split):]
		err = r.finish()
		return entries, err
	}
	err = s.readPages(ctx, r)
	s.split = r.split
	return entries, err
}

// readPages reads a page of each of the first partitions. In the index an entry that is
// saved again moves to another place; therefore a partition of it is read to its end at
// once, or a loop that saves what it is given would never end.
func (s *scan) readPages(ctx context.Context, r *reader) error {
	t := s.table
	first := firstOf(s.queries, t.store.opts.Parallel)
	ended := make([]bool, len(first))
	err := t.store.each(len(first), func(i int) error {
		query := first[i]
		for {
			page, err := t.store.client.Query(ctx, query)
			if err != nil {
				return err
			}
			for _, it := range page.Items {
				if err := r.read(it); err != nil {
					return err
				}
			}
			query.ExclusiveStartKey = page.LastEvaluatedKey
			ended[i] = len(page.LastEvaluatedKey) == 0
			if ended[i] || s.sel.Parts != 0 {
				return nil
			}
		}
	})
	var rest []*dynamodb.QueryInput
	for i, query := range s.queries {
		if i >= len(first) || !ended[i] {
			rest = append(rest, query)
		}
	}
	s.queries = rest
	return err
}

func firstOf[T any](all []T, n int) []T { return all[:min(n, len(all))] }
