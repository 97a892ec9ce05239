package postgres_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/postgres"
)

// wantNoWatch fails the test unless a Watch does not begin for want of a server that tells.
func wantNoWatch(t *testing.T, s *postgres.Store) {
	t.Helper()
	waitfor.End(t, "Watch returns", func() {
		err := s.Watch(t.Context(), func() { t.Error("it begins") }, func(driver.Change) {})
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("Watch = %v, want %v", err, errors.ErrUnsupported)
		}
	})
}

func TestWhereNothingIsTold(t *testing.T) {
	t.Run("through a pooler", func(t *testing.T) {
		wantNoWatch(t, open(t, poolerURL(t), &postgres.Options{Schema: newSchema(t), NoPrepare: true}))
	})
	t.Run("with a pool that takes notifications", func(t *testing.T) {
		pool := newPool(t, pgx.QueryExecModeCacheStatement, func(c *pgxpool.Config) {
			c.ConnConfig.OnNotification = func(*pgconn.PgConn, *pgconn.Notification) {}
		})
		wantNoWatch(t, tracktest.Opened[*postgres.Store](t)(postgres.New(t.Context(), pool, nil)))
	})
}

// A Watch takes no connection of a pool away.
func TestWatchWithAPoolOfOneConnection(t *testing.T) {
	pool := newPool(t, pgx.QueryExecModeCacheStatement, func(c *pgxpool.Config) { c.MaxConns = 1 })
	opts := &postgres.Options{Schema: newSchema(t)}
	s := tracktest.Opened[*postgres.Store](t)(postgres.New(t.Context(), pool, opts))
	one, other := tracktest.Watch(t, s), tracktest.Watch(t, s)
	table := openTable(t, open(t, serverURL(t), opts))
	tracktest.Put(t, table, track(1))
	one.Told(t, "tracks", track(1).Key)
	other.Told(t, "tracks", track(1).Key)
	tracktest.Put(t, openTable(t, s), track(2))
}

// notifications returns how many messages the server sends on a channel of the store's
// schema during do, where a listener has no lock that asks for them.
func notifications(t *testing.T, s *postgres.Store, do func()) (n int) {
	t.Helper()
	c := connect(t)
	for _, text := range []string{"LISTEN " + pgx.Identifier{postgres.Channel(s)}.Sanitize(), "LISTEN last"} {
		if _, err := c.Exec(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	do()
	if _, err := connect(t).Exec(t.Context(), "NOTIFY last"); err != nil {
		t.Fatal(err)
	}
	for ; ; n++ {
		told, err := c.WaitForNotification(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if told.Channel == "last" {
			return n
		}
	}
}

// Transactions that notify are committed one after another. Where nobody watches, none does.
func TestNothingIsNotifiedUnlessSomebodyWatches(t *testing.T) {
	opts := &postgres.Options{Schema: newSchema(t)}
	s, watching := open(t, serverURL(t), opts), open(t, serverURL(t), opts)
	table := openTable(t, s)
	entries, keys := trackEntries(100)
	everyChange := func() {
		t.Helper()
		err := table.Put(t.Context(), entries)
		if err == nil {
			err = table.Put(t.Context(), entries[:1])
		}
		if err == nil {
			_, err = table.Delete(t.Context(), keys[:1])
		}
		if err == nil {
			_, err = table.Clear(t.Context(), driver.Filter{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := notifications(t, s, everyChange); n != 0 {
		t.Errorf("%d notifications, though nobody watches", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended, began := make(chan error, 1), make(chan struct{})
	go func() { ended <- watching.Watch(ctx, func() { close(began) }, func(driver.Change) {}) }()
	waitfor.Receive(t, "Watch begins", began)
	if n := notifications(t, s, everyChange); n != 4 {
		t.Errorf("%d notifications of 4 changes", n)
	}
	cancel()
	waitfor.Receive(t, "Watch ends", ended)
	waitfor.True(t, "nothing is notified any more", func() bool { return notifications(t, s, everyChange) == 0 })
}

// What changes nothing is not told: those who wait for a key would wake each other for ever.
func TestWhatChangesNothingIsNotTold(t *testing.T) {
	opts := &postgres.Options{Schema: newSchema(t)}
	s := open(t, serverURL(t), opts)
	table := openTable(t, s)
	tracktest.Put(t, table, track(1))
	tracktest.Watch(t, open(t, serverURL(t), opts))
	older, keys := track(1), []driver.Key{track(2).Key, track(3).Key}
	older.CachedAt = older.CachedAt.Add(-1_000_000)
	seen := driver.Renewal{Key: older.Key, Seen: older.CachedAt, CachedAt: older.CachedAt, ExpiresAt: older.ExpiresAt}
	absent := seen
	absent.Key = keys[0]
	n := notifications(t, s, func() {
		ctx := t.Context()
		var errs []error
		note := func(_ any, err error) { errs = append(errs, err) }
		note(table.PutIf(ctx, []driver.Entry{track(1)}, driver.Condition{If: driver.IfAbsent}))
		note(table.PutIf(ctx, []driver.Entry{track(1)}, driver.Condition{If: driver.IfNotLive, Now: now}))
		note(table.PutIf(ctx, []driver.Entry{older}, driver.Condition{If: driver.IfNewer}))
		note(table.PutIf(ctx, []driver.Entry{older}, driver.Condition{If: driver.IfUnchanged}))
		note(table.Renew(ctx, []driver.Renewal{seen}))
		note(table.Renew(ctx, []driver.Renewal{seen, absent}))
		note(table.Delete(ctx, keys[:1]))
		note(table.Delete(ctx, keys))
		_, _, err := table.Pop(ctx, keys[0], driver.Filter{})
		note(nil, err)
		note(table.Clear(ctx, driver.Filter{State: driver.Expired, Now: now}))
		note(nil, table.Use(ctx, []driver.Key{track(1).Key}, now.Add(1_000_000)))
		note(nil, s.DropTable(ctx, "albums"))
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%d notifications of nothing", n)
	}
}

// The keys of a change are told as long as they are not too many, once the store knows that
// somebody watches.
func TestKeysAreToldExactly(t *testing.T) {
	opts := &postgres.Options{Schema: newSchema(t)}
	table := openTable(t, open(t, serverURL(t), opts))
	w := tracktest.Watch(t, open(t, serverURL(t), opts))
	entries, keys := trackEntries(30_000)
	tracktest.Put(t, table, entries[0])
	w.Told(t, "tracks", keys[0])
	for _, n := range []int{1, 2, 300, 2_000} {
		w.Forget()
		tracktest.Put(t, table, entries[:n]...)
		for _, k := range keys[:n] {
			w.Told(t, "tracks", k)
		}
		if w.Tells("tracks", keys[n]) || w.Tells("albums", keys[0]) {
			t.Errorf("a put of %d entries is told of others, too", n)
		}
	}
	w.Forget()
	tracktest.Put(t, table, entries...)
	w.Told(t, "tracks", keys[0])
	if changes := w.Forget(); len(changes) != 1 || changes[0].Keys != nil {
		t.Errorf("a put of many is told as %d changes", len(changes))
	}
}

// Stores with prefixes see some of a schema's tables, under other names.
func TestWatchOfTablesWithAPrefix(t *testing.T) {
	schema := newSchema(t)
	at := func(prefix string) *postgres.Store {
		return open(t, serverURL(t), &postgres.Options{Schema: schema, TablePrefix: prefix})
	}
	one, other := tracktest.Watch(t, at("")), tracktest.Watch(t, at("music "))
	tracktest.Put(t, openTable(t, at("books ")), track(1))
	tracktest.Put(t, openTable(t, at("music ")), track(2))
	one.Told(t, "books tracks", track(1).Key)
	one.Told(t, "music tracks", track(2).Key)
	other.Told(t, "tracks", track(2).Key)
	for _, c := range other.Forget() {
		if c.Table != "tracks" || slices.ContainsFunc(c.Keys, func(k driver.Key) bool { return slices.Equal(k, track(1).Key) }) {
			t.Errorf("a store with a prefix is told %v", c)
		}
	}
}

// A change by SQL can be told by whoever makes it, and what nobody understands is told for all.
func TestChangesBySQLCanBeTold(t *testing.T) {
	schema := newSchema(t)
	w := tracktest.Watch(t, open(t, serverURL(t), &postgres.Options{Schema: schema}))
	c := connect(t)
	notify := func(message string) {
		t.Helper()
		if _, err := c.Exec(t.Context(), "SELECT pg_notify($1, $2)", "endpointcache "+schema, message); err != nil {
			t.Fatal(err)
		}
	}
	notify(`{"table": "tracks"}`)
	w.Told(t, "tracks", track(1).Key)
	if w.Tells("albums", track(1).Key) {
		t.Error("another table is told")
	}
	for _, message := range []string{"", "tracks", "{}", `{"table": 1}`, `{"table": "tracks", "keys": [["a", null]]}`, `{"table": "tracks", "keys": [["\xy"]]}`, `{"table": "tracks", "keys": [[1.5]]}`} {
		w.Forget()
		notify(message)
		w.Told(t, "tracks", track(1).Key)
	}
}

// A change that is committed late is told, too: a Watch begins when it is certain of that.
func TestWatchWaitsForChangesThatAreBeingCommitted(t *testing.T) {
	opts := &postgres.Options{Schema: newSchema(t)}
	s := open(t, serverURL(t), opts)
	openTable(t, s)
	tx, err := connect(t).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// As a transaction that has found nobody watching, and is not committed yet.
	if _, err := tx.Exec(t.Context(), "SELECT pg_advisory_xact_lock_shared($1)", postgres.Changing(s)); err != nil {
		t.Fatal(err)
	}
	ended, began := make(chan error, 1), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- s.Watch(ctx, func() { close(began) }, func(driver.Change) {}) }()
	c := connect(t)
	waitfor.True(t, "the Watch waits", func() bool {
		var n int
		err := c.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND pid IN (SELECT pid FROM pg_stat_activity WHERE query LIKE $1)",
			"SELECT pg_catalog.pg_advisory_lock(%").Scan(&n)
		return err == nil && n > 0
	})
	select {
	case <-began:
		t.Error("it begins before the change is committed")
	default:
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitfor.Receive(t, "it begins", began)
	cancel()
	waitfor.Receive(t, "it ends", ended)
}

// A change that nobody was to be told of when it began, and that takes long.
func TestAChangeThatIsDoneLateIsTold(t *testing.T) {
	schema := newSchema(t)
	opts := &postgres.Options{Schema: schema}
	table := openTable(t, open(t, serverURL(t), opts))
	watching := open(t, serverURL(t), opts)
	for name, change := range map[string]func() error{
		"put": func() error { return table.Put(t.Context(), []driver.Entry{track(1)}) },
		"put if newer": func() error {
			_, err := table.PutIf(t.Context(), []driver.Entry{track(1)}, driver.Condition{If: driver.IfNewer})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			tx, err := connect(t).Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			tracktest.Put(t, table, track(1)) // which finds nobody
			if _, err := tx.Exec(t.Context(), "LOCK TABLE "+schema+".tracks"); err != nil {
				t.Fatal(err)
			}
			changed := make(chan error, 1)
			go func() { changed <- change() }()
			w := tracktest.Watch(t, watching)
			if err := tx.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := waitfor.Receive(t, "the change", changed); err != nil {
				t.Fatal(err)
			}
			w.Told(t, "tracks", track(1).Key)
		})
	}
}

func wantLost(t *testing.T, w *tracktest.Watched) {
	t.Helper()
	if err := w.Err(t); err == nil || errors.Is(err, context.Canceled) || errors.Is(err, driver.ErrClosed) {
		t.Errorf("Watch = %v, want that of a connection", err)
	}
}

func TestALostConnectionEndsWatch(t *testing.T) {
	schema := newSchema(t)
	s := open(t, serverURL(t), &postgres.Options{Schema: schema, ApplicationName: schema})
	table := openTable(t, open(t, serverURL(t), &postgres.Options{Schema: schema}))
	c, err := pgx.Connect(t.Context(), serverURL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	one, other := tracktest.Watch(t, s), tracktest.Watch(t, s)
	endSessions(t, c, schema)
	wantLost(t, one)
	wantLost(t, other)
	again := tracktest.Watch(t, s)
	waitfor.True(t, "a put succeeds", func() bool { return table.Put(t.Context(), []driver.Entry{track(2)}) == nil })
	again.Told(t, "tracks", track(2).Key)
}
