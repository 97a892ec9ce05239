package redis_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/testserver"
	"github.com/endpointcache/endpointcache/redis"
)

// wantConsistent fails the test unless each string under a prefix has its place in an
// index, with the score of its expiry, and each place its string.
func wantConsistent(t *testing.T, c rueidis.Client, prefix string) (entries int) {
	t.Helper()
	for _, key := range keysOf(t, c, prefix+":{tracks:*}") {
		if !strings.HasSuffix(key, "}") {
			continue
		}
		scores, err := do(t, c, "ZRANGE", key, "0", "-1", "WITHSCORES").AsZScores()
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]bool{}
		for _, s := range scores {
			name := key + ":" + s.Member
			want[name] = true
			value, err := do(t, c, "GET", name).ToString()
			if err != nil {
				t.Errorf("%s is in the index only", name)
				continue
			}
			expires, _, _ := strings.Cut(value, " ")
			instant, err := time.Parse("2006-01-02T15:04:05.000000Z", expires)
			if err != nil || float64(instant.UnixMicro()) != s.Score {
				t.Errorf("%s expires at %s, its score is %f", name, expires, s.Score)
			}
		}
		for _, name := range keysOf(t, c, key+":*") {
			entries++
			if !want[name] {
				t.Errorf("%s is in no index", name)
			}
		}
	}
	return entries
}

// Whatever many callers do at the same time: strings and indexes agree.
func TestStringsAndIndexesAgreeAfterALoad(t *testing.T) {
	for name, url := range map[string]func(testing.TB) string{"server": serverURL, "cluster": clusterURL} {
		t.Run(name, func(t *testing.T) {
			prefix := newPrefix(t, url(t))
			var wait sync.WaitGroup
			for g := range 6 {
				table := openTable(t, open(t, url(t), &redis.Options{Prefix: prefix, Buckets: 4}))
				wait.Add(1)
				go func() {
					defer wait.Done()
					if err := load(t.Context(), table, rand.New(rand.NewPCG(1, uint64(g))), 150); err != nil {
						t.Error(err)
					}
				}()
			}
			wait.Wait()
			n := wantConsistent(t, newClient(t, url(t)), prefix)
			table := openTable(t, open(t, url(t), &redis.Options{Prefix: prefix}))
			if counted := count(t, table, driver.Filter{}); counted != n || yielded(t, table, everything) != n {
				t.Errorf("%d entries, of which %d are counted", n, counted)
			}
			t.Logf("%d entries", n)
		})
	}
}

// disturbances are what happens to a server or to calls while they run.
func disturbances() map[string]func(ctx context.Context, c rueidis.Client) (context.Context, context.CancelFunc) {
	onAllNodes := func(args ...string) func(context.Context, rueidis.Client) (context.Context, context.CancelFunc) {
		return func(ctx context.Context, c rueidis.Client) (context.Context, context.CancelFunc) {
			for _, node := range c.Nodes() {
				node.Do(ctx, node.B().Arbitrary(args...).Build())
			}
			return context.WithTimeout(ctx, 10*time.Millisecond)
		}
	}
	return map[string]func(context.Context, rueidis.Client) (context.Context, context.CancelFunc){
		"lost connections": onAllNodes("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"),
		"lost scripts":     onAllNodes("SCRIPT", "FLUSH"),
		"cancellations": func(ctx context.Context, _ rueidis.Client) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, rand.N(10*time.Millisecond))
		},
	}
}

// Whatever interrupts calls: strings and indexes agree, a call gets its own answer, and no
// save fails for a lost connection.
func TestStringsAndIndexesAgreeAfterDisturbances(t *testing.T) {
	t.Parallel() // with servers of its own
	for name, url := range map[string]string{"server": testserver.OwnRedis(t, nil).URL(), "cluster": testserver.OwnRedisCluster(t, nil).URL()} {
		for what, disturb := range disturbances() {
			t.Run(name+", "+what, func(t *testing.T) {
				prefix, c := newPrefix(t, url), newClient(t, url)
				s := open(t, url, &redis.Options{Prefix: prefix, Buckets: 4})
				table := openTable(t, s)
				ctx, cancel := context.WithCancel(t.Context())
				var wait sync.WaitGroup
				for g := range 4 {
					wait.Add(1)
					go func() {
						defer wait.Done()
						for i := 0; ctx.Err() == nil; i++ {
							e := track(10_000*(g+1) + i)
							err := table.Put(t.Context(), []driver.Entry{e})
							if err == nil {
								err = table.Get(t.Context(), []driver.Key{e.Key}, everything, func(_ int, got driver.Entry) {
									if !bytes.Equal(got.Payload, e.Payload) {
										t.Errorf("the answer of another call: %q, want %q", got.Payload, e.Payload)
									}
								})
							}
							if err != nil {
								t.Error(err)
								return
							}
						}
					}()
				}
				for range 10 {
					short, end := disturb(ctx, c)
					for _, op := range operations(short, s, table) {
						_ = op() // of deletes nobody may know whether they were done
					}
					end()
				}
				cancel()
				wait.Wait()
				if n := wantConsistent(t, c, prefix); count(t, table, driver.Filter{}) != n {
					t.Errorf("%d entries, of which %d are counted", n, count(t, table, driver.Filter{}))
				}
			})
		}
	}
}

// load does operations of all kinds on the same entries.
func load(ctx context.Context, table driver.Table, r *rand.Rand, steps int) error {
	some := func() (entries []driver.Entry, keys []driver.Key) {
		for _, i := range r.Perm(300)[:1+r.IntN(60)] {
			e := track(i)
			e.ExpiresAt = now.Add(time.Duration(1+r.IntN(1_000)) * time.Minute)
			entries, keys = append(entries, e), append(keys, e.Key)
		}
		return entries, keys
	}
	for range steps {
		entries, keys := some()
		instant := now.Add(time.Duration(r.IntN(300)) * time.Minute)
		var err error
		switch r.IntN(11) {
		case 0:
			_, err = table.Delete(ctx, keys)
		case 1:
			_, _, err = table.Pop(ctx, keys[0], driver.Filter{State: driver.Live, Now: instant})
		case 2:
			_, err = table.Clear(ctx, driver.Filter{State: driver.Expired, Now: instant})
		case 3:
			n := 0
			for _, err = range table.Entries(ctx, driver.Selection{Filter: driver.Filter{State: driver.Live, Now: instant}}) {
				if n++; err != nil || n > 50 {
					break
				}
			}
		case 4:
			err = table.Get(ctx, keys, everything, func(int, driver.Entry) {})
		case 5, 6:
			_, err = table.PutIf(ctx, entries, driver.Condition{If: driver.Precondition(1 + r.IntN(3)), Now: instant})
		case 7:
			_, err = table.Renew(ctx, renewals(entries, r.IntN(3)))
		default:
			err = table.Put(ctx, entries)
		}
		if err != nil {
			return fmt.Errorf("during the load: %w", err)
		}
	}
	return nil
}

// renewals give entries their own times, and headers that are so much longer.
func renewals(entries []driver.Entry, longer int) []driver.Renewal {
	all := make([]driver.Renewal, len(entries))
	for i, e := range entries {
		all[i] = driver.Renewal{Key: e.Key, Seen: e.CachedAt, Header: e.Header + strings.Repeat(" ", longer), CachedAt: e.CachedAt, ExpiresAt: e.ExpiresAt}
	}
	return all
}

// While a slot moves, a node may get the end of a transaction whose beginning went to
// another. What is repeatable is done again then, and nothing else.
func TestATransactionThatLostItsBeginningIsDoneAgain(t *testing.T) {
	client := newClient(t, serverURL(t))
	for _, repeatable := range []bool{true, false} {
		attempts := 0
		err := redis.Persist(t.Context(), repeatable, func() error {
			if attempts++; attempts > 1 {
				return nil
			}
			return client.Do(t.Context(), client.B().Exec().Build()).Error()
		})
		if done := err == nil && attempts == 2; done != repeatable {
			t.Errorf("repeatable %t: %d attempts, %v", repeatable, attempts, err)
		}
	}
}
