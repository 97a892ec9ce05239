package redis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/endpointcache/endpointcache/driver"
)

const (
	checkNodes = 100 * time.Millisecond // how often a Watch asks the client for its nodes
	checkConn  = time.Second            // how often it asks a node whether the connection is alive
	maxAnswer  = 5 * time.Second        // how long that may take
	maxUntold  = 100_000                // keys that wait to be told, before all are taken for changed
)

// Watch has every node tell which keys change below the store's prefix: client-side
// caching in broadcasting mode, see https://redis.io/docs/latest/develop/reference/client-side-caching/.
// That needs a connection to each node, and RESP3. It tells what this store changes, too,
// that an entry was used, and that the server has removed one. It ends with an error when
// one of these connections is lost, or the client gets to know another node.
func (s *Store) Watch(ctx context.Context, begun func(), changed func(driver.Change)) error {
	err := s.gate.DoUntilClose(ctx, func(ctx context.Context) error {
		return explain(ctx, s.watch(undated(ctx), begun, changed))
	})
	return &driver.OpError{Store: kind, Op: "watch", Err: err}
}

var _ driver.Watcher = (*Store)(nil)

func (s *Store) watch(ctx context.Context, begun func(), changed func(driver.Change)) error {
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{
		store: s, prefix: s.opts.Prefix + ":{", specs: make(map[string]driver.TableSpec),
		wake: make(chan struct{}, 1), lost: make(chan error, 1),
	}
	defer w.running.Wait()
	defer cancel()
	nodes := s.client.Nodes()
	for address, node := range nodes {
		if err := w.listen(ctx, address, node); err != nil {
			return err
		}
	}
	begun()
	check := time.NewTicker(checkNodes)
	defer check.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-w.lost:
			return err
		case <-check.C:
			for address := range s.client.Nodes() {
				if nodes[address] == nil {
					return fmt.Errorf("there is another node: %s", address)
				}
			}
		case <-w.wake:
			for _, c := range w.changes(ctx) {
				changed(c)
			}
		}
	}
}

// watch is a Watch of all nodes.
type watch struct {
	store   *Store
	prefix  string                      // of all keys
	specs   map[string]driver.TableSpec // by their names as they stand in keys
	running sync.WaitGroup
	lost    chan error // why there is nothing more to be told

	mu   sync.Mutex
	keys map[string]struct{} // that are to be told
	all  bool                // or all are
	wake chan struct{}       // when there are some
}

var errRESP2 = fmt.Errorf("the client speaks RESP2, and changes are told in RESP3: %w", errors.ErrUnsupported)

// listen has a node tell of changes, until ctx is done.
func (w *watch) listen(ctx context.Context, address string, node rueidis.Client) error {
	// The client asks no context while it makes the connection for the Watch.
	if err := node.Do(ctx, resendable(node.B().Ping().Build())).Error(); err != nil {
		return err
	}
	conn, _ := node.Dedicate()
	lost := conn.SetOnInvalidations(w.receive)
	hello, err := conn.Do(ctx, conn.B().Arbitrary("HELLO").Build()).AsMap()
	if err == nil {
		if proto := hello["proto"]; !isThree(proto) {
			err = errRESP2
		}
	}
	if err == nil {
		err = conn.Do(ctx, conn.B().Arbitrary("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", w.prefix).Build()).Error()
		if _, refused := rueidis.IsRedisErr(err); refused {
			err = fmt.Errorf("the server does not tell of changes: %w: %w", errors.ErrUnsupported, err)
		}
	}
	if err != nil {
		conn.Close()
		return err
	}
	w.running.Go(func() {
		defer conn.Close() // rather than to give it back, as the server may not answer
		err := await(ctx, conn, lost)
		select {
		case w.lost <- fmt.Errorf("the connection to %s is lost: %w", address, err):
		default:
		}
	})
	return nil
}

func isThree(proto rueidis.RedisMessage) bool {
	n, err := proto.AsInt64()
	return err == nil && n == 3
}

// await returns why a connection tells nothing any more, once it does not.
func await(ctx context.Context, conn rueidis.DedicatedClient, lost <-chan error) error {
	check := time.NewTicker(checkConn)
	defer check.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-lost:
			return err
		case <-check.C:
			limited, cancel := context.WithTimeout(ctx, maxAnswer)
			err := conn.Do(limited, conn.B().Ping().Build()).Error()
			cancel()
			if err != nil {
				return err
			}
		}
	}
}

// receive takes the keys that a node tells, or nil for all. Connections call it, which
// must not wait.
func (w *watch) receive(keys []rueidis.RedisMessage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all = w.all || keys == nil || len(w.keys)+len(keys) > maxUntold; w.all {
		w.keys = nil
	} else if w.keys == nil {
		w.keys = make(map[string]struct{}, len(keys))
	}
	for i := 0; i < len(keys) && !w.all; i++ {
		key, err := keys[i].ToString()
		w.keys[key], w.all = struct{}{}, err != nil
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// changes returns what the keys that were received are about.
func (w *watch) changes(ctx context.Context) (changes []driver.Change) {
	w.mu.Lock()
	keys, all := w.keys, w.all
	w.keys, w.all = nil, false
	w.mu.Unlock()
	if all {
		clear(w.specs)
		return []driver.Change{{}}
	}
	texts := make(map[string][]string) // of entries' keys, by their tables
	for key := range keys {
		table, rest, _ := strings.Cut(strings.TrimPrefix(key, w.prefix), "}")
		table, _, bucket := strings.Cut(table, ":")
		switch text, entry := strings.CutPrefix(rest, ":"); {
		case bucket && entry:
			texts[table] = append(texts[table], text)
		case !bucket && rest == "": // the description, before any entry of such a table
			delete(w.specs, table)
			changes = append(changes, driver.Change{Table: w.name(table)})
		}
	}
	for _, table := range slices.Sorted(maps.Keys(texts)) {
		changes = append(changes, w.change(ctx, table, texts[table]))
	}
	return changes
}

// change is one of the entries of a table whose keys have these texts, or of any entry where
// the table does not say what these mean.
func (w *watch) change(ctx context.Context, table string, texts []string) driver.Change {
	spec, ok := w.specs[table]
	if !ok {
		if spec, ok = w.spec(ctx, table); !ok {
			return driver.Change{Table: w.name(table)}
		}
		w.specs[table] = spec
	}
	c := driver.Change{Table: spec.Name, Keys: make([]driver.Key, len(texts))}
	for i, text := range texts {
		var err error
		if c.Keys[i], err = parseKey(spec.Key, text); err != nil {
			delete(w.specs, table)
			return driver.Change{Table: spec.Name}
		}
	}
	return c
}

// spec reads the description of a table.
func (w *watch) spec(ctx context.Context, table string) (driver.TableSpec, bool) {
	client, key := w.store.client, w.prefix+table+"}"
	text, err := client.Do(ctx, resendable(client.B().Arbitrary("GET").Keys(key).Build().ToRetryable())).ToString()
	if err != nil {
		return driver.TableSpec{}, false
	}
	return w.store.specOf(key, text)
}

// name is that of a table, or empty for any where no table of ours has such a key.
func (w *watch) name(table string) string {
	name, _ := unescape(table)
	return name
}
