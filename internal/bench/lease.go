package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
)

// leaseTrips is how many round trips to the server a lease may cost a miss.
const leaseTrips = 2

// missLeased fetches n keys that are not there with a lease each, one after the other, against
// fetching them without and asking the server twice more.
func (b *backend) missLeased(n int) func(context.Context, *dataset, *contest) error {
	return func(ctx context.Context, d *dataset, c *contest) error {
		baseURL, err := startServer(c, d.rows, n, d.latency)
		if err != nil {
			return err
		}
		keys := keysOf(newRows(d.rows, n))
		leased, _, err := b.misses(ctx, d, c, "bench_leased", baseURL, time.Minute)
		if err != nil {
			return err
		}
		plain, hand, err := b.misses(ctx, d, c, "bench_unleased", baseURL, 0)
		if err != nil {
			return err
		}
		there := newRow(0, 0)
		if err := hand.saveMany(ctx, []row{there}); err != nil {
			return err
		}
		fetchers := [2]*fetch.Fetcher[Key, Track]{ours: leased, theirs: plain}
		c.ops = n
		c.restore = func(s side) error {
			_, err := fetchers[s].Repository().DeleteMany(ctx, keys)
			return err
		}
		for s, f := range fetchers {
			c.run[s] = func(int) error {
				for _, k := range keys {
					if side(s) == theirs {
						for range leaseTrips {
							if _, err := hand.get(ctx, there.key); err != nil {
								return err
							}
						}
					}
					if _, err := f.Fetch(ctx, k); err != nil {
						return err
					}
				}
				return nil
			}
		}
		c.verify = func(int) error {
			for s, f := range fetchers {
				found, err := f.Repository().GetMany(ctx, keys)
				if err != nil || len(found) != n {
					return errors.Join(err, fmt.Errorf("%v has %d of %d keys", side(s), len(found), n))
				}
			}
			return nil
		}
		return nil
	}
}

// misses opens a fetcher on a part of the server, and the hand-written side beside it.
func (b *backend) misses(ctx context.Context, d *dataset, c *contest, part, baseURL string, lease time.Duration) (*fetch.Fetcher[Key, Track], rival, error) {
	store, err := b.open(ctx, d, part)
	if err != nil {
		return nil, nil, err
	}
	owner, err := ownCache(store, c, nil)
	if err != nil {
		return nil, nil, err
	}
	declared := trackSettings(payload.JSON[Track]())
	declared.Policy = policy.Policy{Lease: lease}
	repo, err := cache.CreateRepository(ctx, owner, declared)
	if err != nil {
		return nil, nil, err
	}
	hand, err := b.byHand(ctx, d, part)
	if err != nil {
		return nil, nil, err
	}
	c.onClose(hand.close)
	f, err := newFetcher(c, repo, baseURL)
	return f, hand, err
}
