package exchange

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/internal/keytype"
	"github.com/endpointcache/endpointcache/internal/parallel"
)

// marked is a table whose entries have marks: an entry that is not known of later than one
// of its marks is old. To readers it has expired then, whatever its own expiry is. Count,
// Clear and the conditions of PutIf know nothing of marks.
type marked struct {
	driver.Table
	marks  *marks
	name   string
	about  []byte // with what the names of the marks of URLs begin
	url    []int  // the columns of the key that come from the URL; nil: a URL has one key
	tagged bool   // entries have tags
	prompt bool
}

// promptMarked is a marked table of a store whose reads are prompt.
type promptMarked struct{ *marked }

// GetsPromptly implements [driver.PromptTable].
func (promptMarked) GetsPromptly() {}

// mark puts marks on the table's entries, if the declaration has it so.
func (t *Table) mark(ctx context.Context) error {
	url := t.urlColumns()
	if t.Tags == nil && (url == nil || t.raw) {
		return nil
	}
	if err := t.x.marks.open(ctx); err != nil {
		return err
	}
	_, prompt := t.table.(driver.PromptTable)
	t.marked = &marked{
		Table: t.table, marks: &t.x.marks, name: t.Name, url: url, tagged: t.Tags != nil, prompt: prompt,
		about: driver.AppendKey(nil, driver.Key{urlMark, t.Name}),
	}
	t.near = t.marked.nearBy(t.near)
	t.table = t.marked
	if prompt {
		t.table = promptMarked{t.marked}
	}
	return nil
}

// urlColumns are the columns of keys that come from the URL, nil where a URL has one key.
// There may be none: all entries are of one URL then.
func (t *Table) urlColumns() []int {
	if len(t.Beside) == 0 && !t.Scoped() {
		return nil
	}
	own := len(t.columns()) - len(t.Declaration.Key) // the identity is beside the URL, too
	url := make([]int, 0, len(t.Declaration.Key))
	for i, column := range t.Declaration.Key {
		if !slices.Contains(t.Beside, column.Name) {
			url = append(url, own+i)
		}
	}
	return url
}

// urlName is the name of the mark of all entries with the key's URL.
func (m *marked) urlName(key driver.Key) string {
	var room [512]byte
	return m.marks.name(m.appendURL(room[:0], key))
}

// appendURL appends what the mark of all entries with the key's URL is about.
func (m *marked) appendURL(text []byte, key driver.Key) []byte {
	text = append(text, m.about...)
	for _, i := range m.url {
		text = driver.AppendKey(text, key[i:i+1])
	}
	return text
}

// tableName is the name of the mark of all entries.
func (m *marked) tableName() string { return m.marks.nameOf(tableMark, m.name) }

// readAtOnce is how many entries are read before their marks are. All bodies of a bulk read
// are in memory at the end.
const readAtOnce = 2048

// Get implements [driver.Table].
func (m *marked) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	switch {
	case len(keys) == 1 && m.prompt && !m.tagged:
		return m.getOne(ctx, keys, sel, visit)
	case len(keys) <= readAtOnce:
		return m.get(ctx, keys, sel, visit)
	}
	for from := 0; from < len(keys); from += readAtOnce {
		some := keys[from:min(from+readAtOnce, len(keys))]
		if err := m.get(ctx, some, sel, func(i int, e driver.Entry) { visit(from+i, e) }); err != nil {
			return err
		}
	}
	return nil
}

// get reads entries and the marks of their URLs; where a read takes a round trip, both at
// once. The marks of keys without an entry are read, too: what is asked for now is known of
// later than these, whatever the clock of whoever has set them.
func (m *marked) get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	var read gathered
	var urls []time.Time
	var err error
	switch {
	case m.prompt || m.url == nil || len(keys) == 0:
		if err = m.Table.Get(ctx, keys, withMarks(sel), read.visit); err == nil {
			urls, err = m.ofURLs(ctx, keys)
		}
	default:
		err = parallel.Do(2, func(part int) (err error) {
			if part == 0 {
				return m.Table.Get(ctx, keys, withMarks(sel), read.visit)
			}
			urls, err = m.ofURLs(ctx, keys)
			return err
		})
	}
	if err != nil {
		return err
	}
	return m.judge(ctx, read.hits, urls, sel, visit)
}

// ofURLs returns the instants of the marks of the keys' URLs; nil where there are none.
func (m *marked) ofURLs(ctx context.Context, keys []driver.Key) ([]time.Time, error) {
	if m.url == nil {
		return nil, nil
	}
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = m.urlName(key)
	}
	return m.marks.since(ctx, names)
}

// withMarks is the selection of entries whose marks are to be looked at.
func withMarks(sel driver.Selection) driver.Selection {
	sel.Parts |= driver.Meta
	if sel.State == driver.Expired {
		sel.State = driver.All
	}
	return sel
}

// gathered are the entries of one get.
type gathered struct {
	mu   sync.Mutex
	hits []hit
	one  [1]hit
}

func (g *gathered) visit(i int, e driver.Entry) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.hits == nil {
		g.hits = g.one[:0]
	}
	g.hits = append(g.hits, hit{i, e})
}

// judge visits those of the hits that sel selects when their marks are known. The instants
// of the marks of URLs are by the indexes of hits; nil: there are none.
func (m *marked) judge(ctx context.Context, hits []hit, urls []time.Time, sel driver.Selection, visit func(int, driver.Entry)) error {
	var tags []time.Time
	var ends []int // of each hit's part of tags
	if m.tagged && len(hits) > 0 {
		names := namer{m: m, byTags: make(map[string]string), all: m.tableName()}
		hits = slices.DeleteFunc(hits, func(h hit) bool {
			if !names.add(h.entry.Header) {
				return true // of no use
			}
			ends = append(ends, len(names.list))
			return false
		})
		var err error
		if tags, err = m.marks.since(ctx, names.list); err != nil {
			return err
		}
	}
	from := 0
	for i := range hits {
		var since time.Time
		if urls != nil {
			since = urls[hits[i].i]
		}
		if tags != nil {
			since = slices.MaxFunc(append(tags[from:ends[i]:ends[i]], since), time.Time.Compare)
			from = ends[i]
		}
		hits[i].judge(since, sel, visit)
	}
	return nil
}

// namer makes the names of the marks of entries with tags.
type namer struct {
	m      *marked
	list   []string
	all    string            // of the mark of all entries
	byTags map[string]string // names by tags
}

// add adds the names of the marks that an entry with that header has beside its URL's. It is
// false where they cannot be told.
func (n *namer) add(header string) bool {
	tags, err := tagsOf(header)
	if err != nil {
		return false
	}
	n.list = append(n.list, n.all)
	for _, tag := range tags {
		name, ok := n.byTags[tag]
		if !ok {
			name = n.m.marks.nameOf(tagMark, tag)
			n.byTags[tag] = name
		}
		n.list = append(n.list, name)
	}
	return true
}

// judge visits an entry as its latest mark, the zero time for none, makes it appear.
func (h *hit) judge(since time.Time, sel driver.Selection, visit func(int, driver.Entry)) {
	if appears(&h.entry, since, sel) {
		visit(h.i, h.entry)
	}
}

// appears makes an entry what its latest mark has it be, and reports whether it is selected.
func appears(e *driver.Entry, since time.Time, sel driver.Selection) bool {
	switch old := !since.IsZero() && !e.CachedAt.After(since); {
	case old && sel.State == driver.Live:
		return false
	case old:
		e.ExpiresAt = cutShort(e.ExpiresAt, since, sel.Now)
	case sel.State == driver.Expired && e.Live(sel.Now):
		return false
	}
	return true
}

// cutShort is the ExpiresAt of an entry that is old since an instant: no later than that,
// nor than now. Stores keep whole microseconds, so a nanosecond less tells that it was not
// the entry's own, see [isCutShort].
func cutShort(expires, since, now time.Time) time.Time {
	if expires.IsZero() || since.Before(expires) {
		expires = since
	}
	if !now.IsZero() && now.Before(expires) {
		expires = now
	}
	return expires.Add(-time.Nanosecond)
}

// isCutShort reports whether a mark has made an entry old.
func isCutShort(e driver.Entry) bool { return e.ExpiresAt.Nanosecond()%1000 != 0 }

// isOld reports whether marks have made an entry of that key old which is kept elsewhere.
func (m *marked) isOld(ctx context.Context, key driver.Key, e driver.Entry) (old bool, err error) {
	err = m.judgeAll(ctx, []driver.Key{key}, []hit{{0, e}}, driver.Selection{}, func(_ int, e driver.Entry) {
		old = isCutShort(e)
	})
	return old, err
}

// judgeAll is judge for hits whose keys have the same indexes.
func (m *marked) judgeAll(ctx context.Context, keys []driver.Key, hits []hit, sel driver.Selection, visit func(int, driver.Entry)) error {
	urls, err := m.ofURLs(ctx, keys)
	if err != nil {
		return err
	}
	return m.judge(ctx, hits, urls, sel, visit)
}

// Pop implements [driver.Table]. An old entry is removed, and is no live one.
func (m *marked) Pop(ctx context.Context, key driver.Key, f driver.Filter) (driver.Entry, bool, error) {
	e, ok, err := m.Table.Pop(ctx, key, f)
	if err != nil || !ok {
		return e, ok, err
	}
	ok = false
	err = m.judgeAll(ctx, []driver.Key{key}, []hit{{0, e}}, driver.Selection{Filter: f}, func(_ int, judged driver.Entry) {
		e, ok = judged, true
	})
	return e, ok, err
}

// iterateAtOnce and iterateBytes bound how much an iteration holds to look at its marks.
const (
	iterateAtOnce = 256
	iterateBytes  = 4 << 20
)

// Entries implements [driver.Table].
func (m *marked) Entries(ctx context.Context, sel driver.Selection) iter.Seq2[driver.Entry, error] {
	return func(yield func(driver.Entry, error) bool) {
		var keys []driver.Key
		var hits []hit
		size := 0
		flush := func() (more bool) {
			more = true
			err := m.judgeAll(ctx, keys, hits, sel, func(_ int, e driver.Entry) {
				more = more && yield(e, nil)
			})
			keys, hits, size = keys[:0], hits[:0], 0
			if err != nil && more {
				yield(driver.Entry{}, err)
			}
			return more && err == nil
		}
		for e, err := range m.Table.Entries(ctx, withMarks(sel)) {
			if err != nil {
				if flush() {
					yield(driver.Entry{}, err)
				}
				return
			}
			keys, hits = append(keys, e.Key), append(hits, hit{len(hits), e})
			size += len(e.Payload)
			if (len(hits) == iterateAtOnce || size >= iterateBytes) && !flush() {
				return
			}
		}
		flush()
	}
}

// List implements [driver.Table]. By expiry, it reads all entries for each page: marks change
// what these are sorted by.
func (m *marked) List(ctx context.Context, l driver.Listing) ([]driver.Entry, error) {
	if l.Order == driver.ByExpiry {
		return l.Page(m.Entries(ctx, l.Selection))
	}
	var list []driver.Entry
	next := l
	next.Selection = withMarks(l.Selection)
	for {
		page, err := m.Table.List(ctx, next)
		if err != nil {
			return nil, err
		}
		keys, hits := make([]driver.Key, len(page)), make([]hit, len(page))
		for i, e := range page {
			keys[i], hits[i] = e.Key, hit{i, e}
		}
		before := len(list)
		if err := m.judgeAll(ctx, keys, hits, l.Selection, func(_ int, e driver.Entry) { list = append(list, e) }); err != nil {
			return nil, err
		}
		if len(list) >= l.Limit || len(page) < next.Limit {
			return list[:min(len(list), l.Limit)], nil
		}
		next = next.Behind(page, len(list)-before)
	}
}

// tagsNote is the list of an entry's tags.
const tagsNote = "tags"

func tagsOf(header string) ([]string, error) {
	list, ok := head.Value(header, ":"+tagsNote)
	if !ok {
		return nil, nil
	}
	return keytype.SplitList(list)
}

// listOf is the note of tags.
func listOf(tags []string) string {
	tags = slices.Clone(tags)
	slices.Sort(tags)
	return keytype.JoinList(slices.Compact(tags)...)
}

// Tagged is the encoded header of an entry to be saved that holds a value, with the tags of
// that value; nil where there is none.
func (t *Table) Tagged(header string, key driver.Key, value any) (string, error) {
	if t.Tags == nil {
		return header, nil
	}
	h, err := head.Decode(header)
	if err != nil {
		return "", err
	}
	delete(h.Notes, tagsNote)
	if list := listOf(t.Tags(key, value)); list != "" {
		if h.Notes == nil {
			h.Notes = make(map[string]string, 1)
		}
		h.Notes[tagsNote] = list
	}
	return head.Encode(h)
}
