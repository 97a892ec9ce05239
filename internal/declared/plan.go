package declared

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/settings"
)

// Plan says which tables of a store take the entries of a repository that come from elsewhere: from
// another store, which may give other numbers to tables, and may have met the origins in another
// order. A plan changes nothing until it is done.
type Plan struct {
	store      *Store
	repository string
	number     int
	keep       *record // that is to be remembered; nil: what there is stays
	replaces   bool    // there is a record, of which keep was made

	first  string // the origin of the home table, empty where it is not known
	claims []claim
	others map[string]bool // origins that have a table
}

// claim is a record of an origin.
type claim struct {
	key  driver.Key
	text string
}

// errChanged means that another program has changed what a plan was made of.
var errChanged = errors.New("another program has changed it meanwhile")

// Remembered is the declaration of a repository and the number of its tables. The declaration is
// nil where the store remembers none. An error is also that of one which cannot be read, as it is
// sealed or of a newer version.
func (s *Store) Remembered(ctx context.Context, repository string) (d *settings.Declaration, number int, err error) {
	r, err := s.read(ctx, repository)
	if err != nil || r == nil || r.dropped {
		return nil, 1, err
	}
	return &r.declaration, r.table, nil
}

// Plan plans to take entries that were stored by a declaration, nil if none is known, in tables with
// these key columns. A store without tables of the repository gets some of that number. If it has
// entries by another declaration, the error is a [driver.SchemaError].
func (s *Store) Plan(ctx context.Context, repository string, d *settings.Declaration, key []driver.Column, number int) (*Plan, error) {
	p := &Plan{store: s, repository: repository, others: make(map[string]bool)}
	r, err := s.read(ctx, repository)
	if err != nil {
		return nil, err
	}
	if r != nil && !r.dropped {
		if err := fits(repository, &r.declaration, d, key); err != nil {
			return nil, err
		}
		p.number = r.table
		return p, p.readOrigins(ctx)
	}
	specs, err := s.Tables(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case r != nil:
		if d == nil {
			own := declarationOf(key, now())
			d = &own
		}
		p.number = r.free()
		p.keep, p.replaces = &record{declaration: *d, table: p.number, seen: r.seen}, true
	default:
		p.number = number
		if slices.ContainsFunc(specs, func(spec driver.TableSpec) bool { return spec.Name == repository }) {
			p.number = 1 // of which nothing is remembered
		}
		if d != nil {
			p.keep = &record{declaration: *d, table: p.number}
		}
	}
	home := HomeTable(repository, p.number)
	for _, spec := range specs {
		if spec.Name == home && !slices.Equal(spec.Key, key) {
			return nil, otherKey(repository, key, spec.Key)
		}
	}
	return p, p.readOrigins(ctx)
}

// fits reports what is remembered of a repository if it differs from what is given.
func fits(repository string, have, given *settings.Declaration, key []driver.Column) error {
	switch {
	case given == nil && !slices.Equal(Columns(*have), key):
		return otherKey(repository, key, Columns(*have))
	case given != nil && have.Differs(*given):
		return &driver.SchemaError{Table: repository, Want: given.String(), Have: have.String()}
	}
	return nil
}

func otherKey(repository string, want, have []driver.Column) error {
	text := func(columns []driver.Column) string {
		return "key (" + driver.TableSpec{Key: columns}.KeyString() + ")"
	}
	return &driver.SchemaError{Table: repository, Want: text(want), Have: text(have)}
}

func (p *Plan) readOrigins(ctx context.Context) error {
	others, err := p.store.origins(ctx, p.repository)
	if err != nil {
		return err
	}
	for _, origin := range others[1:] { // behind the place of the first one
		p.others[origin] = true
	}
	p.first, err = p.store.textAt(ctx, driver.Key{FirstOrigin, p.repository})
	return err
}

// Place is the table for what comes from a table of an origin, empty if it is not known or all
// share the table: its name, and the one that it would have without a change of the declaration.
// Whose table is the repository's first one elsewhere, that origin is to be placed first.
func (p *Plan) Place(origin string) (name, declared string) {
	if p.first == "" && origin != "" && !p.others[origin] {
		p.first = origin
		p.claims = append(p.claims, claim{driver.Key{FirstOrigin, p.repository}, origin})
	}
	if origin == "" || origin == p.first {
		return HomeTable(p.repository, p.number), p.repository
	}
	declared = OriginTable(p.repository, origin)
	if !p.others[origin] {
		p.others[origin] = true
		p.claims = append(p.claims, claim{driver.Key{OtherOrigins + p.repository, origin}, declared})
	}
	return table(p.repository, p.number, origin), declared
}

// Others is how many origins have a table besides the first, with those that were placed.
func (p *Plan) Others() int { return len(p.others) }

// Do has the store remember what the plan says.
func (p *Plan) Do(ctx context.Context) error {
	err := p.remember(ctx)
	for i := 0; i < len(p.claims) && err == nil; i++ {
		err = p.store.claim(ctx, p.claims[i])
	}
	if err != nil {
		return fmt.Errorf("what is remembered of %q: %w", p.repository, err)
	}
	p.keep, p.claims = nil, nil
	return nil
}

func (p *Plan) remember(ctx context.Context) error {
	if p.keep == nil {
		return nil
	}
	put := p.store.create
	if p.replaces {
		put = p.store.replace
	}
	if done, err := put(ctx, p.repository, p.keep); err != nil || done {
		return err
	}
	r, err := p.store.read(ctx, p.repository)
	if err == nil && (r == nil || r.dropped || r.table != p.number || r.declaration.Differs(p.keep.declaration)) {
		err = errChanged
	}
	return err
}

// claim keeps a record of an origin, unless it is there.
func (s *Store) claim(ctx context.Context, c claim) error {
	e := driver.Entry{Key: c.key, Status: http.StatusOK, Payload: []byte(c.text), CachedAt: now()}
	if _, err := s.Records.PutIf(ctx, []driver.Entry{e}, driver.Condition{If: driver.IfAbsent}); err != nil {
		return err
	}
	kept, err := s.textAt(ctx, c.key)
	if err == nil && kept != c.text {
		err = errChanged
	}
	return err
}

// textAt is the text of a record, empty where there is none.
func (s *Store) textAt(ctx context.Context, key driver.Key) (text string, err error) {
	if s.Records == nil {
		return "", nil
	}
	err = s.Records.Get(ctx, []driver.Key{key}, driver.Selection{Parts: driver.Payload}, func(_ int, e driver.Entry) {
		text = string(e.Payload)
	})
	return text, err
}
