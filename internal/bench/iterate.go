package main

import (
	"bytes"
	"context"
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
)

// item is what the hand-written iteration makes of a row: all that the library's
// has, too.
type item struct {
	key               Key
	status            int
	name, headers     string
	payload           []byte
	cached, expiresAt time.Time
}

// iterate reads all live rows in table order.
func iterate(ctx context.Context, d *dataset, c *contest) error {
	repo, err := openRepository(ctx, d.path(), c, payload.Bytes())
	if err != nil {
		return err
	}
	h, err := openHand(d.path(), readerPragmas)
	if err != nil {
		return err
	}
	c.onClose(h.close)
	all, err := h.prepare(`SELECT `+keyColumns+`, status, cached_us, expires_us, name, headers, payload
		FROM tracks WHERE `+live+` ORDER BY _rowid_`, 1, keyArgs+6)
	if err != nil {
		return err
	}
	c.onClose(all.close)

	byUs := func(visit func(repository.Item[Key, []byte])) error {
		for item, err := range repo.All(ctx) {
			if err != nil {
				return err
			}
			visit(item)
		}
		return nil
	}
	byHand := func(visit func(item)) error {
		all.bind(0, time.Now().UnixMicro())
		return all.each(func(row []driver.Value) { visit(newItem(row)) })
	}
	var counts [2]int
	c.ops = len(d.keys)
	c.run[ours] = func(int) error {
		return byUs(func(repository.Item[Key, []byte]) { counts[ours]++ })
	}
	c.run[theirs] = func(int) error {
		return byHand(func(item) { counts[theirs]++ })
	}
	c.verify = func(round int) error {
		if counts != [2]int{c.ops, c.ops} {
			return fmt.Errorf("%v rows, want %d", counts, c.ops)
		}
		counts = [2]int{}
		if round > 0 {
			return nil // all rows at once are much to keep
		}
		return compareItems(byUs, byHand)
	}
	return nil
}

func newItem(row []driver.Value) item {
	it := newHead(row)
	it.payload, _ = row[keyArgs+5].([]byte)
	return it
}

// newHead is an item without its payload.
func newHead(row []driver.Value) (it item) {
	it.key.ID, _ = row[0].(string)
	it.key.Market, _ = row[1].(string)
	disc, _ := row[2].(int64)
	number, _ := row[3].(int64)
	it.key.Disc, it.key.Number = int(disc), int(number)
	status, _ := row[4].(int64)
	it.status = int(status)
	cached, _ := row[5].(int64)
	expires, _ := row[6].(int64)
	it.cached, it.expiresAt = time.UnixMicro(cached).UTC(), time.UnixMicro(expires).UTC()
	it.name, _ = row[7].(string)
	it.headers, _ = row[8].(string)
	return it
}

func compareItems(byUs func(func(repository.Item[Key, []byte])) error, byHand func(func(item)) error) error {
	want := make(map[Key]item)
	if err := byHand(func(it item) { want[it.key] = it }); err != nil {
		return err
	}
	var differs error
	err := byUs(func(have repository.Item[Key, []byte]) {
		it := want[have.Key]
		if len(it.payload) == 0 || !bytes.Equal(have.Value, it.payload) || !bytes.Equal(have.Payload, it.payload) ||
			have.Name != it.name || have.Status != it.status ||
			!have.CachedAt.Equal(it.cached) || !have.ExpiresAt.Equal(it.expiresAt) {
			differs = fmt.Errorf("the item of %+v is %+v and %+v", have.Key, have, it)
		}
		delete(want, have.Key)
	})
	if err != nil {
		return err
	}
	if differs == nil && len(want) > 0 {
		differs = fmt.Errorf("%d items are missing", len(want))
	}
	return differs
}
