package declared

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/settings"
)

// record is what the store remembers of a repository.
type record struct {
	declaration settings.Declaration
	table       int // the number of the tables with its entries
	next        *next
	old         []int // the numbers of tables that are to be dropped
	dropped     bool  // there are no tables; no later one gets a number of these

	seen time.Time // when it was written: no two that follow each other have the same
}

// next are the tables of a migration.
type next struct {
	declaration settings.Declaration
	table       int
	by          string    // whoever is at work
	until       time.Time // when others may go on, if nothing is heard until then
}

func (n *next) live(now time.Time) bool { return n != nil && now.Before(n.until) }

// free is the least number that no table has.
func (r *record) free() int {
	highest := max(r.table, 1)
	for _, n := range r.old {
		highest = max(highest, n)
	}
	if r.next != nil {
		highest = max(highest, r.next.table)
	}
	return highest + 1
}

// recordText is a record as people read it.
type recordText struct {
	declarationText
	Table int       `json:"table"`
	Next  *nextText `json:"next,omitempty"`
	Old   []int     `json:"old,omitempty"`

	Dropped bool `json:"dropped,omitempty"`
}

type nextText struct {
	declarationText
	Table int       `json:"table"`
	By    string    `json:"by"`
	Until time.Time `json:"until"`
}

type declarationText struct {
	Version  int       `json:"version,omitempty"`
	Endpoint string    `json:"endpoint,omitempty"`
	Payload  string    `json:"payload,omitempty"`
	Key      []string  `json:"key"` // as "id string"
	Beside   []string  `json:"beside,omitempty"`
	Scope    string    `json:"scope"`
	Declared time.Time `json:"declared"`
}

func (r *record) encode() (string, error) {
	text := recordText{declarationText: textOf(r.declaration), Table: r.table, Old: r.old, Dropped: r.dropped}
	if n := r.next; n != nil {
		text.Next = &nextText{textOf(n.declaration), n.table, n.by, n.until}
	}
	encoded, err := json.Marshal(text)
	return strings.ReplaceAll(string(encoded), `\u0000`, "?"), err // which stores do not keep
}

func textOf(d settings.Declaration) declarationText {
	text := declarationText{
		Version: d.Version, Endpoint: d.Endpoint, Payload: d.Payload, Beside: d.Beside,
		Scope: d.Scope.String(), Declared: d.DeclaredAt,
	}
	for _, c := range d.Key {
		text.Key = append(text.Key, c.Name+" "+c.Kind.String())
	}
	return text
}

func decodeRecord(encoded string, seen time.Time) (*record, error) {
	var text recordText
	if err := json.Unmarshal([]byte(encoded), &text); err != nil {
		return nil, err
	}
	r := &record{table: text.Table, old: text.Old, dropped: text.Dropped, seen: seen}
	var err error
	if r.declaration, err = text.declaration(); err != nil {
		return nil, err
	}
	if n := text.Next; n != nil {
		r.next = &next{table: n.Table, by: n.By, until: n.Until}
		r.next.declaration, err = n.declaration()
	}
	return r, err
}

var errRecord = errors.New("not as it was saved")

func (t declarationText) declaration() (settings.Declaration, error) {
	d := settings.Declaration{
		Version: t.Version, Endpoint: t.Endpoint, Payload: t.Payload, Beside: t.Beside, DeclaredAt: t.Declared,
	}
	for ; d.Scope <= settings.PerIdentity && d.Scope.String() != t.Scope; d.Scope++ {
	}
	if d.Scope > settings.PerIdentity {
		return d, errRecord
	}
	for _, column := range t.Key {
		at := strings.LastIndexByte(column, ' ')
		if at < 0 {
			return d, errRecord
		}
		c := driver.Column{Name: column[:at], Kind: driver.String}
		for ; c.Kind <= driver.Bool && c.Kind.String() != column[at+1:]; c.Kind++ {
		}
		if c.Kind > driver.Bool {
			return d, errRecord
		}
		d.Key = append(d.Key, c)
	}
	return d, nil
}

// Store is a store with the table of records in it.
type Store struct {
	driver.Store
	Records driver.Table
}

// read returns the record of a repository, nil where there is none.
func (s *Store) read(ctx context.Context, repository string) (r *record, err error) {
	var read driver.Entry
	found := false
	err = s.Records.Get(ctx, []driver.Key{{Declaration, repository}}, driver.Selection{Parts: driver.Meta}, func(_ int, e driver.Entry) {
		read, found = e, true
	})
	if err != nil || !found {
		return nil, err
	}
	return recordOf(read, repository)
}

func recordOf(e driver.Entry, repository string) (*record, error) {
	r, err := decodeRecord(e.Header, e.CachedAt)
	if err != nil {
		return nil, fmt.Errorf("the declaration of %q that the store remembers: %w", repository, err)
	}
	return r, nil
}

// now is the time of this machine, as stores know it: what is to be done does not wait for the
// clock of a test.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// create keeps a record unless there is one.
func (s *Store) create(ctx context.Context, repository string, r *record) (created bool, err error) {
	text, err := r.encode()
	if err != nil {
		return false, err
	}
	r.seen = now()
	e := driver.Entry{Key: driver.Key{Declaration, repository}, Status: http.StatusOK, Header: text, CachedAt: r.seen}
	stored, err := s.Records.PutIf(ctx, []driver.Entry{e}, driver.Condition{If: driver.IfAbsent})
	return err == nil && stored[0], err
}

// replace keeps a record in place of the one that it was made of, unless that was replaced
// meanwhile.
func (s *Store) replace(ctx context.Context, repository string, r *record) (replaced bool, err error) {
	text, err := r.encode()
	if err != nil {
		return false, err
	}
	at := now()
	if !at.After(r.seen) {
		at = r.seen.Add(time.Microsecond)
	}
	renewed, err := s.Records.Renew(ctx, []driver.Renewal{{
		Key: driver.Key{Declaration, repository}, Seen: r.seen, Header: text, CachedAt: at, Status: http.StatusOK,
	}})
	if err != nil || !renewed[0] {
		return false, err
	}
	r.seen = at
	return true, nil
}

// origins are those that the repository has a table for, and an empty one for the first.
func (s *Store) origins(ctx context.Context, repository string) ([]string, error) {
	all := []string{""}
	kind := driver.Filter{Leading: driver.Key{OtherOrigins + repository}}
	for e, err := range s.Records.Entries(ctx, driver.Selection{Filter: kind}) {
		if err != nil {
			return nil, err
		}
		all = append(all, e.Key[1].(string))
	}
	return all, nil
}
