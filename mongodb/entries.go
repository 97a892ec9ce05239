package mongodb

import (
	"context"
	"errors"
	"iter"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/endpointcache/endpointcache/driver"
)

// A page of an iteration ends after so many documents, or the answer in which it comes
// to so many bytes of payload. The first is short, as many loops end soon.
const (
	firstPage    = 100
	growth       = 10
	maxPage      = 1_000
	maxPageBytes = 4 << 20
)

// Entries reads the collection in pages of the ids' order. Each page is a search of its
// own, whose cursor is closed: nothing is held while the caller's body runs.
func (t *table) Entries(ctx context.Context, sel driver.Selection) iter.Seq2[driver.Entry, error] {
	return t.iterate(ctx, sel, func(read func() error) error {
		return t.store.run(ctx, "iterate over", t.spec.Name, read)
	})
}

// at reads a page for an operation that is under way.
func at(read func() error) error { return read() }

// iterate yields the selected entries, each page of which is read by a call of do.
func (t *table) iterate(ctx context.Context, sel driver.Selection, do func(read func() error) error) iter.Seq2[driver.Entry, error] {
	return func(yield func(driver.Entry, error) bool) {
		p := pages{length: firstPage}
		for more := true; more; {
			err := do(func() error {
				return repeat(ctx, func() (err error) {
					more, err = t.nextPage(ctx, &p, sel)
					return err
				})
			})
			if err != nil {
				yield(driver.Entry{}, err)
				return
			}
			for i := range p.entries {
				if !yield(p.entries[i], nil) {
					return
				}
				p.entries[i] = driver.Entry{} // the body may be large
			}
		}
	}
}

// pages are where an iteration is.
type pages struct {
	entries []driver.Entry
	length  int // of the next page
	begun   bool
	after   string // the last id of the page before
	last    string // the last id of all when the second page was read
}

// nextPage reads the next page and reports whether there may be more.
func (t *table) nextPage(ctx context.Context, p *pages, sel driver.Selection) (more bool, err error) {
	if p.begun && p.last == "" {
		// Documents that are added behind it are left out: a body that adds some
		// would never come to an end.
		if p.last, err = t.lastID(ctx, sel.Filter); err != nil || p.last == "" {
			p.entries = p.entries[:0]
			return false, err
		}
	}
	decided := decides(sel.Filter)
	if !decided {
		sel.Parts |= sel.Where.Parts()
	}
	o := t.find(sel.Parts, true, p.length).SetLimit(int64(p.length)).SetSort(bson.D{{Key: fieldID, Value: 1}})
	if isByKey(sel.Filter) {
		o.SetHint(indexOfIDs)
	}
	cursor, err := t.search(ctx, t.selectedAfter(sel.Filter, p.after, p.last), o)
	if err != nil {
		return false, err
	}
	defer cursor.close(ctx)
	after, found, size := p.after, 0, 0
	p.entries = p.entries[:0]
	for (size < maxPageBytes || cursor.RemainingBatchLength() > 0) && cursor.Next(ctx) {
		e, err := t.read(cursor.Current, true)
		if err != nil {
			return false, err
		}
		id, err := idOf(cursor.Current)
		if err != nil {
			return false, err
		}
		after, found, size = string(id), found+1, size+len(e.Payload)
		if e.Key != nil && (decided || sel.Match(e)) {
			p.entries = append(p.entries, e)
		}
	}
	if err := cursor.Err(); err != nil {
		return false, err
	}
	more = found == p.length || cursor.ID() != 0
	p.begun, p.after, p.length = true, after, min(p.length*growth, t.store.maxPage())
	return more, nil
}

// lastID returns the last _id of the documents whose keys begin as the filter says, or
// nothing where there is none.
func (t *table) lastID(ctx context.Context, f driver.Filter) (string, error) {
	o := options.FindOne().SetSort(bson.D{{Key: fieldID, Value: -1}}).SetProjection(onlyID)
	begin := driver.Filter{Leading: f.Leading, Where: driver.Where{Prefix: f.Where.Prefix}}
	doc, err := t.docs.FindOne(ctx, t.selectedAfter(begin, "", ""), o).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	id, err := idOf(doc)
	return string(id), err
}
