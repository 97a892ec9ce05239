package seal_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/seal"
)

var spec = driver.TableSpec{Name: "tracks", Key: []driver.Column{{Name: "id", Kind: driver.String}, {Name: "page", Kind: driver.Int}}}

var everything = driver.Selection{Parts: driver.Payload | driver.Meta}

// entry is the v-th version of the i-th entry, whose status tells which one it is.
func entry(i, v int) driver.Entry {
	at := tracktest.Now.Add(time.Duration(v) * time.Second)
	return driver.Entry{
		Key:       driver.Key{fmt.Sprintf("secret-key-%d", i), int64(i)},
		Name:      fmt.Sprintf("secret name %d", i),
		Status:    100 + i,
		Header:    fmt.Sprintf(`{"X-Secret":["header %d of %d"]}`, v, i),
		Payload:   fmt.Appendf(nil, "secret payload %d of %d", v, i),
		Encoding:  "zstd",
		CachedAt:  at,
		ExpiresAt: at.Add(time.Hour),
	}
}

func entries(n, v int) (all []driver.Entry, keys []driver.Key) {
	for i := range n {
		e := entry(i, v)
		all, keys = append(all, e), append(keys, e.Key)
	}
	return all, keys
}

// sealed is a store, and the one below it.
type sealed struct {
	*seal.Store
	raw driver.Store
	log *bytes.Buffer // read it after the store was closed
}

// openSealed opens a store at a place, and another one there that does not seal.
func openSealed(tb testing.TB, kind string, k *seal.Keys, opts *seal.Options) *sealed {
	tb.Helper()
	s := &sealed{log: &bytes.Buffer{}}
	p := newPlace(tb, kind)
	below := p.open(tb)
	if s.raw = below; kind != "memory" {
		s.raw = p.open(tb)
	}
	var o seal.Options
	if opts != nil {
		o = *opts
	}
	o.Logger = slog.New(slog.NewTextHandler(s.log, nil))
	var err error
	s.Store, err = seal.New(below, k, &o)
	check(tb, err)
	tb.Cleanup(func() {
		check(tb, s.Store.Close())
		check(tb, s.raw.Close())
	})
	return s
}

func (s *sealed) table(tb testing.TB, spec driver.TableSpec) driver.Table {
	tb.Helper()
	t, err := s.OpenTable(tb.Context(), spec)
	check(tb, err)
	return t
}

// rawTable is the table below.
func (s *sealed) rawTable(tb testing.TB, name string) driver.Table {
	tb.Helper()
	specs, err := s.raw.Tables(tb.Context())
	check(tb, err)
	i := slices.IndexFunc(specs, func(s driver.TableSpec) bool { return s.Name == name })
	t, err := s.raw.OpenTable(tb.Context(), specs[i])
	check(tb, err)
	return t
}

// rows are the entries of a table, by their status.
func rows(tb testing.TB, t driver.Table) map[int]driver.Entry {
	tb.Helper()
	all := make(map[int]driver.Entry)
	for e, err := range t.Entries(tb.Context(), everything) {
		check(tb, err)
		e.Payload = slices.Clone(e.Payload)
		all[e.Status] = e
	}
	return all
}

// found are the entries of a get, by their index.
func found(tb testing.TB, t driver.Table, sel driver.Selection, keys ...driver.Key) map[int]driver.Entry {
	tb.Helper()
	var mu sync.Mutex
	all := make(map[int]driver.Entry)
	check(tb, t.Get(tb.Context(), keys, sel, func(i int, e driver.Entry) {
		mu.Lock()
		defer mu.Unlock()
		e.Payload = slices.Clone(e.Payload)
		all[i] = e
	}))
	return all
}

// attacks change an entry of the store below: with what another one has there, or with what
// it had itself when it was an older version.
var attacks = map[string]func(e *driver.Entry, other, older driver.Entry){
	"the payload of another":      func(e *driver.Entry, other, _ driver.Entry) { e.Payload = other.Payload },
	"the header of another":       func(e *driver.Entry, other, _ driver.Entry) { e.Header = other.Header },
	"the payload it had":          func(e *driver.Entry, _, older driver.Entry) { e.Payload = older.Payload },
	"the header it had":           func(e *driver.Entry, _, older driver.Entry) { e.Header = older.Header },
	"a later expiry":              func(e *driver.Entry, _, _ driver.Entry) { e.ExpiresAt = e.ExpiresAt.Add(time.Microsecond) },
	"no expiry":                   func(e *driver.Entry, _, _ driver.Entry) { e.ExpiresAt = time.Time{} },
	"a later time":                func(e *driver.Entry, _, _ driver.Entry) { e.CachedAt = e.CachedAt.Add(time.Second) },
	"another status":              func(e *driver.Entry, _, _ driver.Entry) { e.Status = 999 },
	"another name":                func(e *driver.Entry, _, _ driver.Entry) { e.Name = "another" },
	"another encoding":            func(e *driver.Entry, _, _ driver.Entry) { e.Encoding = "gzip" },
	"no encoding":                 func(e *driver.Entry, _, _ driver.Entry) { e.Encoding = "" },
	"no header":                   func(e *driver.Entry, _, _ driver.Entry) { e.Header = "" },
	"a header without a seal":     func(e *driver.Entry, _, _ driver.Entry) { e.Header = `{"X-Secret":["header"]}` },
	"an empty seal":               func(e *driver.Entry, _, _ driver.Entry) { e.Header = `{"seal":""}` },
	"no payload":                  func(e *driver.Entry, _, _ driver.Entry) { e.Payload = nil },
	"a payload that is cut off":   func(e *driver.Entry, _, _ driver.Entry) { e.Payload = e.Payload[:len(e.Payload)-1] },
	"a payload that is cut short": func(e *driver.Entry, _, _ driver.Entry) { e.Payload = e.Payload[:2] },
	"a payload that goes on":      func(e *driver.Entry, _, _ driver.Entry) { e.Payload = append(e.Payload, 0) },
	"one that was never sealed":   func(e *driver.Entry, _, _ driver.Entry) { key := e.Key; *e = entry(0, 3); e.Key, e.Status = key, 998 },
	"another in its place":        func(e *driver.Entry, other, _ driver.Entry) { key := e.Key; *e = other; e.Key = key },
	"the times and header it had": func(e *driver.Entry, _, old driver.Entry) {
		e.Header, e.CachedAt, e.ExpiresAt = old.Header, old.CachedAt, old.ExpiresAt
	},
	"all but the payload it had":   func(e *driver.Entry, _, old driver.Entry) { payload := e.Payload; *e = old; e.Payload = payload },
	"times that are put out of it": func(e *driver.Entry, _, _ driver.Entry) { e.CachedAt = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) },
}

// flips change a byte of the payload, or of the text of the seal, each at another place.
func flips(e driver.Entry) (all []func(*driver.Entry)) {
	for at := range e.Payload {
		all = append(all, func(e *driver.Entry) { e.Payload[at] ^= 1 << (at % 8) })
	}
	from := strings.Index(e.Header, `:`) + 1
	from += strings.Index(e.Header[from:], `"`) + 1
	for at := from; e.Header[at] != '"'; at++ {
		all = append(all, func(e *driver.Entry) {
			b := []byte(e.Header)
			if b[at]++; !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", rune(b[at])) {
				b[at] = 'A'
			}
			e.Header = string(b)
		})
	}
	return all
}

func TestWhatWasTamperedWithIsNotHandedOut(t *testing.T) {
	for mode, opts := range modes {
		for kind := range backends {
			for name, parts := range map[string]driver.Parts{"payload": driver.Payload, "both": driver.Payload | driver.Meta} {
				if name == "both" && kind != "memory" && kind != "sqlite" {
					continue
				}
				t.Run(mode+"/"+kind+"/"+name, func(t *testing.T) { testAttacks(t, kind, opts, parts) })
			}
		}
	}
}

func testAttacks(t *testing.T, kind string, opts *seal.Options, parts driver.Parts) {
	s := openSealed(t, kind, keys(t, 1), opts)
	table := s.table(t, spec)
	const controls = 2 // entries that stay as they are
	probe, _ := entries(1, 1)
	check(t, table.Put(t.Context(), probe))
	raw := s.rawTable(t, spec.Name)
	flipped := flips(rows(t, raw)[100])
	n := controls + len(attacks) + len(flipped)

	first, _ := entries(n, 1)
	check(t, table.Put(t.Context(), first))
	older := rows(t, raw)
	second, all := entries(n, 2)
	check(t, table.Put(t.Context(), second))
	newer := rows(t, raw)

	var changed []driver.Entry
	names := make(map[int]string) // by index
	change := func(name string, with func(e *driver.Entry, other, older driver.Entry)) {
		i := controls + len(changed)
		e := newer[100+i]
		e.Payload = slices.Clone(e.Payload)
		with(&e, newer[100], older[100+i])
		changed, names[i] = append(changed, e), name
	}
	for name, with := range attacks {
		change(name, with)
	}
	for i, flip := range flipped {
		change(fmt.Sprintf("flip %d", i), func(e *driver.Entry, _, _ driver.Entry) { flip(e) })
	}
	check(t, raw.Put(t.Context(), changed))

	got := found(t, table, driver.Selection{Parts: parts}, all...)
	for i, e := range got {
		if want := second[i]; i >= controls {
			t.Errorf("%s: %q was handed out", names[i], e.Payload)
		} else if !bytes.Equal(e.Payload, want.Payload) || e.Encoding != want.Encoding {
			t.Errorf("an entry that is as it was is %q in %q", e.Payload, e.Encoding)
		}
	}
	if len(got) < controls {
		t.Errorf("%d of %d entries are found that are as they were", len(got), controls)
	}
	stats := s.Stats()
	if stats.Failed != uint64(len(changed)) || stats.Opened != controls {
		t.Errorf("%d entries have failed and %d were opened, want %d and %d", stats.Failed, stats.Opened, len(changed), controls)
	}

	// Others may take their place at once, and the listings have no trace of them.
	if left := rows(t, table); len(left) != controls {
		t.Errorf("an iteration yields %d entries, want %d", len(left), controls)
	}
	listed, err := table.List(t.Context(), driver.Listing{Limit: n, Selection: everything})
	if check(t, err); len(listed) != controls {
		t.Errorf("a listing has %d entries, want %d", len(listed), controls)
	}
	third, _ := entries(n, 3)
	stored, err := table.PutIf(t.Context(), third[controls:], driver.Condition{If: driver.IfNewer})
	if check(t, err); slices.Contains(stored, false) {
		t.Error("an entry cannot be stored where one was tampered with")
	}
	if got := found(t, table, everything, all...); len(got) != n {
		t.Errorf("%d entries are found of %d", len(got), n)
	}
	check(t, s.Close())
	if log := s.log.String(); !strings.Contains(log, "tracks") || strings.Contains(log, "secret") || strings.Count(log, "\n") > 8 {
		t.Errorf("the log says:\n%s", log)
	}
}

func TestAnEntryOfAnotherTableIsNotHandedOut(t *testing.T) {
	for mode, opts := range modes {
		t.Run(mode, func(t *testing.T) {
			s := openSealed(t, "sqlite", keys(t, 1), opts)
			table, other := s.table(t, spec), s.table(t, driver.TableSpec{Name: "albums", Key: spec.Key})
			e := entry(1, 1)
			check(t, table.Put(t.Context(), []driver.Entry{e}))
			row := rows(t, s.rawTable(t, "tracks"))[e.Status]
			own := entry(1, 2)
			check(t, other.Put(t.Context(), []driver.Entry{own}))
			raw := s.rawTable(t, "albums")
			row.Key = rows(t, raw)[e.Status].Key // which is another digest
			check(t, raw.Put(t.Context(), []driver.Entry{row}))
			if got := found(t, other, everything, e.Key); len(got) != 0 {
				t.Errorf("%q was handed out", got[0].Payload)
			}
			if _, ok, err := other.Pop(t.Context(), e.Key, driver.Filter{}); ok || err != nil {
				t.Errorf("a pop returns it: %v, %v", ok, err)
			}
		})
	}
}

// A key is one of its columns: the same values mean something else under other ones.
func TestAnEntryOfOtherKeyColumnsIsNotHandedOut(t *testing.T) {
	for mode, opts := range modes {
		t.Run(mode, func(t *testing.T) {
			columns := []driver.Column{{Name: "user", Kind: driver.String}, {Name: "item", Kind: driver.String}}
			s := openSealed(t, "sqlite", keys(t, 1), opts)
			e := entry(1, 1)
			e.Key = driver.Key{"a", "b"}
			check(t, s.table(t, driver.TableSpec{Name: "tracks", Key: columns}).Put(t.Context(), []driver.Entry{e}))
			row := rows(t, s.rawTable(t, "tracks"))[e.Status]
			check(t, s.DropTable(t.Context(), "tracks"))
			slices.Reverse(columns)
			table := s.table(t, driver.TableSpec{Name: "tracks", Key: columns})
			check(t, s.rawTable(t, "tracks").Put(t.Context(), []driver.Entry{row}))
			if got := rows(t, table); len(got) != 0 {
				t.Errorf("%v was handed out", got[e.Status].Key)
			}
		})
	}
}

// The documentation says so: to know that there was a later one takes more than the entry.
func TestAWholeOlderEntryOfTheKeyIsHandedOut(t *testing.T) {
	s := openSealed(t, "memory", keys(t, 1), nil)
	table := s.table(t, spec)
	check(t, table.Put(t.Context(), []driver.Entry{entry(1, 1)}))
	raw := s.rawTable(t, spec.Name)
	old := rows(t, raw)[101]
	check(t, table.Put(t.Context(), []driver.Entry{entry(1, 2)}))
	check(t, raw.Put(t.Context(), []driver.Entry{old}))
	if got := found(t, table, everything, old.Key); string(got[0].Payload) != "secret payload 1 of 1" {
		t.Errorf("found %q", got[0].Payload)
	}
}

func TestWhatIsStoredTellsNothing(t *testing.T) {
	s := openSealed(t, "sqlite", keys(t, 1), modes["digested"])
	table := s.table(t, spec)
	all, _ := entries(3, 1)
	check(t, table.Put(t.Context(), all))
	for _, e := range rows(t, s.rawTable(t, spec.Name)) {
		if text := fmt.Sprint(e.Key, e.Name, e.Header, string(e.Payload)); strings.Contains(text, "secret") || e.PayloadSum|e.MetaSum != 0 {
			t.Errorf("stored as %s with %x and %x", text, e.PayloadSum, e.MetaSum)
		}
	}
}
