package compress

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/head"
)

// Columns are the key of a dictionary in the table where they are kept: the repository, and
// the ID that frames name it by. None expires, and none is deleted while its repository is
// there, as an entry may need it.
var Columns = []driver.Column{{Name: "repository", Kind: driver.String}, {Name: "dictionary", Kind: driver.Int}}

// turn is the ID of no dictionary: its entry is there while one is being made.
const turn = int64(0)

// turnEnds is how long a process has for making a dictionary, before it is taken for dead.
const turnEnds = 10 * time.Minute

// mostStored is how many dictionaries a repository has at most. None is deleted, as some
// process may just save what needs it; and whoever reads may hold them all in memory.
const mostStored = 8

// endWithin limits how long the end of a turn holds up the end of a cache.
const endWithin = time.Second

// The notes of a dictionary.
const (
	entriesNote = "entries" // how many the repository had when it was made
	ratioNote   = "ratio"   // the size of frames to that of bodies which it was not made of
)

// dictionary is one that is kept in the store.
type dictionary struct {
	id      uint32
	since   time.Time // when it was made, or taken again
	entries int
	ratio   float64
}

// isAfter reports whether d is in use since a later time than other, which is nil for none. Of
// two with one time, all processes take the same for the later one.
func (d *dictionary) isAfter(other *dictionary) bool {
	return other == nil || d.since.After(other.since) || d.since.Equal(other.since) && d.id > other.id
}

// dictionaries are those of a repository that this process has met.
type dictionaries struct {
	opts   *Options
	codecs atomic.Pointer[map[uint32]*codec]

	mu sync.Mutex // of whoever changes codecs
}

func (d *dictionaries) init(o *Options) {
	d.opts = o
	d.codecs.Store(&map[uint32]*codec{0: plain})
}

// codec is that with a dictionary, nil if it is not known. It reads frames; what takes memory
// for writing them is the saver's, and goes when another dictionary is used.
func (d *dictionaries) codec(id uint32) *codec { return (*d.codecs.Load())[id] }

// add makes a dictionary known. Its content is not changed any more.
func (d *dictionaries) add(content []byte) *codec {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := *d.codecs.Load()
	if c := old[idOf(content)]; c != nil {
		return c
	}
	c := newCodec(content)
	codecs := maps.Clone(old)
	codecs[c.id] = c
	d.codecs.Store(&codecs)
	return c
}

func (d *dictionaries) key(id int64) driver.Key { return driver.Key{d.opts.Repository, id} }

// find returns the codec with a dictionary, from the store if it is not known. It is nil if
// the store does not have it, or it is damaged.
func (d *dictionaries) find(ctx context.Context, id uint32) (*codec, error) {
	if c := d.codec(id); c != nil {
		return c, nil
	}
	err := d.load(ctx, id)
	return d.codec(id), err
}

// load makes a dictionary known if the store has it.
func (d *dictionaries) load(ctx context.Context, id uint32) error {
	table, err := d.opts.Dictionaries(ctx)
	if err != nil {
		return err
	}
	var content []byte
	err = table.Get(ctx, []driver.Key{d.key(int64(id))}, driver.Selection{Parts: driver.Payload}, func(_ int, e driver.Entry) {
		content = bytes.Clone(e.Payload)
	})
	if err == nil && len(content) > idAt+4 && idOf(content) == id {
		d.add(content)
	}
	return err
}

// latest is the dictionary that is to be used, nil for none.
func (d *dictionaries) latest(ctx context.Context) (*dictionary, error) {
	stored, err := d.stored(ctx)
	if err != nil {
		return nil, err
	}
	var latest *dictionary
	for _, one := range stored {
		if one.isAfter(latest) {
			latest = one
		}
	}
	return latest, nil
}

// stored are the dictionaries that the store has.
func (d *dictionaries) stored(ctx context.Context) (stored []*dictionary, err error) {
	table, err := d.opts.Dictionaries(ctx)
	if err != nil {
		return nil, err
	}
	sel := driver.Selection{Filter: driver.Filter{Leading: driver.Key{d.opts.Repository}}, Parts: driver.Meta}
	for e, err := range table.Entries(ctx, sel) {
		if err != nil {
			return nil, err
		}
		id := e.Key[1].(int64)
		if id == turn {
			continue
		}
		one := &dictionary{id: uint32(id), since: e.CachedAt} //nolint:gosec // it was made of one
		one.entries, _ = strconv.Atoi(note(e.Header, entriesNote))
		one.ratio, _ = strconv.ParseFloat(note(e.Header, ratioNote), 64)
		stored = append(stored, one)
	}
	return stored, nil
}

func note(header, name string) string {
	text, _ := head.Value(header, ":"+name)
	return text
}

// keep stores a dictionary that is known, if it is not there or was in use earlier.
func (d *dictionaries) keep(ctx context.Context, one *dictionary) error {
	table, err := d.opts.Dictionaries(ctx)
	if err != nil {
		return err
	}
	header, err := head.Encode(head.Head{Notes: map[string]string{
		entriesNote: strconv.Itoa(one.entries), ratioNote: strconv.FormatFloat(one.ratio, 'f', 4, 64),
	}})
	if err != nil {
		return err
	}
	_, err = table.PutIf(ctx, []driver.Entry{{
		Key: d.key(int64(one.id)), Status: http.StatusOK, Header: header, Payload: d.codec(one.id).dictionary, CachedAt: one.since,
	}}, driver.Condition{If: driver.IfNewer})
	return err
}

// takeTurn reports whether this process is the one that makes a dictionary, of all on the
// store. EndTurn is due then.
func (d *dictionaries) takeTurn(ctx context.Context, now time.Time) (bool, error) {
	table, err := d.opts.Dictionaries(ctx)
	if err != nil {
		return false, err
	}
	taken, err := table.PutIf(ctx, []driver.Entry{{
		Key: d.key(turn), Status: http.StatusOK, CachedAt: now, ExpiresAt: now.Add(turnEnds),
	}}, driver.Condition{If: driver.IfNotLive, Now: now})
	return err == nil && taken[0], err
}

// endTurn ends a turn. Where that fails, it ends by itself.
func (d *dictionaries) endTurn(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
	defer cancel()
	if table, err := d.opts.Dictionaries(ctx); err == nil {
		_, _ = table.Delete(ctx, []driver.Key{d.key(turn)})
	}
}
