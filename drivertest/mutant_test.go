package drivertest_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/drivertest"
	"github.com/endpointcache/endpointcache/memory"
)

// A mutant is a store that breaks a promise. The suite is worth something only
// if each of them fails in the topic that is about the promise.
type mutant struct {
	name  string
	topic string
	test  string // a part of the name of the test that fails, where several could
	store faults // what it does otherwise than the memory store
}

var mutants = []mutant{
	{"opens a table empty", "Open", "", faults{opened: func(t driver.Table) {
		_, _ = t.Clear(context.Background(), driver.Filter{})
	}}},
	{"keeps all entries in one table", "Names", "", faults{open: func(ctx context.Context, s driver.Store, spec driver.TableSpec) (driver.Table, error) {
		spec.Name = "all"
		return s.OpenTable(ctx, spec)
	}}},
	{"cuts long table names", "Names", "", faults{open: func(ctx context.Context, s driver.Store, spec driver.TableSpec) (driver.Table, error) {
		spec.Name = spec.Name[:min(63, len(spec.Name))]
		return s.OpenTable(ctx, spec)
	}}},
	{"shares tables whose names differ in case", "Names", "", faults{open: func(ctx context.Context, s driver.Store, spec driver.TableSpec) (driver.Table, error) {
		if strings.EqualFold(spec.Name, "tracks") {
			spec.Name = "tracks"
		}
		return s.OpenTable(ctx, spec)
	}}},
	{"takes another schema for its own", "Schema", "", faults{open: func(ctx context.Context, s driver.Store, spec driver.TableSpec) (driver.Table, error) {
		t, err := s.OpenTable(ctx, spec)
		if errors.Is(err, driver.ErrSchema) {
			spec.Key = []driver.Column{{Name: "id", Kind: driver.String}, {Name: "page", Kind: driver.Int}}
			return s.OpenTable(ctx, spec)
		}
		return t, err
	}}},
	{"folds the case of keys", "Keys", "", faults{key: mapStrings(strings.ToLower)}},
	{"trims keys", "Keys", "", faults{key: mapStrings(strings.TrimSpace)}},
	{"ends keys at NUL", "Keys", "", faults{key: mapStrings(func(s string) string { s, _, _ = strings.Cut(s, "\x00"); return s })}},
	{"repairs the UTF-8 of keys", "Keys", "", faults{key: mapStrings(func(s string) string { return strings.ToValidUTF8(s, "\ufffd") })}},
	{"joins columns with a separator", "Keys", "", faults{key: func(k driver.Key) driver.Key {
		if len(k) == 2 {
			a, isString := k[0].(string)
			if b, both := k[1].(string); isString && both {
				return driver.Key{a + "|" + b, ""}
			}
		}
		return k
	}}},
	{"sorts the columns of a key", "Keys", "", faults{key: func(k driver.Key) driver.Key {
		sorted := slices.Clone(k)
		slices.SortFunc(sorted, func(a, b driver.Value) int {
			s, isString := a.(string)
			if r, both := b.(string); isString && both {
				return strings.Compare(s, r)
			}
			return 0
		})
		return sorted
	}}},
	{"keeps integers as floating point", "Keys", "", faults{key: func(k driver.Key) driver.Key {
		k = slices.Clone(k)
		for i, v := range k {
			if n, ok := v.(int64); ok {
				k[i] = int64(float64(n))
			}
		}
		return k
	}}},
	{"forgets headers", "Values", "", faults{entry: func(e *driver.Entry) { e.Header = "" }}},
	{"keeps times in milliseconds", "Values", "", faults{entry: func(e *driver.Entry) { e.CachedAt = e.CachedAt.Truncate(time.Millisecond) }}},
	{"repairs the UTF-8 of payloads", "Values", "", faults{entry: func(e *driver.Entry) { e.Payload = []byte(strings.ToValidUTF8(string(e.Payload), "?")) }}},
	{"takes the epoch for never", "Expiry", "", faults{entry: func(e *driver.Entry) {
		if e.ExpiresAt.Unix() == 0 {
			e.ExpiresAt = time.Time{}
		}
	}}},
	{"hands out its payloads without saying so", "Put", "", faults{traits: func(t *driver.Traits) { t.SharesPayload = false }}},
	{"keeps the name of a replaced entry", "Put", "", faults{put: func(ctx context.Context, t driver.Table, entries []driver.Entry) error {
		entries = slices.Clone(entries)
		for i, e := range entries {
			_ = t.Get(ctx, []driver.Key{e.Key}, driver.Selection{}, func(_ int, old driver.Entry) { entries[i].Name = old.Name })
		}
		return t.Put(ctx, entries)
	}}},
	{"counts the keys given to a delete", "Delete", "", faults{delete: func(ctx context.Context, t driver.Table, keys []driver.Key) (int, error) {
		_, err := t.Delete(ctx, keys)
		return len(keys), err
	}}},
	{"expires a microsecond late", "Expiry", "", faults{filter: func(f *driver.Filter) { f.Now = f.Now.Add(-time.Microsecond) }}},
	{"expires to the second", "Expiry", "", faults{filter: func(f *driver.Filter) { f.Now = f.Now.Truncate(time.Second) }}},
	{"goes by its own clock", "Expiry", "", faults{filter: func(f *driver.Filter) { f.Now = time.Now() }}},
	{"clears the live for the expired", "Clear", "", faults{filter: func(f *driver.Filter) {
		f.State = [...]driver.State{driver.All, driver.Expired, driver.Live}[f.State]
	}}},
	{"drops the last key of a bulk get", "Bulk", "", faults{get: func(ctx context.Context, t driver.Table, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
		return t.Get(ctx, keys[:max(len(keys)-1, min(len(keys), 1))], sel, visit)
	}}},
	{"drops keys beyond 1,000", "Bulk", "", faults{get: func(ctx context.Context, t driver.Table, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
		return t.Get(ctx, keys[:min(len(keys), 1000)], sel, visit)
	}}},
	{"visits a duplicate once", "Bulk", "", faults{get: func(ctx context.Context, t driver.Table, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
		return t.Get(ctx, keys, sel, func(i int, e driver.Entry) {
			if !slices.ContainsFunc(keys[:min(i, 10)], func(k driver.Key) bool { return slices.Equal(k, keys[i]) }) {
				visit(i, e)
			}
		})
	}}},
	{"visits an index twice", "Bulk", "", faults{get: func(ctx context.Context, t driver.Table, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
		return t.Get(ctx, keys, sel, func(i int, e driver.Entry) { visit(i, e); visit(i, e) })
	}}},
	{"keeps the earlier of two entries", "Bulk", "", faults{put: func(ctx context.Context, t driver.Table, entries []driver.Entry) error {
		entries = slices.Clone(entries)
		slices.Reverse(entries)
		return t.Put(ctx, entries)
	}}},
	{"leaves out a payload that was asked for alone", "Parts", "", faults{get: func(ctx context.Context, t driver.Table, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
		return t.Get(ctx, keys, sel, func(i int, e driver.Entry) {
			if sel.Parts == driver.Payload {
				e.Payload = nil
			}
			visit(i, e)
		})
	}}},
	{"tells the status only with the meta data", "Parts", "", faults{get: func(ctx context.Context, t driver.Table, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
		return t.Get(ctx, keys, sel, func(i int, e driver.Entry) {
			if sel.Parts&driver.Meta == 0 {
				e.Status = 0
			}
			visit(i, e)
		})
	}}},
	{"yields an entry twice", "Iterate", "", faults{yields: func(yield func(driver.Entry, error) bool, e driver.Entry, err error) bool {
		return yield(e, err) && (err != nil || e.Key[0] != "id-000003" || yield(e, err))
	}}},
	{"does not notice that an iteration is cancelled", "Iterate", "", faults{yields: func(yield func(driver.Entry, error) bool, e driver.Entry, err error) bool {
		return errors.Is(err, context.Canceled) || yield(e, err)
	}}},
	{"writes an entry in two steps", "Concurrent", "", faults{put: func(ctx context.Context, t driver.Table, entries []driver.Entry) error {
		half := slices.Clone(entries)
		for i := range half {
			half[i].Payload = nil
		}
		if err := t.Put(ctx, half); err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
		return t.Put(ctx, entries)
	}}},
	{"counts before it deletes", "Concurrent", "", faults{delete: func(ctx context.Context, t driver.Table, keys []driver.Key) (int, error) {
		n := 0
		if err := t.Get(ctx, keys, driver.Selection{}, func(int, driver.Entry) { n++ }); err != nil {
			return 0, err
		}
		time.Sleep(time.Millisecond)
		_, err := t.Delete(ctx, keys)
		return n, err
	}}},
	{"pops an entry and puts it back if it is not selected", "Pop", "", faults{pop: func(ctx context.Context, t driver.Table, k driver.Key, f driver.Filter) (driver.Entry, bool, error) {
		e, ok, err := t.Pop(ctx, k, driver.Filter{})
		if err != nil || !ok || f.Match(e) {
			return e, ok, err
		}
		e.Key = k
		time.Sleep(100 * time.Microsecond) // as a store on a network takes
		return driver.Entry{}, false, t.Put(ctx, []driver.Entry{e})
	}}},
	{"ignores the context", "Context", "", faults{put: func(ctx context.Context, t driver.Table, entries []driver.Entry) error {
		return t.Put(context.WithoutCancel(ctx), entries)
	}}},
	{"takes no context for one that is never done", "Context", "without_a_context", faults{put: func(ctx context.Context, t driver.Table, entries []driver.Entry) error {
		if ctx == nil {
			ctx = context.Background()
		}
		return t.Put(ctx, entries)
	}}},
	{"accepts a put after a close", "Close", "", faults{put: func(ctx context.Context, t driver.Table, entries []driver.Entry) error {
		if err := t.Put(ctx, entries); !errors.Is(err, driver.ErrClosed) {
			return err
		}
		return nil
	}}},
	{"does not say which table failed", "Errors", "", faults{put: func(ctx context.Context, t driver.Table, entries []driver.Entry) error {
		return errors.Unwrap(t.Put(ctx, entries))
	}}},
	{"leaves out a payload that is too large", "Limits", "", faults{put: func(ctx context.Context, t driver.Table, entries []driver.Entry) error {
		return t.Put(ctx, slices.DeleteFunc(slices.Clone(entries), func(e driver.Entry) bool { return len(e.Payload) > 1<<20 }))
	}}},
}

// mutantVariable names, to a process that runs [TestMutant], the mutant to run.
const mutantVariable = "DRIVERTEST_MUTANT"

// TestMutant runs the suite on one mutant, in a process that
// [TestSuiteFailsMutants] starts.
func TestMutant(t *testing.T) {
	all := slices.Concat(mutants, conditional, leading, usage, summing, watching, holding, tended)
	i := slices.IndexFunc(all, func(m mutant) bool { return m.name == os.Getenv(mutantVariable) })
	if i < 0 {
		t.Skip("run by TestSuiteFailsMutants")
	}
	drivertest.SetToldWithin(time.Second)
	if f := all[i].store.watch; f != nil {
		drivertest.RunTopics(t, watchHarness(*f), "Watch")
		return
	}
	if f := all[i].store.tend; f != nil {
		drivertest.RunTopics(t, tendHarness(*f), all[i].topic)
		return
	}
	if f := all[i].store.tier; f != nil {
		drivertest.RunTopics(t, tierHarness(*f), all[i].topic)
		return
	}
	drivertest.Run(t, harness(all[i].store))
}

func TestSuiteFailsMutants(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range slices.Concat(mutants, conditional, leading, usage, summing, watching, holding, tended) {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestMutant$/^"+m.topic+"$", "-test.failfast", fmt.Sprintf("-test.short=%t", testing.Short()))
			cmd.Env = append(os.Environ(), mutantVariable+"="+m.name)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			switch {
			case err == nil:
				t.Errorf("a store that %s passes %s", m.name, m.topic)
			case !errors.As(err, &exit):
				t.Fatal(err)
			case !strings.Contains(string(out), "--- FAIL: TestMutant/"+m.topic+"/") || strings.Contains(string(out), "panic:"):
				t.Errorf("the process ended otherwise than by a failed test:\n%s", out)
			case !failed(string(out), m.topic, m.test):
				t.Errorf("it fails, but not what is about %q:\n%s", m.test, out)
			}
		})
	}
}

// failed reports whether a test of the topic whose name has this part has failed.
func failed(out, topic, part string) bool {
	for line := range strings.Lines(out) {
		_, name, ok := strings.Cut(line, "--- FAIL: TestMutant/"+topic+"/")
		if ok && strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// TestSuitePassesWrapper proves that the mutants fail for their faults, and not
// for how they are made.
func TestSuitePassesWrapper(t *testing.T) {
	drivertest.Run(t, harness(faults{}))
}

func harness(f faults) drivertest.Harness {
	return drivertest.Harness{
		MaxPayload: 20 << 20,
		Open: func(tb testing.TB) driver.Store {
			s, err := memory.New(&memory.Options{MaxBytes: 32 << 20})
			if err != nil {
				tb.Fatal(err)
			}
			return faultyStore{s, f}
		},
	}
}

// faults are what a store does otherwise than the one that it wraps.
type faults struct {
	traits func(*driver.Traits)
	open   func(context.Context, driver.Store, driver.TableSpec) (driver.Table, error)
	opened func(driver.Table)

	key    func(driver.Key) driver.Key // the key that stands for another
	entry  func(*driver.Entry)
	filter func(*driver.Filter)

	filterOf func(op string, f *driver.Filter) // in one operation otherwise than in others

	get    func(context.Context, driver.Table, []driver.Key, driver.Selection, func(int, driver.Entry)) error
	put    func(context.Context, driver.Table, []driver.Entry) error
	putIf  putIfFunc
	renew  renewFunc
	delete func(context.Context, driver.Table, []driver.Key) (int, error)
	pop    func(context.Context, driver.Table, driver.Key, driver.Filter) (driver.Entry, bool, error)
	count  func(context.Context, driver.Table, driver.Filter) (int, error)
	clear  func(context.Context, driver.Table, driver.Filter) (int, error)

	list      func(context.Context, driver.Table, driver.Listing) ([]driver.Entry, error)
	use       func(context.Context, driver.Table, []driver.Key, time.Time) error
	size      func(context.Context, driver.Table) (driver.Size, error)
	tables    func(context.Context, driver.Store) ([]driver.TableSpec, error)
	summarize func(context.Context, driver.Store, driver.TableSpec, time.Time) (driver.Summary, error)
	drop      func(context.Context, driver.Store, string) error

	examine func(sel *driver.Selection, found *driver.Examined) // found is nil before the first

	entries func(context.Context, driver.Table, driver.Selection) iter.Seq2[driver.Entry, error]
	yields  func(yield func(driver.Entry, error) bool, e driver.Entry, err error) bool

	watch *watchFaults // of a store that tells of changes
	tier  *tierFaults  // of memory over a store
	tend  *tendFaults  // of a store that tells of itself
}

func mapStrings(f func(string) string) func(driver.Key) driver.Key {
	return func(k driver.Key) driver.Key {
		k = slices.Clone(k)
		for i, v := range k {
			if s, ok := v.(string); ok {
				k[i] = f(s)
			}
		}
		return k
	}
}

type faultyStore struct {
	driver.Store
	faults faults
}

func (s faultyStore) Traits() driver.Traits {
	traits := s.Store.Traits()
	traits.Vanishes = false // its bounds are beyond the suite's data
	if f := s.faults.traits; f != nil {
		f(&traits)
	}
	return traits
}

func (s faultyStore) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	open := s.faults.open
	if open == nil {
		open = func(ctx context.Context, s driver.Store, spec driver.TableSpec) (driver.Table, error) {
			return s.OpenTable(ctx, spec)
		}
	}
	table, err := open(ctx, s.Store, spec)
	if err != nil {
		return nil, err
	}
	if f := s.faults.opened; f != nil {
		f(table)
	}
	return faultyTable{table, s.faults}, nil
}

func (s faultyStore) Tables(ctx context.Context) ([]driver.TableSpec, error) {
	if f := s.faults.tables; f != nil {
		return f(ctx, s.Store)
	}
	return s.Store.Tables(ctx)
}

func (s faultyStore) DropTable(ctx context.Context, name string) error {
	if f := s.faults.drop; f != nil {
		return f(ctx, s.Store, name)
	}
	return s.Store.DropTable(ctx, name)
}

type faultyTable struct {
	driver.Table
	faults faults
}

func (t faultyTable) keys(keys []driver.Key) []driver.Key {
	if t.faults.key == nil {
		return keys
	}
	mapped := make([]driver.Key, len(keys))
	for i, k := range keys {
		mapped[i] = t.faults.key(k)
	}
	return mapped
}

func (t faultyTable) filter(op string, f driver.Filter) driver.Filter {
	if t.faults.filter != nil && op != "pop" {
		t.faults.filter(&f)
	}
	if t.faults.filterOf != nil {
		t.faults.filterOf(op, &f)
	}
	return f
}

func (t faultyTable) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	sel.Filter = t.filter("get", sel.Filter)
	if f := t.faults.get; f != nil {
		return f(ctx, t.Table, keys, sel, visit)
	}
	return t.Table.Get(ctx, t.keys(keys), sel, visit)
}

func (t faultyTable) Put(ctx context.Context, entries []driver.Entry) error {
	if t.faults.key != nil || t.faults.entry != nil {
		entries = slices.Clone(entries)
	}
	for i := range entries {
		if t.faults.key != nil {
			entries[i].Key = t.faults.key(entries[i].Key)
		}
		if t.faults.entry != nil {
			t.faults.entry(&entries[i])
		}
	}
	if f := t.faults.put; f != nil {
		return f(ctx, t.Table, entries)
	}
	return t.Table.Put(ctx, entries)
}

func (t faultyTable) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) ([]bool, error) {
	if f := t.faults.putIf; f != nil {
		return f(ctx, t.Table, entries, c)
	}
	return t.Table.PutIf(ctx, entries, c)
}

func (t faultyTable) Renew(ctx context.Context, renewals []driver.Renewal) ([]bool, error) {
	if f := t.faults.renew; f != nil {
		return f(ctx, t.Table, renewals)
	}
	return t.Table.Renew(ctx, renewals)
}

func (t faultyTable) Delete(ctx context.Context, keys []driver.Key) (int, error) {
	if f := t.faults.delete; f != nil {
		return f(ctx, t.Table, keys)
	}
	return t.Table.Delete(ctx, t.keys(keys))
}

func (t faultyTable) Pop(ctx context.Context, key driver.Key, f driver.Filter) (driver.Entry, bool, error) {
	f = t.filter("pop", f)
	if pop := t.faults.pop; pop != nil {
		return pop(ctx, t.Table, key, f)
	}
	return t.Table.Pop(ctx, key, f)
}

func (t faultyTable) Count(ctx context.Context, f driver.Filter) (int, error) {
	f = t.filter("count", f)
	if count := t.faults.count; count != nil {
		return count(ctx, t.Table, f)
	}
	return t.Table.Count(ctx, f)
}

func (t faultyTable) Clear(ctx context.Context, f driver.Filter) (int, error) {
	f = t.filter("clear", f)
	if clear := t.faults.clear; clear != nil {
		return clear(ctx, t.Table, f)
	}
	return t.Table.Clear(ctx, f)
}

func (t faultyTable) List(ctx context.Context, l driver.Listing) ([]driver.Entry, error) {
	if f := t.faults.list; f != nil {
		return f(ctx, t.Table, l)
	}
	return t.Table.List(ctx, l)
}

func (t faultyTable) Use(ctx context.Context, keys []driver.Key, at time.Time) error {
	if f := t.faults.use; f != nil {
		return f(ctx, t.Table, keys, at)
	}
	return t.Table.Use(ctx, keys, at)
}

func (t faultyTable) Size(ctx context.Context) (driver.Size, error) {
	if f := t.faults.size; f != nil {
		return f(ctx, t.Table)
	}
	return t.Table.Size(ctx)
}

func (t faultyTable) Entries(ctx context.Context, sel driver.Selection) iter.Seq2[driver.Entry, error] {
	sel.Filter = t.filter("iterate", sel.Filter)
	entries := t.Table.Entries
	if f := t.faults.entries; f != nil {
		entries = func(ctx context.Context, sel driver.Selection) iter.Seq2[driver.Entry, error] {
			return f(ctx, t.Table, sel)
		}
	}
	return func(yield func(driver.Entry, error) bool) {
		for e, err := range entries(ctx, sel) {
			if f := t.faults.yields; f != nil {
				if !f(yield, e, err) {
					return
				}
			} else if !yield(e, err) {
				return
			}
		}
	}
}
