package seal_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/seal"
)

func reseal(tb testing.TB, s *sealed, want int) {
	tb.Helper()
	n, err := s.Reseal(tb.Context())
	if check(tb, err); want >= 0 && n != want {
		tb.Errorf("%d entries were sealed anew, want %d", n, want)
	}
}

func TestOldKeysOpenUntilTheyAreLeftOut(t *testing.T) {
	for mode, opts := range modes {
		for kind := range backends {
			t.Run(mode+"/"+kind, func(t *testing.T) {
				s := openSealed(t, kind, keys(t, 1), opts)
				table := s.table(t, spec)
				all, asked := entries(300, 1) // more than are sealed anew at a time
				check(t, table.Put(t.Context(), all))
				other := s.table(t, driver.TableSpec{Name: "albums", Key: spec.Key})
				check(t, other.Put(t.Context(), all[:1]))
				check(t, s.SetKeys(keys(t, 2, 1)))
				more, _ := entries(10, 2)
				check(t, table.Put(t.Context(), more))
				renewed, err := table.Renew(t.Context(), []driver.Renewal{{
					Key: asked[20], Seen: all[20].CachedAt, Header: `{"A":["1"]}`, CachedAt: all[20].CachedAt, ExpiresAt: all[20].ExpiresAt,
				}})
				if check(t, err); !renewed[0] {
					t.Error("the entry was not renewed")
				}
				n := 300 - 10 + 1
				if mode == "signed" {
					n-- // the payload of the renewed entry has no seal of its own
				}
				reseal(t, s, n)
				reseal(t, s, 0)
				check(t, s.SetKeys(keys(t, 2)))
				got := found(t, table, driver.Selection{Parts: driver.Payload | driver.Meta | driver.Usage}, asked...)
				if len(got) != len(all) {
					t.Errorf("%d of %d entries are found", len(got), len(all))
				}
				for i, e := range got {
					want := all[i]
					if i < 10 {
						want = more[i]
					}
					if !bytes.Equal(e.Payload, want.Payload) || e.Name != want.Name || e.Status != want.Status || !e.CachedAt.Equal(want.CachedAt) {
						t.Errorf("%v became %+v", want.Key, e)
					}
				}
				if n := len(rows(t, other)); n != 1 {
					t.Errorf("%d entries of another table are found", n)
				}
			})
		}
	}
}

func TestWhenEntriesWereUsedSurvives(t *testing.T) {
	s := openSealed(t, "sqlite", keys(t, 1), nil)
	table := s.table(t, spec)
	all, asked := entries(40, 1)
	check(t, table.Put(t.Context(), all))
	for i, k := range asked[:20] {
		check(t, table.Use(t.Context(), []driver.Key{k}, tracktest.Now.Add(time.Duration(2+i)*time.Minute)))
	}
	check(t, s.SetKeys(keys(t, 2, 1)))
	reseal(t, s, 40)
	for i, e := range found(t, table, driver.Selection{Parts: driver.Usage}, asked...) {
		want := tracktest.Now.Add(time.Duration(2+i) * time.Minute)
		if i >= 20 {
			want = all[i].CachedAt
		}
		if early := want.Sub(e.UsedAt); early < 0 || early > time.Minute {
			t.Errorf("entry %d was used at %v, want %v", i, e.UsedAt, want)
		}
	}
}

func TestWhatIsReadIsSealedAnew(t *testing.T) {
	for mode, opts := range modes {
		t.Run(mode, func(t *testing.T) {
			s := openSealed(t, "sqlite", keys(t, 1), opts)
			table := s.table(t, spec)
			all, asked := entries(20, 1)
			check(t, table.Put(t.Context(), all))
			check(t, s.SetKeys(keys(t, 2, 1)))
			found(t, table, driver.Selection{Parts: driver.Payload}, asked[:10]...)
			waitfor.True(t, "a get has its entries sealed anew", func() bool { return s.Stats().Resealed == 10 })
			rows(t, table)
			waitfor.True(t, "an iteration has the others sealed anew", func() bool { return s.Stats().Resealed == 20 })
			check(t, s.SetKeys(keys(t, 2)))
			if got := found(t, table, everything, asked...); len(got) != 20 {
				t.Errorf("%d of 20 entries are found", len(got))
			}
		})
	}
}

func TestAnUnknownKeyIsAMissAndStays(t *testing.T) {
	s := openSealed(t, "memory", keys(t, 1), nil)
	table := s.table(t, spec)
	e := entry(1, 1)
	check(t, table.Put(t.Context(), []driver.Entry{e}))
	check(t, s.SetKeys(keys(t, 2)))
	if got := found(t, table, everything, e.Key); len(got) != 0 {
		t.Error("an entry is found without its key")
	}
	if n := len(rows(t, table)); n != 0 {
		t.Errorf("an iteration yields %d entries without their keys", n)
	}
	reseal(t, s, 0)
	for _, c := range []driver.Condition{{If: driver.IfAbsent}, {If: driver.IfNotLive, Now: tracktest.Now}} {
		_, err := table.PutIf(t.Context(), []driver.Entry{e}, c)
		if err == nil || !strings.Contains(err.Error(), seal.ErrUnknownKey.Error()) {
			t.Errorf("put: %v, want %v", err, seal.ErrUnknownKey)
		}
	}
	check(t, s.SetKeys(keys(t, 1)))
	if got := found(t, table, everything, e.Key); len(got) != 1 {
		t.Error("the entry is not found with its key")
	}
	if failed := s.Stats().Failed; failed != 2 {
		t.Errorf("entries have failed %d times, want 2", failed)
	}
}

// TestNoReadIsLostWhileKeysChange has entries that are always there written, renewed and read
// while keys come and go.
func TestNoReadIsLostWhileKeysChange(t *testing.T) {
	for mode, opts := range modes {
		for _, kind := range []string{"memory", "sqlite", "postgres"} {
			t.Run(mode+"/"+kind, func(t *testing.T) { testRotation(t, kind, opts) })
		}
	}
}

func testRotation(t *testing.T, kind string, opts *seal.Options) {
	s := openSealed(t, kind, keys(t, 1), opts)
	table := s.table(t, spec)
	const n = 60
	var instants atomic.Int64
	next := func(i int) driver.Entry {
		e := entry(i, 1)
		e.CachedAt = tracktest.Now.Add(time.Duration(instants.Add(1)) * time.Microsecond)
		return e
	}
	all, asked := entries(n, 1)
	check(t, table.Put(t.Context(), all))

	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	var rounds [4]atomic.Int64
	forever := func(g int, work func(round int) error) {
		wait.Go(func() {
			for round := 0; ctx.Err() == nil; round++ {
				if err := work(round); err != nil {
					t.Error(err)
					return
				}
				rounds[g].Add(1)
			}
		})
	}
	forever(0, func(round int) error { // puts
		var some []driver.Entry
		for i := round % 7; i < n/2; i += 7 {
			some = append(some, next(i))
		}
		return table.Put(t.Context(), some)
	})
	forever(1, func(round int) error { // renews
		i := n/2 + round%(n/2)
		e, ok := found(t, table, everything, asked[i])[0]
		if !ok {
			return fmt.Errorf("entry %d is not found", i)
		}
		to := next(i)
		_, err := table.Renew(t.Context(), []driver.Renewal{{
			Key: asked[i], Seen: e.CachedAt, Header: to.Header, CachedAt: to.CachedAt, ExpiresAt: to.ExpiresAt,
		}})
		return err
	})
	for g := range 2 {
		forever(2+g, func(int) error { // reads
			got := found(t, table, everything, asked...)
			for i := range asked {
				e, ok := got[i]
				if want := all[i]; !ok || !bytes.Equal(e.Payload, want.Payload) || e.Name != want.Name {
					return fmt.Errorf("entry %d is %q (found: %v)", i, e.Payload, ok)
				}
			}
			return nil
		})
	}
	waitForAll := func() {
		var from [4]int64
		for g := range rounds {
			from[g] = rounds[g].Load()
		}
		waitfor.True(t, "all go on", func() bool {
			return t.Failed() || !slices.ContainsFunc([]int{0, 1, 2, 3}, func(g int) bool { return rounds[g].Load() < from[g]+3 })
		})
	}
	for key := range 3 {
		waitForAll()
		check(t, s.SetKeys(keys(t, key+2, key+1)))
		waitForAll()
		reseal(t, s, -1)
		check(t, s.SetKeys(keys(t, key+2)))
	}
	waitForAll()
	cancel()
	wait.Wait()
	if failed := s.Stats().Failed; failed != 0 {
		t.Errorf("%d entries could not be opened", failed)
	}
}

// TestWhatHasBegunGoesOnWithTheKeysThatItBeganWith leaves a key out while what it has sealed is
// on its way to the reader.
func TestWhatHasBegunGoesOnWithTheKeysThatItBeganWith(t *testing.T) {
	for mode, opts := range modes {
		t.Run(mode, func(t *testing.T) {
			s := openSealed(t, "sqlite", keys(t, 1), opts)
			table := s.table(t, spec)
			all, _ := entries(100, 1)
			check(t, table.Put(t.Context(), all))
			n := 0
			for _, err := range table.Entries(t.Context(), everything) {
				check(t, err)
				if n++; n == 1 {
					check(t, s.SetKeys(keys(t, 2, 1)))
					reseal(t, s, -1)
					check(t, s.SetKeys(keys(t, 2)))
				}
			}
			if n != len(all) {
				t.Errorf("an iteration yields %d entries of %d", n, len(all))
			}
		})
	}
}

func TestResealGoesOnWhereItWasBrokenOff(t *testing.T) {
	s := openSealed(t, "sqlite", keys(t, 1), nil)
	table := s.table(t, spec)
	all, _ := entries(700, 1)
	check(t, table.Put(t.Context(), all))
	check(t, s.SetKeys(keys(t, 2, 1)))
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Reseal(done); err == nil {
		t.Error("no error of a context that is done")
	}
	ctx := &ending{Context: t.Context(), s: s}
	first, err := s.Reseal(ctx)
	if err == nil || first == 0 || first == 700 {
		t.Errorf("%d entries were sealed anew: %v", first, err)
	}
	second, err := s.Reseal(t.Context())
	check(t, err)
	if first+second != 700 {
		t.Errorf("%d entries were sealed anew, and then %d", first, second)
	}
}

// ending is a context that ends when entries have been sealed anew.
type ending struct {
	context.Context
	s *sealed
}

func (c *ending) Err() error {
	if c.s.Stats().Resealed > 0 {
		return context.Canceled
	}
	return nil
}
