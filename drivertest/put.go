package drivertest

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

func testPut(t *testing.T, h Harness) {
	t.Run("a put replaces every part of an entry", func(t *testing.T) {
		table := h.ids(t)
		table.put(version(id(1), 1), version(id(2), 1))
		full := version(id(1), 2)
		table.put(full)
		table.wantOnly(full, version(id(2), 1))

		bare := driver.Entry{Key: id(1), CachedAt: now}
		table.put(bare)
		table.wantOnly(bare, version(id(2), 1))
		table.put(full)
		table.wantOnly(full, version(id(2), 1))
	})

	t.Run("a put replaces an expired entry", func(t *testing.T) {
		table := h.ids(t)
		table.put(expiring(id(1), now.Add(time.Hour)))
		later := now.Add(2 * time.Hour)
		table.wantCount(1, driver.Expired, later)
		table.put(expiring(id(1), now.Add(3*time.Hour)))
		table.wantCount(0, driver.Expired, later)
		table.wantCount(1, driver.Live, later)
		table.wantOnly(expiring(id(1), now.Add(3*time.Hour)))
	})

	t.Run("a put may shorten a life", func(t *testing.T) {
		table := h.ids(t)
		table.put(expiring(id(1), now.Add(3*time.Hour)))
		table.put(expiring(id(1), now.Add(time.Hour)))
		table.wantCount(1, driver.Expired, now.Add(2*time.Hour))
		table.put(expiring(id(1), time.Time{}))
		table.wantCount(0, driver.Expired, now.Add(2*time.Hour))
		table.put(expiring(id(1), now.Add(time.Hour)))
		table.wantCount(1, driver.Expired, now.Add(2*time.Hour))
	})

	t.Run("a put puts back what was deleted", func(t *testing.T) {
		table := h.ids(t)
		for v := range 3 {
			table.put(version(id(1), v))
			table.wantOnly(version(id(1), v))
			table.delete(id(1))
			table.wantOnly()
		}
	})

	t.Run("the store does not keep the caller's memory", func(t *testing.T) {
		table := h.ids(t)
		payload := []byte("as it came")
		k := key("a")
		e := version(k, 1)
		e.Payload = payload
		entries := []driver.Entry{e}
		table.put(entries...)

		want := version(key("a"), 1)
		want.Payload = []byte("as it came")
		copy(payload, "overwritten")
		k[0] = "b"
		entries[0] = driver.Entry{}
		table.wantOnly(want)
		if _, ok := table.entries(everything)[encode(key("a"))]; !ok {
			t.Error("a change of the caller's key after the put reached the store")
		}
	})

	t.Run("a put does not change what it is given", func(t *testing.T) {
		table := h.ids(t)
		e := version(id(1), 1)
		e.Payload = append(make([]byte, 0, 64), "payload"...)
		spare := e.Payload[:cap(e.Payload)]
		before := bytes.Clone(spare)
		entries := []driver.Entry{e}
		table.put(entries...)
		if !bytes.Equal(spare, before) {
			t.Error("a put wrote to the payload's memory")
		}
		if d := diff(e, entries[0]); d != "" {
			t.Errorf("a put changed the caller's entry: %s", d)
		}
	})

	t.Run("a payload that was handed out does not change", func(t *testing.T) {
		table := h.ids(t)
		table.put(version(id(1), 1))
		got := table.get(everything, id(1))[0].Payload
		yielded := table.entries(everything)[encode(id(1))].Payload
		for v := 2; v < 5; v++ {
			table.put(version(id(1), v))
			table.want(version(id(1), v))
		}
		table.delete(id(1))
		if want := version(id(1), 1).Payload; !bytes.Equal(got, want) || !bytes.Equal(yielded, want) {
			t.Errorf("payloads became %q and %q, want %q", got, yielded, want)
		}
	})

	t.Run("a payload that was handed out belongs to the receiver", func(t *testing.T) {
		table := h.ids(t)
		if table.store.Traits().SharesPayload {
			t.Skip("this store shares its payloads")
		}
		keys := ids(0, 4)
		table.put(versions(keys, 1)...)
		for _, e := range table.get(everything, append(keys, keys...)...) {
			got := string(e.Payload)
			scribble(e.Payload)
			if want := string(version(nil, 1).Payload); got != want {
				t.Errorf("payload is %q, want %q: it shares memory with another", got, want)
			}
		}
		for _, e := range table.entries(everything) {
			scribble(e.Payload)
		}
		table.wantOnly(versions(keys, 1)...)
		var mu sync.Mutex
		err := table.Get(t.Context(), append(keys, keys...), everything, func(_ int, e driver.Entry) {
			mu.Lock()
			defer mu.Unlock()
			if d := diff(version(nil, 1), e); d != "" {
				t.Errorf("an entry that another visit was given is changed: %s", d)
			}
			scribble(e.Payload)
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// scribble overwrites b, and what an append to it would write to.
func scribble(b []byte) {
	b = b[:cap(b)]
	for i := range b {
		b[i] = '#'
	}
}
