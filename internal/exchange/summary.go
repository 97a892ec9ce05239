package exchange

import (
	"context"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/ruined"
)

// Summarize sums up the table as of now. It changes nothing, not even what it finds damaged. What
// marks have made old is not live.
func (t *Table) Summarize(ctx context.Context) (driver.Summary, error) {
	now := instant(t.x.Now())
	sum, err := driver.Summarize(ctx, t.x.records.keptIn(), t.base, t.Spec(), now)
	if err != nil || sum.Entries == 0 {
		return sum, err
	}
	if sum.Oldest.Equal(ruined.At) {
		if sum.Oldest, err = t.oldest(ctx); err != nil {
			return driver.Summary{}, err
		}
		if sum.Oldest.IsZero() {
			sum.Newest = time.Time{}
		}
	}
	if t.marked == nil || sum.Live == 0 {
		return sum, nil
	}
	some, err := t.marked.isMarked(ctx, sum.Oldest)
	if err != nil || !some {
		return sum, err
	}
	m := *t.marked
	m.Table = t.base
	sum.Live = 0
	for _, err := range m.Entries(ctx, driver.Selection{Filter: driver.Filter{State: driver.Live, Now: now}}) {
		if err != nil {
			return driver.Summary{}, err
		}
		sum.Live++
	}
	return sum, nil
}

// oldest is the first CachedAt of an entry that is not one of those that are out of the way.
func (t *Table) oldest(ctx context.Context) (oldest time.Time, err error) {
	sel := driver.Selection{Parts: driver.Meta}
	sel.Where.CachedFrom = ruined.At.Add(time.Microsecond)
	for e, err := range t.base.Entries(ctx, sel) {
		if err != nil {
			return time.Time{}, err
		}
		if oldest.IsZero() || e.CachedAt.Before(oldest) {
			oldest = e.CachedAt
		}
	}
	return oldest, nil
}

// isMarked reports whether there is a mark that may make an entry old which is known of as of
// an instant, or later.
func (m *marked) isMarked(ctx context.Context, from time.Time) (bool, error) {
	sel := driver.Selection{Parts: driver.Payload | driver.Meta}
	sel.Leading, sel.Where.CachedFrom = driver.Key{markRecord}, from
	for e, err := range m.marks.table.table.Entries(ctx, sel) {
		if err != nil {
			return false, err
		}
		if about := string(e.Payload); about == m.name || about == "" && m.tagged {
			return true, nil
		}
	}
	return false, nil
}
