package drivertest_test

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// conditional are mutants that break a promise of PutIf or of Renew. Those that check
// and store in two steps would fail the races as well, which come last.
var conditional = []mutant{
	{"takes an expired entry for an absent one", "PutIf", "if_absent", withCondition(func(c *driver.Condition) {
		if c.If == driver.IfAbsent {
			c.If = driver.IfNotLive
		}
	})},
	{"spares expired entries", "PutIf", "if_not_live", withCondition(func(c *driver.Condition) {
		if c.If == driver.IfNotLive {
			c.If = driver.IfAbsent
		}
	})},
	{"takes an entry for live a microsecond longer", "PutIf", "if_not_live", withCondition(func(c *driver.Condition) { c.Now = c.Now.Add(-time.Microsecond) })},
	{"takes an entry for expired a microsecond earlier", "PutIf", "if_not_live", withCondition(func(c *driver.Condition) { c.Now = c.Now.Add(time.Microsecond) })},
	{"puts by its own clock", "PutIf", "if_not_live", withCondition(func(c *driver.Condition) { c.Now = time.Now() })},
	{"takes an unknown precondition for a known one", "PutIf", "unknown", withCondition(func(c *driver.Condition) {
		if c.Validate() != nil {
			c.If = driver.IfNewer
		}
	})},
	{"asks for no condition", "PutIf", "if_absent", putIfBy(func(driver.Condition, driver.Entry, driver.Entry) bool { return true })},
	{"refuses an entry of the same time", "PutIf", "same_microsecond", putIfBy(func(c driver.Condition, old, e driver.Entry) bool {
		return c.Allows(old, e) && (c.If != driver.IfNewer || !old.CachedAt.Equal(e.CachedAt))
	})},
	{"compares times to the millisecond", "PutIf", "if_newer", putIfBy(func(c driver.Condition, old, e driver.Entry) bool {
		if c.If == driver.IfNewer {
			old.CachedAt, e.CachedAt = old.CachedAt.Truncate(time.Millisecond), e.CachedAt.Truncate(time.Millisecond)
		}
		return c.Allows(old, e)
	})},
	{"compares the wrong entries' times", "PutIf", "if_newer", putIfBy(func(c driver.Condition, old, e driver.Entry) bool {
		if c.If == driver.IfNewer {
			return c.Allows(e, old)
		}
		return c.Allows(old, e)
	})},
	{"puts what is absent for what is unchanged", "PutIf", "put_if_unchanged", putIf(func(ctx context.Context, t driver.Table, entries []driver.Entry, c driver.Condition) ([]bool, error) {
		if c.If == driver.IfUnchanged {
			absent, err := t.PutIf(ctx, entries, driver.Condition{If: driver.IfAbsent})
			if err != nil || slices.Contains(absent, true) {
				return absent, err
			}
		}
		return t.PutIf(ctx, entries, c)
	})},
	{"puts if newer what is to be unchanged", "PutIf", "put_if_unchanged", putIfBy(func(c driver.Condition, old, e driver.Entry) bool {
		if c.If == driver.IfUnchanged {
			c.If = driver.IfNewer
		}
		return c.Allows(old, e)
	})},
	{"puts in the place of any entry if unchanged", "PutIf", "put_if_unchanged", putIfBy(func(c driver.Condition, old, e driver.Entry) bool {
		return c.If == driver.IfUnchanged || c.Allows(old, e)
	})},
	{"finds a changed entry unchanged in the same millisecond", "PutIf", "put_if_unchanged", putIfBy(func(c driver.Condition, old, e driver.Entry) bool {
		if c.If == driver.IfUnchanged {
			old.CachedAt, e.CachedAt = old.CachedAt.Truncate(time.Millisecond), e.CachedAt.Truncate(time.Millisecond)
		}
		return c.Allows(old, e)
	})},
	{"takes an expired entry for a changed one", "PutIf", "put_if_unchanged", putIfBy(func(c driver.Condition, old, e driver.Entry) bool {
		return c.Allows(old, e) && (c.If != driver.IfUnchanged || old.Live(now.Add(2*time.Hour)))
	})},
	{"renews what it is to put if unchanged", "PutIf", "if_unchanged", putIf(func(ctx context.Context, t driver.Table, entries []driver.Entry, c driver.Condition) ([]bool, error) {
		if c.If != driver.IfUnchanged {
			return t.PutIf(ctx, entries, c)
		}
		renewals := make([]driver.Renewal, len(entries))
		for i, e := range entries {
			renewals[i] = driver.Renewal{Key: e.Key, Seen: e.CachedAt, Header: e.Header, CachedAt: e.CachedAt, ExpiresAt: e.ExpiresAt, MetaSum: e.MetaSum}
		}
		return t.Renew(ctx, renewals)
	})},
	{"checks, and then puts if unchanged", "PutIf", "what_", slowly(putIf(func(ctx context.Context, t driver.Table, entries []driver.Entry, c driver.Condition) ([]bool, error) {
		if c.If != driver.IfUnchanged {
			return t.PutIf(ctx, entries, c)
		}
		return putIfBy(driver.Condition.Allows).putIf(ctx, t, entries, c)
	}))},
	{"checks, and then puts", "PutIf", "of_many", slowly(putIfBy(driver.Condition.Allows))},
	{"reports what it was given as stored", "PutIf", "if_absent", putIf(func(ctx context.Context, t driver.Table, entries []driver.Entry, c driver.Condition) ([]bool, error) {
		_, err := t.PutIf(ctx, entries, c)
		return outcomes(len(entries), true, err)
	})},
	{"reports in the order of the keys", "PutIf", "mixed_outcomes", putIf(func(ctx context.Context, t driver.Table, entries []driver.Entry, c driver.Condition) ([]bool, error) {
		entries = slices.Clone(entries)
		slices.SortFunc(entries, func(a, b driver.Entry) int { return driver.CompareKeys(a.Key, b.Key) })
		return t.PutIf(ctx, entries, c)
	})},
	{"puts the first 1,000 entries", "PutIf", "mixed_outcomes", putIf(func(ctx context.Context, t driver.Table, entries []driver.Entry, c driver.Condition) ([]bool, error) {
		stored, err := t.PutIf(ctx, entries[:min(len(entries), 1_000)], c)
		return append(stored, make([]bool, len(entries)-len(stored))...), err
	})},
	{"keeps the header of an entry that a put replaces", "PutIf", "true", putIf(func(ctx context.Context, t driver.Table, entries []driver.Entry, c driver.Condition) ([]bool, error) {
		entries = slices.Clone(entries)
		for i, e := range entries {
			_ = t.Get(ctx, []driver.Key{e.Key}, driver.Selection{}, func(_ int, old driver.Entry) { entries[i].Header = old.Header })
		}
		return t.PutIf(ctx, entries, c)
	})},
	{"leaves out what is too large for a put if absent", "PutIf", "limit", putIf(func(ctx context.Context, t driver.Table, entries []driver.Entry, c driver.Condition) ([]bool, error) {
		stored, err := t.PutIf(ctx, entries, c)
		if errors.Is(err, driver.ErrTooLarge) {
			return make([]bool, len(entries)), nil
		}
		return stored, err
	})},
	{"fails to put nothing", "PutIf", "put_of_nothing", putIf(func(ctx context.Context, t driver.Table, entries []driver.Entry, c driver.Condition) ([]bool, error) {
		if len(entries) == 0 {
			return nil, errors.New("nothing to put")
		}
		return t.PutIf(ctx, entries, c)
	})},
	{"puts if newer though the context is done", "Context", "", putIf(func(ctx context.Context, t driver.Table, entries []driver.Entry, c driver.Condition) ([]bool, error) {
		return t.PutIf(context.WithoutCancel(ctx), entries, c)
	})},
	{"puts nothing after a close without an error", "Close", "", putIf(func(ctx context.Context, t driver.Table, entries []driver.Entry, c driver.Condition) ([]bool, error) {
		stored, err := t.PutIf(ctx, entries, c)
		if errors.Is(err, driver.ErrClosed) {
			return make([]bool, len(entries)), nil
		}
		return stored, err
	})},
	{"does not say which table failed to put", "Errors", "", putIf(func(ctx context.Context, t driver.Table, entries []driver.Entry, c driver.Condition) ([]bool, error) {
		stored, err := t.PutIf(ctx, entries, c)
		return stored, errors.Unwrap(err)
	})},

	{"renews what it finds", "Renew", "of_another_time", renewBy(func(*driver.Entry, driver.Renewal) bool { return true })},
	{"compares the seen time to the millisecond", "Renew", "of_another_time", renewBy(func(e *driver.Entry, r driver.Renewal) bool {
		return e.CachedAt.Truncate(time.Millisecond).Equal(r.Seen.Truncate(time.Millisecond))
	})},
	{"renews what has not expired", "Renew", "long_ago", renewBy(func(e *driver.Entry, r driver.Renewal) bool {
		return e.CachedAt.Equal(r.Seen) && e.Live(time.Now())
	})},
	{"empties the payload of a renewed entry", "Renew", "nothing_else", renewBy(func(e *driver.Entry, r driver.Renewal) bool {
		e.Payload = nil
		return e.CachedAt.Equal(r.Seen)
	})},
	{"cuts a large payload that it renews", "Renew", "large_payload", renewBy(func(e *driver.Entry, r driver.Renewal) bool {
		e.Payload = e.Payload[:min(len(e.Payload), 5<<20)]
		return e.CachedAt.Equal(r.Seen)
	})},
	{"forgets the name of a renewed entry", "Renew", "nothing_else", renewBy(func(e *driver.Entry, r driver.Renewal) bool {
		e.Name = ""
		return e.CachedAt.Equal(r.Seen)
	})},
	{"gives a renewed entry the status 304", "Renew", "nothing_else", renewBy(func(e *driver.Entry, r driver.Renewal) bool {
		e.Status = 304
		return e.CachedAt.Equal(r.Seen)
	})},
	{"renews by reading and putting", "Renew", "of_many", slowly(renewBy(func(e *driver.Entry, r driver.Renewal) bool { return e.CachedAt.Equal(r.Seen) }))},
	{"renews headers alone", "Renew", "nothing_else", withRenewals(func(r *driver.Renewal) { r.CachedAt, r.ExpiresAt = r.Seen, now })},
	{"renews times alone", "Renew", "nothing_else", withRenewals(func(r *driver.Renewal) { r.Header = "" })},
	{"renews no entry to live for ever", "Renew", "nothing_else", withRenewals(func(r *driver.Renewal) {
		if r.ExpiresAt.IsZero() {
			r.ExpiresAt = now
		}
	})},
	{"creates what it cannot renew", "Renew", "of_another_time", renew(func(ctx context.Context, t driver.Table, renewals []driver.Renewal) ([]bool, error) {
		for _, r := range renewals {
			e := driver.Entry{Key: r.Key, Header: r.Header, CachedAt: r.Seen, ExpiresAt: r.ExpiresAt}
			if _, err := t.PutIf(ctx, []driver.Entry{e}, driver.Condition{If: driver.IfAbsent}); err != nil {
				return nil, err
			}
		}
		return t.Renew(ctx, renewals)
	})},
	{"does not count a renewal that changes nothing", "Renew", "changes_nothing", renew(func(ctx context.Context, t driver.Table, renewals []driver.Renewal) ([]bool, error) {
		done, err := t.Renew(ctx, renewals)
		for i := range done {
			done[i] = done[i] && !renewals[i].CachedAt.Equal(renewals[i].Seen)
		}
		return done, err
	})},
	{"reports all renewals as done", "Renew", "of_another_time", renew(func(ctx context.Context, t driver.Table, renewals []driver.Renewal) ([]bool, error) {
		_, err := t.Renew(ctx, renewals)
		return outcomes(len(renewals), true, err)
	})},
	{"reports renewals in the order of the keys", "Renew", "of_another_time", renew(func(ctx context.Context, t driver.Table, renewals []driver.Renewal) ([]bool, error) {
		renewals = slices.Clone(renewals)
		slices.SortFunc(renewals, func(a, b driver.Renewal) int { return driver.CompareKeys(a.Key, b.Key) })
		return t.Renew(ctx, renewals)
	})},
	{"renews the first 1,000 entries", "Renew", "mixed_outcomes", renew(func(ctx context.Context, t driver.Table, renewals []driver.Renewal) ([]bool, error) {
		done, err := t.Renew(ctx, renewals[:min(len(renewals), 1_000)])
		return append(done, make([]bool, len(renewals)-len(done))...), err
	})},
	{"fails to renew nothing", "Renew", "renewal_of_nothing", renew(func(ctx context.Context, t driver.Table, renewals []driver.Renewal) ([]bool, error) {
		if len(renewals) == 0 {
			return nil, errors.New("nothing to renew")
		}
		return t.Renew(ctx, renewals)
	})},
	{"renews though the context is done", "Context", "", renew(func(ctx context.Context, t driver.Table, renewals []driver.Renewal) ([]bool, error) {
		return t.Renew(context.WithoutCancel(ctx), renewals)
	})},
	{"renews nothing after a close without an error", "Close", "", renew(func(ctx context.Context, t driver.Table, renewals []driver.Renewal) ([]bool, error) {
		done, err := t.Renew(ctx, renewals)
		if errors.Is(err, driver.ErrClosed) {
			return make([]bool, len(renewals)), nil
		}
		return done, err
	})},
	{"does not say which table failed to renew", "Errors", "", renew(func(ctx context.Context, t driver.Table, renewals []driver.Renewal) ([]bool, error) {
		done, err := t.Renew(ctx, renewals)
		return done, errors.Unwrap(err)
	})},
}

var now = time.Now().UTC().Truncate(time.Microsecond)

type (
	putIfFunc = func(context.Context, driver.Table, []driver.Entry, driver.Condition) ([]bool, error)
	renewFunc = func(context.Context, driver.Table, []driver.Renewal) ([]bool, error)
)

func putIf(f putIfFunc) faults { return faults{putIf: f} }
func renew(f renewFunc) faults { return faults{renew: f} }

func outcomes(n int, outcome bool, err error) ([]bool, error) {
	if err != nil {
		return nil, err
	}
	return slices.Repeat([]bool{outcome}, n), nil
}

// withCondition asks for another condition.
func withCondition(change func(*driver.Condition)) faults {
	return putIf(func(ctx context.Context, t driver.Table, entries []driver.Entry, c driver.Condition) ([]bool, error) {
		change(&c)
		return t.PutIf(ctx, entries, c)
	})
}

// withRenewals renews otherwise.
func withRenewals(change func(*driver.Renewal)) faults {
	return renew(func(ctx context.Context, t driver.Table, renewals []driver.Renewal) ([]bool, error) {
		renewals = slices.Clone(renewals)
		for i := range renewals {
			change(&renewals[i])
		}
		return t.Renew(ctx, renewals)
	})
}

// putIfBy looks for an entry and then puts the new one where there is none or allowed
// says so.
func putIfBy(allowed func(c driver.Condition, old, e driver.Entry) bool) faults {
	return putIf(func(ctx context.Context, t driver.Table, entries []driver.Entry, c driver.Condition) ([]bool, error) {
		if _, err := t.PutIf(ctx, nil, c); err != nil {
			return nil, err
		}
		stored := slices.Repeat([]bool{c.If != driver.IfUnchanged}, len(entries))
		for i, e := range entries {
			err := t.Get(ctx, []driver.Key{e.Key}, driver.Selection{Parts: driver.Meta}, func(_ int, old driver.Entry) { stored[i] = allowed(c, old, e) })
			if err == nil && stored[i] {
				err = t.Put(ctx, []driver.Entry{e})
			}
			if err != nil {
				return nil, err
			}
		}
		return stored, nil
	})
}

// slowly lets others go on after each read, as a store on a network does.
func slowly(f faults) faults {
	putIf, renew := f.putIf, f.renew
	if putIf != nil {
		f.putIf = func(ctx context.Context, t driver.Table, entries []driver.Entry, c driver.Condition) ([]bool, error) {
			return putIf(ctx, slowTable{t}, entries, c)
		}
	}
	if renew != nil {
		f.renew = func(ctx context.Context, t driver.Table, renewals []driver.Renewal) ([]bool, error) {
			return renew(ctx, slowTable{t}, renewals)
		}
	}
	return f
}

type slowTable struct{ driver.Table }

func (t slowTable) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	err := t.Table.Get(ctx, keys, sel, visit)
	time.Sleep(100 * time.Microsecond)
	return err
}

// renewBy reads an entry and puts it back renewed if change says so.
func renewBy(change func(e *driver.Entry, r driver.Renewal) bool) faults {
	return renew(func(ctx context.Context, t driver.Table, renewals []driver.Renewal) ([]bool, error) {
		done := make([]bool, len(renewals))
		for i, r := range renewals {
			var e driver.Entry
			found := false
			err := t.Get(ctx, []driver.Key{r.Key}, driver.Selection{Parts: driver.Meta | driver.Payload}, func(_ int, old driver.Entry) { e, found = old, true })
			if err == nil && found && change(&e, r) {
				e.Key, e.Header, e.CachedAt, e.ExpiresAt, e.MetaSum = r.Key, r.Header, r.CachedAt, r.ExpiresAt, r.MetaSum
				done[i] = true
				err = t.Put(ctx, []driver.Entry{e})
			}
			if err != nil {
				return nil, err
			}
		}
		return done, nil
	})
}
