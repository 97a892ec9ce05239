package sqlite

import (
	"context"
	sqldriver "database/sql/driver"
	"fmt"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// Summarize implements [driver.Summarizer]. It reads each row as far as its lengths: bodies that
// go on in other pages are not read.
func (s *Store) Summarize(ctx context.Context, spec driver.TableSpec, now time.Time) (sum driver.Summary, err error) {
	n := newNames(spec)
	const times = "(cached_us) FILTER (WHERE typeof(cached_us) = 'integer')" // a text is greater than all
	text := fmt.Sprintf("SELECT count(*), sum(%s), sum(expires_us > ?), sum(status IN (404, 410)), min%s, max%s FROM %s", n.size, times, times, n.table)
	err = s.run(ctx, "summarize", spec.Name, func() error {
		return s.readers.with(ctx, func(c *conn) error {
			stmt, err := c.prepare(ctx, stmtKey{text: text})
			if err != nil {
				return err
			}
			stmt.bind(now.UnixMicro())
			return c.queryLong(ctx, stmt, 6, func(row []sqldriver.Value) bool {
				var numbers [6]int64
				for i := range numbers {
					numbers[i], _ = row[i].(int64) // NULL where there is no entry
				}
				if sum = (driver.Summary{}); numbers[0] == 0 {
					return false
				}
				sum.Entries, sum.Bytes, sum.Live, sum.Absent = int(numbers[0]), numbers[1], int(numbers[2]), int(numbers[3])
				sum.Oldest, sum.Newest = time.UnixMicro(numbers[4]).UTC(), time.UnixMicro(numbers[5]).UTC()
				return false
			})
		})
	})
	if err != nil {
		return driver.Summary{}, err
	}
	return sum, nil
}
