package main

import (
	"bytes"
	"context"
	"sync"
	"time"

	json "github.com/go-json-experiment/json/v1"

	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
)

// cached is what the hand-written cache in memory holds.
type cached struct {
	payload   []byte
	expiresAt time.Time
}

// handMemory is a hand-written cache in memory: it hands out copies.
type handMemory struct {
	mu      sync.RWMutex
	entries map[Key]cached
}

func (m *handMemory) payload(k *Key) ([]byte, error) {
	m.mu.RLock()
	e, ok := m.entries[*k]
	m.mu.RUnlock()
	if !ok || !time.Now().Before(e.expiresAt) {
		return nil, errMissing
	}
	return bytes.Clone(e.payload), nil
}

func memoryGet(ctx context.Context, d *dataset, c *contest) error {
	store, err := memory.New(nil)
	if err != nil {
		return err
	}
	c.onClose(store.Close)
	repo, err := newRepository(ctx, store, payload.JSON[Track]())
	if err != nil {
		return err
	}
	hand := handMemory{entries: make(map[Key]cached, d.rows)}
	expires := expiry(time.Now())
	entries := make(map[Key]repository.Entry, d.rows)
	for i := range d.rows {
		if r := d.row(i); !r.expired {
			hand.entries[r.key] = cached{r.payload, expires}
			entries[r.key] = repository.Entry{Status: 200, Payload: r.payload}
		}
	}
	if err := repo.SaveEntries(ctx, entries); err != nil {
		return err
	}
	compareGets(d, c, 1, sameTrack,
		func(_ int, k *Key) (Track, error) { return found(repo.Get(ctx, *k)) },
		func(_ int, k *Key) (t Track, err error) {
			b, err := hand.payload(k)
			if err != nil {
				return t, err
			}
			return t, json.Unmarshal(b, &t)
		})
	return nil
}
