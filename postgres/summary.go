package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// Summarize implements [driver.Summarizer]. It reads rows without what stands beside them, which is
// all of a large body.
func (s *Store) Summarize(ctx context.Context, spec driver.TableSpec, now time.Time) (sum driver.Summary, err error) {
	text := fmt.Sprintf("SELECT count(*), coalesce(sum(t._size), 0)::bigint, count(*) FILTER (WHERE t.expires_at > $1), "+
		"count(*) FILTER (WHERE t.status IN (404, 410)), min(t.cached_at), max(t.cached_at) FROM %s AS t", newNames(s.opts, spec).table)
	err = s.run(ctx, "summarize", spec.Name, func() error {
		args := newArguments(0)
		defer args.free()
		args.now(driver.Filter{State: driver.Live, Now: now})
		return s.with(ctx, repeatable, func(c *conn) error {
			_, err := c.query(ctx, &statement{text: text}, args, func(row [][]byte) error {
				sum, err = readSummary(row)
				return err
			})
			return err
		})
	})
	if err != nil {
		return driver.Summary{}, err
	}
	return sum, nil
}

func readSummary(row [][]byte) (sum driver.Summary, err error) {
	var numbers [4]int64
	for i := range numbers {
		if numbers[i], err = readInt64(row[i]); err != nil {
			return sum, err
		}
	}
	if sum.Entries = int(numbers[0]); sum.Entries == 0 {
		return sum, nil
	}
	sum.Bytes, sum.Live, sum.Absent = numbers[1], int(numbers[2]), int(numbers[3])
	if sum.Oldest, err = readTime(row[4]); err != nil {
		return sum, err
	}
	sum.Newest, err = readTime(row[5])
	return sum, err
}
