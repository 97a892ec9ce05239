package main

import (
	"context"
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/postgres"
)

// pageSize is how many rows the first page of a listing has, and pagesPerRun how often a
// side reads it in a round.
const (
	pageSize    = 100
	pagesPerRun = 50
)

// listed is what the hand-written side makes of a row of a page: all that the library's
// has, too.
type listed struct {
	item
	used time.Time
	size int64
}

// listColumns are SQLite's for a row of a page. The size is the library's expression,
// see sqlite/sql.go.
const (
	listColumns = keyColumns + `, status, cached_us, expires_us, name, headers, ifnull(_used_us, cached_us), ` + sizeColumn
	sizeColumn  = `length(payload) + length(CAST(name AS BLOB)) + length(CAST(headers AS BLOB)) +
		3 * length(CAST(id AS BLOB)) + 3 * length(CAST(market AS BLOB)) + 144`
)

// sqliteOrders are what SQLite sorts by.
var sqliteOrders = map[cache.Order]string{cache.ByName: "name", cache.BySize: sizeColumn}

// listSQLite reads the first page of a listing. The library has made its index.
func listSQLite(order cache.Order) func(context.Context, *dataset, *contest) error {
	return func(ctx context.Context, d *dataset, c *contest) error {
		f, err := copyFiles(d, c, "")
		if err != nil {
			return err
		}
		owner, err := openCache(ctx, f.paths[ours], c, nil)
		if err != nil {
			return err
		}
		if _, err := firstPage(ctx, owner, order); err != nil { // it makes the index
			return err
		}
		h, err := openHand(f.paths[ours], readerPragmas)
		if err != nil {
			return err
		}
		c.onClose(h.close)
		page, err := h.prepare(`SELECT `+listColumns+` FROM tracks ORDER BY `+sqliteOrders[order]+`, `+keyColumns+` LIMIT ?`, 1, keyArgs+7)
		if err != nil {
			return err
		}
		c.onClose(page.close)
		comparePages(ctx, c, owner, order, func() (rows []listed, err error) {
			page.bind(0, int64(pageSize))
			err = page.each(func(row []driver.Value) {
				l := listed{item: newHead(row)}
				used, _ := row[keyArgs+5].(int64)
				l.used = time.UnixMicro(used).UTC()
				l.size, _ = row[keyArgs+6].(int64)
				rows = append(rows, l)
			})
			return rows, err
		})
		return nil
	}
}

// postgresOrders are what PostgreSQL sorts by. The index by name leaves out some rows, of
// which there are none here.
var postgresOrders = map[cache.Order]string{
	cache.ByName: `WHERE NOT (left(id, 1) = E'\\' OR left(market, 1) = E'\\' OR left(name, 1) = E'\\' OR
		octet_length(id) + octet_length(market) + octet_length(name) > 2000) ORDER BY name COLLATE "C"`,
	cache.BySize: "ORDER BY _size",
}

// listPostgres reads the first page of a listing. The library has made its index.
func listPostgres(order cache.Order) func(context.Context, *dataset, *contest) error {
	return func(ctx context.Context, d *dataset, c *contest) error {
		_, hand, err := openPostgres(ctx, d, c, reads, payload.Bytes())
		if err != nil {
			return err
		}
		store, err := postgres.Open(ctx, d.server.url, &postgres.Options{Schema: readSchema})
		if err != nil {
			return err
		}
		owner, err := ownCache(store, c, nil)
		if err != nil {
			return err
		}
		if _, err := firstPage(ctx, owner, order); err != nil { // it makes the index
			return err
		}
		text := `SELECT id, market, disc, number, status, cached_at, expires_at, name, headers, _used_at, _size FROM ` + readSchema +
			`.tracks ` + postgresOrders[order] + `, id, market, disc, number LIMIT $1`
		comparePages(ctx, c, owner, order, func() (page []listed, err error) {
			rows, err := hand.conn.Query(ctx, text, pageSize)
			if err != nil {
				return nil, err
			}
			defer rows.Close()
			for rows.Next() {
				var l listed
				var used *time.Time // NULL in rows of before there were uses
				var size int32
				if err := rows.Scan(&l.key.ID, &l.key.Market, &l.key.Disc, &l.key.Number, &l.status, &l.cached, &l.expiresAt, &l.name, &l.headers, &used, &size); err != nil {
					return nil, err
				}
				l.used, l.size = l.cached, int64(size)
				if used != nil {
					l.used = *used
				}
				page = append(page, l)
			}
			return page, rows.Err()
		})
		return nil
	}
}

func firstPage(ctx context.Context, owner *cache.ResponseCache, order cache.Order) (cache.Page, error) {
	return owner.Contents().List(ctx, cache.Listing{Order: order, Limit: pageSize})
}

// comparePages is a contest of reading the first page of a listing.
func comparePages(ctx context.Context, c *contest, owner *cache.ResponseCache, order cache.Order, byHand func() ([]listed, error)) {
	var us cache.Page
	var them []listed
	c.ops = pagesPerRun
	c.run[ours] = func(int) (err error) {
		for range pagesPerRun {
			if us, err = firstPage(ctx, owner, order); err != nil {
				return err
			}
		}
		return nil
	}
	c.run[theirs] = func(int) (err error) {
		for range pagesPerRun {
			if them, err = byHand(); err != nil {
				return err
			}
		}
		return nil
	}
	c.verify = func(int) error {
		if len(us.Entries) != len(them) || len(them) != pageSize {
			return fmt.Errorf("pages of %d and %d rows", len(us.Entries), len(them))
		}
		for i, e := range us.Entries {
			l := them[i]
			key := fmt.Sprint(l.key.ID, l.key.Market, l.key.Disc, l.key.Number)
			if have := fmt.Sprint(e.Key[0].Value, e.Key[1].Value, e.Key[2].Value, e.Key[3].Value); have != key || e.Name != l.name ||
				e.Status != l.status || e.Size != l.size || !e.CachedAt.Equal(l.cached) || !e.ExpiresAt.Equal(l.expiresAt) || !e.UsedAt.Equal(l.used) {
				return fmt.Errorf("row %d is %+v and %+v", i, e, l)
			}
		}
		return nil
	}
}
