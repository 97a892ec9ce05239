package cache

import (
	"context"
	"errors"
	"iter"
)

// Save stores responses as they are given, with their names, statuses, headers, bodies and times, and returns how
// many. Those of a repository that the store has no table of make one, with the columns and the declaration given; a
// table with other columns, or of another declaration, is an error. An entry that is there is replaced. Save takes
// many at once: it writes in batches, and an error leaves those before it saved. declarations may be nil: then
// the store remembers none for tables that are made.
func (s *Contents) Save(ctx context.Context, responses iter.Seq2[Stored, error], declarations []Table) (int, error) {
	return 0, errors.ErrUnsupported
}
