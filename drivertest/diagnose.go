package drivertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// isTended reports whether a store can tell of itself, and whether it can be compacted.
func isTended(s driver.Store) (diagnoses, compacts bool) {
	_, diagnoses = driver.As[driver.Diagnoser](s)
	_, compacts = driver.As[driver.Compactor](s)
	return diagnoses, compacts
}

func testDiagnose(t *testing.T, h Harness) {
	if diagnoses, _ := isTended(h.open(t)); !diagnoses {
		t.Skip("the store tells nothing of itself")
	}
	diagnoser := func(table subject) driver.Diagnoser {
		d, _ := driver.As[driver.Diagnoser](table.store)
		return d
	}

	t.Run("findings say what they are about, how bad it is, and what to do", func(t *testing.T) {
		table := h.ids(t)
		table.put(versions(ids(0, 10), 1)...)
		for _, thorough := range []bool{false, true} {
			found, err := diagnoser(table).Diagnose(t.Context(), thorough)
			if err != nil || len(found) == 0 {
				t.Fatalf("%d findings, %v", len(found), err)
			}
			for _, f := range found {
				switch {
				case f.Subject == "" || f.Value == "":
					t.Errorf("%+v does not say what it is about, or what it is", f)
				case f.Level > driver.Fault:
					t.Errorf("%+v is of no level", f)
				case (f.Level == driver.Good) != (f.Advice == ""):
					t.Errorf("%+v: advice is for what is not good, and for all of that", f)
				}
			}
		}
	})

	t.Run("a thorough diagnosis tells no less", func(t *testing.T) {
		table := h.ids(t)
		table.put(versions(ids(0, 10), 1)...)
		subjects := func(thorough bool) (all []string) {
			found, err := diagnoser(table).Diagnose(t.Context(), thorough)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				all = append(all, f.Subject)
			}
			return all
		}
		all := subjects(true)
		for _, subject := range subjects(false) {
			if !slices.Contains(all, subject) {
				t.Errorf("it tells nothing of %q", subject)
			}
		}
	})

	t.Run("a diagnosis changes nothing", func(t *testing.T) {
		table := h.ids(t)
		entries := versions(ids(0, 20), 1)
		entries[3].ExpiresAt = now.Add(-time.Microsecond)
		table.put(entries...)
		before := table.entries(driver.Selection{Parts: everything.Parts | driver.Usage})
		for _, thorough := range []bool{false, true} {
			if _, err := diagnoser(table).Diagnose(t.Context(), thorough); err != nil {
				t.Fatal(err)
			}
		}
		table.wantOnly(entries...)
		after := table.entries(driver.Selection{Parts: everything.Parts | driver.Usage})
		for key, e := range before {
			if !after[key].UsedAt.Equal(e.UsedAt) {
				t.Errorf("%v counts as used", e.Key)
			}
		}
		specs, err := table.store.Tables(t.Context())
		if err != nil || len(specs) != 1 {
			t.Errorf("there are the tables %v, %v", specs, err)
		}
	})

	testTending(t, h, func(ctx context.Context, table subject) error {
		_, err := diagnoser(table).Diagnose(ctx, true)
		return err
	})
}

// testTending tests what holds for what is done to a store as a whole.
func testTending(t *testing.T, h Harness, tend func(context.Context, subject) error) {
	t.Run("it goes by its context", func(t *testing.T) {
		table := h.ids(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := tend(ctx, table)
		var op *driver.OpError
		if !errors.Is(err, context.Canceled) || !errors.As(err, &op) || op.Store != table.store.Traits().Kind {
			t.Errorf("%v, want an OpError that wraps the context's", err)
		}
		var none context.Context
		if err := tend(none, table); err == nil {
			t.Error("without a context it is no error")
		}
	})

	t.Run("a closed store says so", func(t *testing.T) {
		table := h.ids(t)
		if err := table.store.Close(); err != nil {
			t.Fatal(err)
		}
		if err := tend(t.Context(), table); !errors.Is(err, driver.ErrClosed) {
			t.Errorf("%v, want %v", err, driver.ErrClosed)
		}
	})

	t.Run("a store without tables is no error", func(t *testing.T) {
		if err := tend(t.Context(), subject{store: h.open(t)}); unless(err, errors.ErrUnsupported) != nil {
			t.Error(err)
		}
	})
}

// unless is err if it is not that one.
func unless(err, accepted error) error {
	if errors.Is(err, accepted) {
		return nil
	}
	return err
}

func testCompact(t *testing.T, h Harness) {
	if _, compacts := isTended(h.open(t)); !compacts {
		t.Skip("the store has nothing to be compacted")
	}
	compact := func(ctx context.Context, table subject) error {
		c, _ := driver.As[driver.Compactor](table.store)
		freed, err := c.Compact(ctx)
		if freed < 0 {
			return fmt.Errorf("%d bytes are freed, and the error is %w", freed, err)
		}
		return err
	}

	t.Run("compacting leaves what was not deleted", func(t *testing.T) {
		table := h.ids(t)
		others := openTable(t, table.store, driver.TableSpec{Name: "albums", Key: []driver.Column{integer("n")}})
		album := version(key(int64(7)), 3)
		others.put(album)
		n := h.pages()
		table.put(versions(ids(0, n), 1)...)
		table.put(versions(ids(0, n/10), 2)...)
		table.delete(ids(n/2, n/2)...)
		for range 2 {
			if err := compact(t.Context(), table); unless(err, errors.ErrUnsupported) != nil {
				t.Fatal(err)
			}
			table.wantOnly(append(versions(ids(0, n/10), 2), versions(ids(n/10, n/2-n/10), 1)...)...)
			others.wantOnly(album)
		}
		table.clear(driver.All, now)
		if err := compact(t.Context(), table); unless(err, errors.ErrUnsupported) != nil {
			t.Fatal(err)
		}
		table.wantOnly()
		table.put(version(id(1), 1))
		table.wantOnly(version(id(1), 1))
	})

	t.Run("others save and delete meanwhile", func(t *testing.T) {
		table := h.ids(t)
		const each = 20
		var wait sync.WaitGroup
		for w := range 4 {
			wait.Go(func() {
				for i := range rounds(10) {
					keys := ids(1_000*w, each)
					if err := table.Put(t.Context(), versions(keys, i)); err != nil {
						t.Errorf("put: %v", err)
					}
					if n, err := table.Delete(t.Context(), keys[each/2:]); err != nil || n != each/2 {
						t.Errorf("delete: %d, %v", n, err)
					}
				}
			})
		}
		for range 2 {
			wait.Go(func() {
				for range rounds(5) {
					if err := compact(t.Context(), table); unless(err, errors.ErrUnsupported) != nil {
						t.Error(err)
					}
				}
			})
		}
		wait.Wait()
		var want []driver.Entry
		for w := range 4 {
			want = append(want, versions(ids(1_000*w, each/2), rounds(10)-1)...)
		}
		table.wantOnly(want...)
	})

	testTending(t, h, compact)
}
