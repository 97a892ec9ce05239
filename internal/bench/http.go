package main

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	json "github.com/go-json-experiment/json/v1"
	"github.com/gregjones/httpcache"

	"github.com/endpointcache/endpointcache/cache"
	storedriver "github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/sqlite"
	"github.com/endpointcache/endpointcache/transport"
)

// cachedHost is where requests go that are all hits: nothing listens there.
const cachedHost = "http://127.0.0.1:1"

// httpHit makes calls of an http.Client that are all hits, on the library's
// transport and on a hand-written one.
func httpHit(ctx context.Context, d *dataset, c *contest) error {
	store, err := sqlite.Open(ctx, d.path(), nil)
	if err != nil {
		return err
	}
	client, err := openClient(ctx, c, store, policy.Policy{}, nil)
	if err != nil {
		return err
	}
	h, err := openHand(d.path(), readerPragmas)
	if err != nil {
		return err
	}
	c.onClose(h.close)
	get, err := h.prepare(`SELECT status, headers, payload FROM tracks WHERE `+keyEquals+` AND `+live, keyArgs+1, 3)
	if err != nil {
		return err
	}
	c.onClose(get.close)
	compareCalls(ctx, d, c, client, &http.Client{Transport: &handTransport{get: get}}, cachedHost)
	return nil
}

// openClient returns a client on the library's transport.
func openClient(ctx context.Context, c *contest, store storedriver.Store, p policy.Policy, base http.RoundTripper) (*http.Client, error) {
	all, err := cache.New(store, &cache.Options{Policy: p})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	c.onClose(all.Close)
	if _, err := cache.CreateRepository(ctx, all, trackSettings(payload.Bytes())); err != nil {
		return nil, err
	}
	return &http.Client{Transport: transport.New(all, &transport.Options{Base: base})}, nil
}

// handTransport is a hand-written http.RoundTripper for tracks, which answers from
// the table.
type handTransport struct{ get *statement }

// RoundTrip implements http.RoundTripper.
func (t *handTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	k, err := keyOf(req)
	if err != nil {
		return nil, err
	}
	t.get.bindKey(0, &k)
	t.get.bind(keyArgs, time.Now().UnixMicro())
	row, err := t.get.one()
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, errMissing
	}
	return storedResponse(req, row)
}

func keyOf(req *http.Request) (k Key, err error) {
	var disc, number error
	k.ID = strings.TrimPrefix(req.URL.Path, trackPath)
	query := req.URL.Query()
	k.Market = query.Get("market")
	k.Disc, disc = strconv.Atoi(query.Get("disc"))
	k.Number, number = strconv.Atoi(query.Get("number"))
	return k, errors.Join(disc, number)
}

func storedResponse(req *http.Request, row []driver.Value) (*http.Response, error) {
	status, headers, body := int(row[0].(int64)), row[1].(string), row[2].([]byte)
	resp := &http.Response{
		Status: strconv.Itoa(status) + " " + http.StatusText(status), StatusCode: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}
	if err := json.Unmarshal([]byte(headers), &resp.Header); err != nil {
		return nil, err
	}
	resp.Header.Set("X-From-Cache", "1")
	return resp, nil
}

// compareCalls is a contest of calls, one after the other, for the same tracks.
func compareCalls(ctx context.Context, d *dataset, c *contest, us, them *http.Client, host string) {
	n := min(getsPerRun, len(d.keys))
	bodies := [2][][]byte{make([][]byte, n), make([][]byte, n)}
	for s, client := range [2]*http.Client{ours: us, theirs: them} {
		c.run[s] = func(round int) error {
			for i, k := range d.some(n, round) {
				body, err := get(ctx, client, host, &k)
				if err != nil {
					return err
				}
				bodies[s][i] = body
			}
			return nil
		}
	}
	c.ops = n
	c.verify = func(int) error { return compareAnswers(bodies[ours], bodies[theirs], sameBytes) }
}

// httpMiss makes calls that all go to the server and are saved, against plain
// calls and hand-written saves.
func httpMiss(n int) func(context.Context, *dataset, *contest) error {
	return func(ctx context.Context, d *dataset, c *contest) error {
		f, err := openFiles(ctx, d, c)
		if err != nil {
			return err
		}
		url, err := startServer(c, d.rows, n, d.latency)
		if err != nil {
			return err
		}
		client, err := openClient(ctx, c, f.store, policy.Policy{}, newBase(c))
		if err != nil {
			return err
		}
		plain := &http.Client{Transport: newBase(c)}
		rows := newRows(d.rows, n)
		c.ops = n
		c.restore = f.removeNew
		c.run[ours] = func(int) error {
			for i := range rows {
				if _, err := get(ctx, client, url, &rows[i].key); err != nil {
					return err
				}
			}
			return nil
		}
		c.run[theirs] = func(int) error {
			for _, r := range rows {
				if r.payload, err = get(ctx, plain, url, &r.key); err != nil {
					return err
				}
				if err := f.hand.save(&r); err != nil {
					return err
				}
			}
			return nil
		}
		c.verify = func(int) error {
			for s, w := range f.admin {
				if count, err := w.number("SELECT count(*) FROM tracks WHERE status = 200 AND length(payload) > 2000"); err != nil || int(count) != d.rows+n {
					return fmt.Errorf("%v: there are %d rows, want %d: %w", side(s), count, d.rows+n, err)
				}
			}
			return nil
		}
		return nil
	}
}

func newBase(c *contest) *http.Transport {
	base := &http.Transport{MaxIdleConnsPerHost: concurrency}
	c.onClose(func() error { base.CloseIdleConnections(); return nil })
	return base
}

// httpPeer is the transport of gregjones/httpcache against the library's in
// Cache-Control mode, both in memory: on hits, or on misses.
func httpPeer(n int, hits bool) func(context.Context, *dataset, *contest) error {
	return func(ctx context.Context, d *dataset, c *contest) error {
		url, err := startServer(c, d.rows, n, d.latency)
		if err != nil {
			return err
		}
		rows := newRows(d.rows, n)
		var clients [2]*http.Client
		renew := func(s side) (err error) {
			if s == theirs {
				peer := httpcache.NewMemoryCacheTransport()
				peer.Transport = newBase(c)
				clients[s] = peer.Client()
				return nil
			}
			store, err := memory.New(nil)
			if err != nil {
				return err
			}
			clients[s], err = openClient(ctx, c, store, policy.Policy{CacheControl: policy.On}, newBase(c))
			return err
		}
		fetchAll := func(s side) error {
			for i := range rows {
				body, err := get(ctx, clients[s], url, &rows[i].key)
				if err != nil {
					return err
				}
				if !sameBytes(body, rows[i].payload) {
					return fmt.Errorf("the body of %+v is %s", rows[i].key, body)
				}
			}
			return nil
		}
		if hits {
			for _, s := range []side{ours, theirs} {
				if err := errors.Join(renew(s), fetchAll(s)); err != nil {
					return err
				}
			}
		} else {
			c.restore = renew
		}
		c.ops = n
		for _, s := range []side{ours, theirs} {
			c.run[s] = func(int) error { return fetchAll(s) }
		}
		c.verify = func(int) error {
			for s, client := range clients {
				resp, err := client.Get(url + trackPath + rows[0].key.ID + fmt.Sprintf("?market=%s&disc=%d&number=%d", rows[0].key.Market, rows[0].key.Disc, rows[0].key.Number))
				if err != nil {
					return err
				}
				_ = resp.Body.Close()
				if resp.Header.Get("X-From-Cache") != "1" {
					return fmt.Errorf("%v: what was fetched is no hit", side(s))
				}
			}
			return nil
		}
		return nil
	}
}
