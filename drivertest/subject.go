package drivertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// now is the suite's instant. Entries live for an hour from it unless a test
// says otherwise.
var now = time.Now().UTC().Truncate(time.Microsecond)

// everything selects all parts of all entries.
var everything = driver.Selection{Parts: driver.Payload | driver.Meta}

// at selects all parts of the entries of this state.
func at(instant time.Time, state driver.State) driver.Selection {
	sel := everything
	sel.Filter = driver.Filter{State: state, Now: instant}
	return sel
}

func text(name string) driver.Column    { return driver.Column{Name: name, Kind: driver.String} }
func integer(name string) driver.Column { return driver.Column{Name: name, Kind: driver.Int} }
func boolean(name string) driver.Column { return driver.Column{Name: name, Kind: driver.Bool} }

func key(values ...driver.Value) driver.Key { return values }

// id is the key of the i-th entry in a table with one string column.
func id(i int) driver.Key { return key(fmt.Sprintf("id-%06d", i)) }

// ids are the keys of n entries from the i-th on.
func ids(i, n int) []driver.Key {
	keys := make([]driver.Key, n)
	for j := range keys {
		keys[j] = id(i + j)
	}
	return keys
}

// version is an entry each of whose parts tells the number v.
func version(k driver.Key, v int) driver.Entry {
	return driver.Entry{
		Key:       k,
		Name:      fmt.Sprintf("name %d", v),
		Status:    v,
		Header:    fmt.Sprintf(`{"Etag":["%d"]}`, v),
		Payload:   fmt.Appendf(nil, `{"version":%d}`, v),
		CachedAt:  now.Add(time.Duration(v) * time.Microsecond),
		ExpiresAt: now.Add(time.Hour + time.Duration(v)*time.Microsecond),
		Encoding:  []string{"", "zstd"}[v&1],
		// Both bounds of the numbers are near.
		PayloadSum: ^uint32(v),
		MetaSum:    uint32(1)<<31 + uint32(v),
	}
}

// versions are entries of the same version.
func versions(keys []driver.Key, v int) []driver.Entry {
	entries := make([]driver.Entry, len(keys))
	for i, k := range keys {
		entries[i] = version(k, v)
	}
	return entries
}

// expiring is an entry that expires at an instant.
func expiring(k driver.Key, instant time.Time) driver.Entry {
	e := version(k, 1)
	e.ExpiresAt = instant
	return e
}

// renewal gives e, as it was seen, the times and the header of another version.
func renewal(e driver.Entry, v int) driver.Renewal {
	to := version(nil, v)
	return driver.Renewal{
		Key: e.Key, Seen: e.CachedAt, Name: e.Name, Status: e.Status,
		Header: to.Header, CachedAt: to.CachedAt, ExpiresAt: to.ExpiresAt, MetaSum: to.MetaSum,
	}
}

// renewed is e after a renewal.
func renewed(e driver.Entry, r driver.Renewal) driver.Entry {
	e.Header, e.CachedAt, e.ExpiresAt, e.MetaSum = r.Header, r.CachedAt, r.ExpiresAt, r.MetaSum
	return e
}

// diff tells how got differs from want in all but the key, or is empty.
func diff(want, got driver.Entry) string {
	switch {
	case want.Name != got.Name:
		return fmt.Sprintf("name is %.80q, want %.80q", got.Name, want.Name)
	case want.Status != got.Status:
		return fmt.Sprintf("status is %d, want %d", got.Status, want.Status)
	case !sameHeader(want.Header, got.Header):
		return fmt.Sprintf("header is %.80q, want %.80q", got.Header, want.Header)
	case !bytes.Equal(want.Payload, got.Payload):
		return fmt.Sprintf("payload is %d bytes %.80q, want %d bytes %.80q", len(got.Payload), got.Payload, len(want.Payload), want.Payload)
	case want.Encoding != got.Encoding:
		return fmt.Sprintf("encoding is %q, want %q", got.Encoding, want.Encoding)
	case want.PayloadSum != got.PayloadSum || want.MetaSum != got.MetaSum:
		return fmt.Sprintf("checksums are %x and %x, want %x and %x", got.PayloadSum, got.MetaSum, want.PayloadSum, want.MetaSum)
	case !want.CachedAt.Equal(got.CachedAt):
		return fmt.Sprintf("cached at %v, want %v", got.CachedAt, want.CachedAt)
	case want.ExpiresAt.IsZero() != got.ExpiresAt.IsZero() || !want.ExpiresAt.Equal(got.ExpiresAt):
		return fmt.Sprintf("expires at %v, want %v", got.ExpiresAt, want.ExpiresAt)
	case got.CachedAt.Location() != time.UTC || got.ExpiresAt.Location() != time.UTC:
		return fmt.Sprintf("times are %v and %v, want UTC", got.CachedAt, got.ExpiresAt)
	}
	return ""
}

// sameHeader compares JSON objects by what they hold.
func sameHeader(want, got string) bool {
	if want == "" || got == "" {
		return want == got
	}
	var w, g map[string]any
	return json.Unmarshal([]byte(want), &w) == nil && json.Unmarshal([]byte(got), &g) == nil && reflect.DeepEqual(w, g)
}

// subject is a table under test. Its own methods end the test where the table
// returns an error; they belong to the test's goroutine.
type subject struct {
	driver.Table
	tb    testing.TB
	store driver.Store
	spec  driver.TableSpec
}

func openTable(tb testing.TB, s driver.Store, spec driver.TableSpec) subject {
	tb.Helper()
	if err := spec.Validate(); err != nil {
		tb.Fatalf("the suite opens a table that is not valid: %v", err)
	}
	table, err := s.OpenTable(tb.Context(), spec)
	if err != nil {
		tb.Fatalf("open %q: %v", spec.Name, err)
	}
	return subject{Table: table, tb: tb, store: s, spec: spec}
}

func (s subject) put(entries ...driver.Entry) {
	s.tb.Helper()
	if err := s.Put(s.tb.Context(), entries); err != nil {
		s.tb.Fatalf("put: %v", err)
	}
}

// putIf fails the test unless the put stores these of the entries.
func (s subject) putIf(c driver.Condition, want []bool, entries ...driver.Entry) {
	s.tb.Helper()
	stored, err := s.PutIf(s.tb.Context(), entries, c)
	if err != nil {
		s.tb.Fatalf("put if: %v", err)
	}
	if !slices.Equal(stored, want) {
		s.tb.Errorf("put if reports %s", outcomes(stored, want))
	}
}

// renew fails the test unless it changes these of the entries.
func (s subject) renew(want []bool, renewals ...driver.Renewal) {
	s.tb.Helper()
	got, err := s.Renew(s.tb.Context(), renewals)
	if err != nil {
		s.tb.Fatalf("renew: %v", err)
	}
	if !slices.Equal(got, want) {
		s.tb.Errorf("renew reports %s", outcomes(got, want))
	}
}

// outcomes tells where got differs from want.
func outcomes(got, want []bool) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d outcomes, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			return fmt.Sprintf("%v for index %d, want %v", got[i], i, want[i])
		}
	}
	return "what it should"
}

// get returns the selected entries by their index in keys, and holds the visits
// to the contract.
func (s subject) get(sel driver.Selection, keys ...driver.Key) map[int]driver.Entry {
	s.tb.Helper()
	var (
		slots  = make([]driver.Entry, len(keys))
		visits = make([]atomic.Int32, len(keys))
		ended  atomic.Bool
	)
	err := s.Get(s.tb.Context(), keys, sel, func(i int, e driver.Entry) {
		switch {
		case ended.Load():
			s.tb.Errorf("get: visit(%d) after get returned", i)
		case i < 0 || i >= len(keys):
			s.tb.Errorf("get: visit(%d) of %d keys", i, len(keys))
		case visits[i].Add(1) > 1:
			s.tb.Errorf("get: visit(%d) for a second time", i)
		default:
			slots[i] = e
		}
	})
	ended.Store(true)
	if err != nil {
		s.tb.Fatalf("get: %v", err)
	}
	found := make(map[int]driver.Entry)
	for i := range keys {
		if visits[i].Load() > 0 {
			found[i] = slots[i]
		}
	}
	return found
}

func (s subject) has(k driver.Key) bool {
	s.tb.Helper()
	return len(s.get(everything, k)) == 1
}

// want fails the test unless the table has these entries.
func (s subject) want(entries ...driver.Entry) {
	s.tb.Helper()
	for _, fault := range s.faults(entries) {
		s.tb.Error(fault)
	}
}

// faults tell where the table does not have these entries.
func (s subject) faults(entries []driver.Entry) (faults []string) {
	s.tb.Helper()
	keys := make([]driver.Key, len(entries))
	for i, e := range entries {
		keys[i] = e.Key
	}
	found := s.get(everything, keys...)
	for i, e := range entries {
		got, ok := found[i]
		if !ok {
			faults = append(faults, fmt.Sprintf("table %.40q has no %s", s.spec.Name, describe(e.Key)))
		} else if d := diff(e, got); d != "" {
			faults = append(faults, describe(e.Key)+": "+d)
		}
	}
	return faults
}

// soon waits until a get sees what another Store has changed. Only a store that lags may take
// time for it.
func (s subject) soon(what string, sees func() bool) {
	s.tb.Helper()
	if s.store.Traits().Lags > 0 {
		within(s.tb, what, sees)
	}
}

// wantSoon is want of what another Store has changed.
func (s subject) wantSoon(entries ...driver.Entry) {
	s.tb.Helper()
	s.soon("a get sees what another store has saved", func() bool { return len(s.faults(entries)) == 0 })
	s.want(entries...)
}

// wantGoneSoon fails the test if entries are there that another Store has removed.
func (s subject) wantGoneSoon(keys ...driver.Key) {
	s.tb.Helper()
	s.soon("a get sees what another store has removed", func() bool { return len(s.get(everything, keys...)) == 0 })
	if n := len(s.get(everything, keys...)); n > 0 {
		s.tb.Errorf("%d entries are there that another store has removed", n)
	}
}

// wantOnly fails the test unless the table has these entries and no others.
func (s subject) wantOnly(entries ...driver.Entry) {
	s.tb.Helper()
	s.want(entries...)
	s.wantCount(len(entries), driver.All, now)
	if n := len(s.entries(everything)); n != len(entries) {
		s.tb.Errorf("an iteration yields %d entries, want %d", n, len(entries))
	}
}

func (s subject) delete(keys ...driver.Key) int {
	s.tb.Helper()
	n, err := s.Delete(s.tb.Context(), keys)
	if err != nil {
		s.tb.Fatalf("delete: %v", err)
	}
	return n
}

func (s subject) wantCount(want int, state driver.State, instant time.Time) {
	s.tb.Helper()
	s.wantCountSelected(want, at(instant, state))
}

func (s subject) wantCountSelected(want int, sel driver.Selection) {
	s.tb.Helper()
	n, err := s.Count(s.tb.Context(), sel.Filter)
	if err != nil {
		s.tb.Fatalf("count: %v", err)
	}
	if n != want {
		s.tb.Errorf("count of %s is %d, want %d", describeFilter(sel.Filter), n, want)
	}
}

func (s subject) clear(state driver.State, instant time.Time) int {
	s.tb.Helper()
	return s.clearSelected(at(instant, state))
}

func (s subject) clearSelected(sel driver.Selection) int {
	s.tb.Helper()
	n, err := s.Clear(s.tb.Context(), sel.Filter)
	if err != nil {
		s.tb.Fatalf("clear: %v", err)
	}
	return n
}

// entries returns what an iteration yields, by encoded key, and fails the test
// where it yields a key twice.
func (s subject) entries(sel driver.Selection) map[string]driver.Entry {
	s.tb.Helper()
	found := make(map[string]driver.Entry)
	for e, err := range s.Entries(s.tb.Context(), sel) {
		if err != nil {
			s.tb.Fatalf("iterate: %v", err)
		}
		k := encode(e.Key)
		if _, twice := found[k]; twice {
			s.tb.Errorf("an iteration yields %s twice", describe(e.Key))
		}
		found[k] = e
	}
	return found
}

// wantSelected fails the test unless every operation that only reads finds those of all
// entries that sel selects.
func (s subject) wantSelected(sel driver.Selection, all []driver.Entry) {
	s.tb.Helper()
	s.wantYielded(sel, all)
	keys := make([]driver.Key, len(all))
	for i, e := range all {
		keys[i] = e.Key
	}
	found := s.get(sel, keys...)
	for i, e := range all {
		if _, ok := found[i]; ok != sel.Match(e) {
			s.tb.Errorf("get of %s as one of %s: found is %v", describe(e.Key), describeFilter(sel.Filter), ok)
		}
	}
}

// wantYielded fails the test unless a count and an iteration select those of all entries
// that sel selects.
func (s subject) wantYielded(sel driver.Selection, all []driver.Entry) {
	s.tb.Helper()
	s.wantCountSelected(s.wantIterated(sel, all), sel)
}

// wantIterated is wantYielded for an iteration alone. It returns how many entries are
// selected.
func (s subject) wantIterated(sel driver.Selection, all []driver.Entry) (want int) {
	s.tb.Helper()
	yielded := s.entries(sel)
	for _, e := range all {
		got, ok := yielded[encode(e.Key)]
		if sel.Match(e) {
			want++
			if !ok {
				s.tb.Errorf("an iteration over %s does not yield %s", describeFilter(sel.Filter), describe(e.Key))
			} else if d := diff(e, got); d != "" {
				s.tb.Errorf("an iteration over %s yields %s: %s", describeFilter(sel.Filter), describe(e.Key), d)
			}
		}
	}
	if len(yielded) != want {
		s.tb.Errorf("an iteration over %s yields %d entries, want %d", describeFilter(sel.Filter), len(yielded), want)
	}
	return want
}

// wantCleared clears those of all entries, which are the table's, that sel selects, and
// returns the others.
func (s subject) wantCleared(sel driver.Selection, all []driver.Entry) (left []driver.Entry) {
	s.tb.Helper()
	for _, e := range all {
		if !sel.Match(e) {
			left = append(left, e)
		}
	}
	if n := s.clearSelected(sel); n != len(all)-len(left) {
		s.tb.Errorf("clear of %s removed %d entries, want %d", describeFilter(sel.Filter), n, len(all)-len(left))
	}
	s.wantOnly(left...)
	return left
}

func encode(k driver.Key) string { return string(driver.AppendKey(nil, k)) }

func describe(k driver.Key) string { return fmt.Sprintf("entry %.80q", []driver.Value(k)) }

func describeFilter(f driver.Filter) string {
	text := stateName(f.State) + " entries"
	if len(f.Leading) > 0 {
		text += fmt.Sprintf(" whose key begins with %.80q", []driver.Value(f.Leading))
	}
	if !f.Where.IsZero() {
		text += fmt.Sprintf(" where %+.200v", f.Where)
	}
	return text
}

func stateName(state driver.State) string {
	return map[driver.State]string{driver.All: "all", driver.Live: "live", driver.Expired: "expired"}[state]
}

// operation is one operation of a table, on something or on nothing.
type operation struct {
	name string
	run  func(ctx context.Context, table driver.Table) error
}

// operations are all operations of a table with one string column. Those that
// change the table change the entry k.
func operations(k driver.Key) []operation {
	get := func(keys ...driver.Key) func(context.Context, driver.Table) error {
		return func(ctx context.Context, table driver.Table) error {
			return table.Get(ctx, keys, everything, func(int, driver.Entry) {})
		}
	}
	put := func(entries ...driver.Entry) func(context.Context, driver.Table) error {
		return func(ctx context.Context, table driver.Table) error { return table.Put(ctx, entries) }
	}
	putIf := func(entries ...driver.Entry) func(context.Context, driver.Table) error {
		return func(ctx context.Context, table driver.Table) error {
			_, err := table.PutIf(ctx, entries, driver.Condition{If: driver.IfNewer})
			return err
		}
	}
	putIfUnchanged := func(entries ...driver.Entry) func(context.Context, driver.Table) error {
		for i := range entries {
			entries[i].CachedAt = version(nil, 1).CachedAt
		}
		return func(ctx context.Context, table driver.Table) error {
			_, err := table.PutIf(ctx, entries, driver.Condition{If: driver.IfUnchanged})
			return err
		}
	}
	renew := func(renewals ...driver.Renewal) func(context.Context, driver.Table) error {
		return func(ctx context.Context, table driver.Table) error {
			_, err := table.Renew(ctx, renewals)
			return err
		}
	}
	remove := func(keys ...driver.Key) func(context.Context, driver.Table) error {
		return func(ctx context.Context, table driver.Table) error {
			_, err := table.Delete(ctx, keys)
			return err
		}
	}
	return []operation{
		{"get", get(k)},
		{"get of nothing", get()},
		{"put", put(version(k, 99))},
		{"put of nothing", put()},
		{"put if newer", putIf(version(k, 98))},
		{"put of two if newer", putIf(version(k, 97), version(key("other"), 97))},
		{"put of nothing if newer", putIf()},
		{"put if unchanged", putIfUnchanged(version(k, 94))},
		{"put of two if unchanged", putIfUnchanged(version(k, 93), version(key("other"), 93))},
		{"renew", renew(renewal(version(k, 1), 96))},
		{"renew two", renew(renewal(version(k, 1), 95), renewal(version(key("other"), 1), 95))},
		{"renew nothing", renew()},
		{"delete", remove(k)},
		{"delete of nothing", remove()},
		{"pop", func(ctx context.Context, table driver.Table) error {
			_, _, err := table.Pop(ctx, k, driver.Filter{})
			return err
		}},
		{"count", func(ctx context.Context, table driver.Table) error {
			_, err := table.Count(ctx, driver.Filter{State: driver.Live, Now: now})
			return err
		}},
		{"clear", func(ctx context.Context, table driver.Table) error {
			_, err := table.Clear(ctx, driver.Filter{})
			return err
		}},
		{"list", func(ctx context.Context, table driver.Table) error {
			_, err := table.List(ctx, driver.Listing{Selection: everything, Order: driver.ByName, Limit: 10})
			return err
		}},
		{"use", func(ctx context.Context, table driver.Table) error {
			return table.Use(ctx, []driver.Key{k}, now.Add(time.Minute))
		}},
		{"use of nothing", func(ctx context.Context, table driver.Table) error { return table.Use(ctx, nil, now) }},
		{"size", func(ctx context.Context, table driver.Table) error {
			_, err := table.Size(ctx)
			return err
		}},
		{"iterate", func(ctx context.Context, table driver.Table) error {
			var errs []error
			for _, err := range table.Entries(ctx, everything) {
				if n := len(errs); n > 0 && errs[n-1] != nil {
					return fmt.Errorf("an element follows the error %w", errs[n-1])
				}
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		}},
	}
}
