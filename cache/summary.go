package cache

import (
	"context"
	"time"
)

// Summary tells what a table of the store holds. Variants are not counted.
type Summary struct {
	Table

	Live    int   // entries that have not expired
	Expired int   // entries that have, or that an invalidation has made old
	Absent  int   // entries of both kinds which say that the origin has nothing, a 404 or 410
	Bytes   int64 // as in Size

	// Oldest and Newest are when the first and the last of the entries were requested; zero
	// where there are none.
	Oldest, Newest time.Time
}

// Summaries returns what each table of the contents holds, by name in byte order. It reads no
// bodies, and changes nothing. SQLite, PostgreSQL and MongoDB sum up a table in one statement,
// which reads each row, without the pages of large bodies; of other stores, each entry is read.
// Where something was invalidated, the live entries of the tables concerned are looked at, too.
func (s *Contents) Summaries(ctx context.Context) ([]Summary, error) {
	listed, err := s.listed(ctx)
	if err != nil {
		return nil, err
	}
	tables, err := s.open(ctx, listed)
	if err != nil {
		return nil, err
	}
	summaries := make([]Summary, len(tables))
	for i, t := range tables {
		sum, err := t.Summarize(ctx)
		if err != nil {
			return nil, err
		}
		summaries[i] = Summary{
			Table: s.cache.asTable(listed[i]), Live: sum.Live, Expired: sum.Entries - sum.Live, Absent: sum.Absent,
			Bytes: sum.Bytes, Oldest: sum.Oldest, Newest: sum.Newest,
		}
	}
	return summaries, nil
}
