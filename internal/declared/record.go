package declared

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/head"
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

// fields are a record as it is stored, and as people read it: as a head, which all stores give
// back as it was.
type fields map[string][]string

// nextPrefix begins the names of what is about the tables of a migration.
const nextPrefix = "next_"

func (r *record) encode() (string, error) {
	f := make(fields)
	f.setDeclaration("", r.declaration)
	f.set("table", strconv.Itoa(r.table))
	for _, number := range r.old {
		f["old"] = append(f["old"], strconv.Itoa(number))
	}
	if r.dropped {
		f.set("dropped", "true")
	}
	if n := r.next; n != nil {
		f.setDeclaration(nextPrefix, n.declaration)
		f.set(nextPrefix+"table", strconv.Itoa(n.table))
		f.set(nextPrefix+"by", n.by)
		f.set(nextPrefix+"until", n.until.Format(time.RFC3339Nano))
	}
	return head.Encode(head.Head{Header: http.Header(f)})
}

func (f fields) set(name, value string) {
	if value != "" {
		f[name] = []string{value}
	}
}

func (f fields) setDeclaration(prefix string, d settings.Declaration) {
	if d.Version > 0 {
		f.set(prefix+"version", strconv.Itoa(d.Version))
	}
	f.set(prefix+"endpoint", d.Endpoint)
	f.set(prefix+"payload", d.Payload)
	f.set(prefix+"scope", d.Scope.String())
	f.set(prefix+"declared", d.DeclaredAt.Format(time.RFC3339Nano))
	for _, c := range d.Key {
		f[prefix+"key"] = append(f[prefix+"key"], c.Name+" "+c.Kind.String())
	}
	f[prefix+"beside"] = d.Beside
	f[prefix+"recipe"] = d.Recipe
	if d.Recipe != nil && len(d.Recipe) == 0 {
		f[prefix+"recipe"] = []string{""}
	}
}

func decodeRecord(encoded string, seen time.Time) (*record, error) {
	h, err := head.Decode(encoded)
	if err != nil {
		return nil, err
	}
	p := parser{fields: fields(h.Header)}
	r := &record{declaration: p.declaration(""), table: p.number("table"), dropped: p.first("dropped") != "", seen: seen}
	for _, text := range p.fields["old"] {
		number, err := strconv.Atoi(text)
		p.note(err)
		r.old = append(r.old, number)
	}
	if p.fields[nextPrefix+"table"] != nil {
		r.next = &next{
			declaration: p.declaration(nextPrefix), table: p.number(nextPrefix + "table"),
			by: p.first(nextPrefix + "by"), until: p.time(nextPrefix + "until"),
		}
	}
	return r, p.err
}

// parser takes fields apart. It keeps the first error.
type parser struct {
	fields fields
	err    error
}

func (p *parser) note(err error) {
	if p.err == nil {
		p.err = err
	}
}

func (p *parser) first(name string) string {
	if values := p.fields[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// number is 0 where there is none.
func (p *parser) number(name string) int {
	text := p.first(name)
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	p.note(err)
	return n
}

func (p *parser) time(name string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, p.first(name))
	p.note(err)
	return t
}

var errRecord = errors.New("it has what is not known here: a newer version may have written it")

func (p *parser) declaration(prefix string) settings.Declaration {
	d := settings.Declaration{
		Version: p.number(prefix + "version"), Endpoint: p.first(prefix + "endpoint"), Payload: p.first(prefix + "payload"),
		Beside: p.fields[prefix+"beside"], DeclaredAt: p.time(prefix + "declared"),
	}
	if recipe, ok := p.fields[prefix+"recipe"]; ok && len(recipe) > 0 {
		d.Recipe = slices.DeleteFunc(recipe, func(line string) bool { return line == "" })
	}
	for scope := p.first(prefix + "scope"); d.Scope.String() != scope; d.Scope++ {
		if d.Scope == settings.PerIdentity {
			p.note(errRecord)
			break
		}
	}
	for _, column := range p.fields[prefix+"key"] {
		at := strings.LastIndexByte(column, ' ')
		kind, ok := driver.ParseKind(column[at+1:])
		if at < 1 || !ok {
			p.note(errRecord)
			break
		}
		d.Key = append(d.Key, driver.Column{Name: column[:at], Kind: kind})
	}
	return d
}

// Store is a store with the table of records in it, which is nil where there is none and nothing
// is to be remembered.
type Store struct {
	driver.Store
	Records driver.Table
}

// read returns the record of a repository, nil where there is none.
func (s *Store) read(ctx context.Context, repository string) (r *record, err error) {
	if s.Records == nil {
		return nil, nil
	}
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

// ErrUnread means that a record cannot be read: it is sealed, or a newer version has written it.
var ErrUnread = errors.New("the store remembers a declaration that cannot be read")

func recordOf(e driver.Entry, repository string) (*record, error) {
	r, err := decodeRecord(e.Header, e.CachedAt)
	if err != nil {
		return nil, fmt.Errorf("%w of %q: %w", ErrUnread, repository, err)
	}
	return r, nil
}

// now is the time of this machine, as stores know it: what is to be done does not wait for the
// clock of a test.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// create keeps a record unless there is one.
func (s *Store) create(ctx context.Context, repository string, r *record) (created bool, err error) {
	return s.put(ctx, repository, r, driver.Condition{If: driver.IfAbsent})
}

func (s *Store) put(ctx context.Context, repository string, r *record, c driver.Condition) (stored bool, err error) {
	text, err := r.encode()
	if err != nil {
		return false, err
	}
	r.seen = now()
	e := driver.Entry{Key: driver.Key{Declaration, repository}, Status: http.StatusOK, Header: text, CachedAt: r.seen}
	done, err := s.Records.PutIf(ctx, []driver.Entry{e}, c)
	return err == nil && done[0], err
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
	if s.Records == nil {
		return all, nil
	}
	kind := driver.Filter{Leading: driver.Key{OtherOrigins + repository}}
	for e, err := range s.Records.Entries(ctx, driver.Selection{Filter: kind}) {
		if err != nil {
			return nil, err
		}
		all = append(all, e.Key[1].(string))
	}
	return all, nil
}
