package declared

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/settings"
)

// Opening is a repository whose tables are to be opened.
type Opening struct {
	Store
	Name  string
	Given settings.Declaration
	Log   *slog.Logger

	// Changed says what happens where no migration leads to the declaration.
	Changed settings.Change

	// Migration returns the step from the entries of a stored declaration, false where there
	// is none.
	Migration func(stored settings.Declaration) (settings.Step, bool)

	// Source is a table, by that name in keys of marks, as its entries are to be read that were stored by a
	// declaration.
	Source func(ctx context.Context, table driver.Table, name string, stored settings.Declaration) (driver.Table, error)

	// Target is a table, by its name where nothing has been migrated, as entries are to be put
	// into it.
	Target func(table driver.Table, name string) driver.Table

	// Finish completes an entry after a step, as its outcome asks for it. It is false for one
	// that is not to be kept.
	Finish func(e *driver.Entry, outcome settings.Outcome, stored settings.Declaration) (keep bool, err error)

	// Forget removes what is kept elsewhere of a table that is dropped.
	Forget func(ctx context.Context, table string) error

	// ForgetDictionaries removes what bodies are compressed with in all tables that have that
	// name where nothing has been migrated.
	ForgetDictionaries func(ctx context.Context, name string) error
}

// Open returns the home table and its name, as the declaration has it: it makes it where there is none,
// and migrates entries of another declaration. It takes one read besides the opening
// where nothing has changed.
func (o *Opening) Open(ctx context.Context) (name string, table driver.Table, err error) {
	for wait := firstWait; ; {
		r, err := o.read(ctx, o.Name)
		if err != nil {
			return "", nil, err
		}
		if r == nil {
			if table, err = o.begin(ctx); err != nil || table != nil {
				return o.Name, table, err
			}
			if r, err = o.read(ctx, o.Name); err == nil && r == nil {
				err = o.beginAnew(ctx)
			}
			if err != nil {
				return "", nil, err
			}
			continue
		}
		if r.dropped {
			if _, err := o.replace(ctx, o.Name, &record{declaration: o.Given, table: r.free(), seen: r.seen}); err != nil {
				return "", nil, err
			}
			continue
		}
		if !r.declaration.Differs(o.Given) {
			return o.use(ctx, r)
		}
		step, ok := o.Migration(r.declaration)
		ok = ok && (r.declaration.Scope == settings.PerIdentity) == (o.Given.Scope == settings.PerIdentity)
		switch {
		case r.next.live(now()) && (ok || o.Changed == settings.Recreate || !r.next.declaration.Differs(o.Given)):
			if err := sleep(ctx, wait); err != nil {
				return "", nil, err
			}
			wait = min(2*wait, longestWait)
			continue
		case ok:
			err = o.migrate(ctx, r, step)
		case o.Changed == settings.Recreate:
			err = o.recreate(ctx, r)
		default:
			err = &settings.ChangedError{Repository: o.Name, Stored: r.declaration, Given: o.Given}
		}
		if err != nil {
			return "", nil, err
		}
	}
}

// Whoever waits for a migration looks again after these times.
const (
	firstWait   = 20 * time.Millisecond
	longestWait = time.Second
)

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (o *Opening) spec(number int) driver.TableSpec {
	return driver.TableSpec{Name: HomeTable(o.Name, number), Key: Columns(o.Given)}
}

// begin makes the table of a repository of which nothing is remembered, and remembers the
// declaration. A table that is there already is taken for one of it, if the key is the same. It
// returns nil where there is a record now.
func (o *Opening) begin(ctx context.Context) (driver.Table, error) {
	table, err := o.OpenTable(ctx, o.spec(1))
	if errors.Is(err, driver.ErrSchema) {
		return nil, o.meet(ctx, err)
	}
	if err != nil {
		return nil, err
	}
	created, err := o.create(ctx, o.Name, &record{declaration: o.Given, table: 1})
	if err != nil || !created {
		return nil, err
	}
	return table, nil
}

// meet remembers the declaration of a table with another key, as far as it tells by itself, if
// that helps. Otherwise it returns the error that it was met with.
func (o *Opening) meet(ctx context.Context, refused error) error {
	r, err := o.read(ctx, o.Name)
	if err != nil || r != nil {
		return err
	}
	specs, err := o.Tables(ctx)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(specs, func(s driver.TableSpec) bool { return s.Name == o.Name })
	if at < 0 {
		return refused
	}
	stored := declarationOf(specs[at].Key, o.Given.DeclaredAt)
	if _, ok := o.Migration(stored); !ok && o.Changed != settings.Recreate {
		return refused
	}
	_, err = o.create(ctx, o.Name, &record{declaration: stored, table: 1})
	return err
}

// declarationOf is the declaration of a table as far as it tells by itself.
func declarationOf(key []driver.Column, at time.Time) settings.Declaration {
	d := settings.Declaration{Key: key, DeclaredAt: at}
	if key[0] == Columns(settings.Declaration{Scope: settings.PerIdentity})[0] {
		d.Key, d.Scope = key[1:], settings.PerIdentity
	}
	return d
}

// beginAnew takes the place of a record that is damaged. Nobody knows by which declaration the
// entries were stored: they are dropped.
func (o *Opening) beginAnew(ctx context.Context) error {
	specs, err := o.Tables(ctx)
	if err != nil {
		return err
	}
	r := &record{declaration: o.Given}
	for _, spec := range specs {
		if number, ok := numberOf(o.Name, spec.Name); ok {
			r.old = append(r.old, number)
		}
	}
	r.table = r.free()
	if err := o.forgetDictionaries(ctx); err != nil {
		return err
	}
	stored, err := o.put(ctx, o.Name, r, driver.Condition{If: driver.IfNotLive, Now: now()})
	if stored {
		o.Log.Warn("endpointcache: the declaration that the store remembers is damaged: the stored responses are dropped", "repository", o.Name)
	}
	return err
}

// use opens the table of a record that fits.
func (o *Opening) use(ctx context.Context, r *record) (string, driver.Table, error) {
	spec := o.spec(r.table)
	table, err := o.OpenTable(ctx, spec)
	if err != nil {
		return "", nil, err
	}
	switch d := r.declaration; {
	case d.Version == 0 && o.Given.Version > 0 || d.Endpoint == "" && o.Given.Endpoint != "" || d.Payload == "":
		r.declaration = o.Given
		r.declaration.Version = max(d.Version, o.Given.Version)
		if _, err := o.replace(ctx, o.Name, r); err != nil { // a store that may not be written can be read
			o.Log.Warn("endpointcache: the version of a declaration cannot be remembered now", "repository", o.Name, "error", err)
		}
	case o.Given.Recipe != nil && (!slices.Equal(d.Recipe, o.Given.Recipe) || d.Recipe == nil || d.Endpoint != o.Given.Endpoint):
		r.declaration.Endpoint, r.declaration.Recipe = o.Given.Endpoint, o.Given.Recipe
		_, _ = o.replace(ctx, o.Name, r) // whoever looks into the store knows less without it, and no more is lost
	}
	o.sweep(ctx, r)
	return spec.Name, table, nil
}

// recreate makes the record one of new tables.
func (o *Opening) recreate(ctx context.Context, r *record) error {
	if err := o.forgetDictionaries(ctx); err != nil {
		return err
	}
	stored := r.declaration
	number := r.free()
	r.old = append(r.old, r.table)
	if r.next != nil {
		r.old = append(r.old, r.next.table)
	}
	r.declaration, r.table, r.next = o.Given, number, nil
	replaced, err := o.replace(ctx, o.Name, r)
	if replaced {
		o.Log.Warn("endpointcache: another declaration: the stored responses are dropped",
			"repository", o.Name, "stored", stored.String(), "given", o.Given.String())
	}
	return err
}

// forgetDictionaries removes those of all entries, as they hold pieces of bodies. It comes before
// there are new tables, whose entries may need new ones. A migration keeps them: it writes
// entries with the latest.
func (o *Opening) forgetDictionaries(ctx context.Context) error {
	origins, err := o.origins(ctx, o.Name)
	if err != nil {
		return err
	}
	for _, origin := range origins {
		if err := o.ForgetDictionaries(ctx, table(o.Name, 1, origin)); err != nil {
			return err
		}
	}
	return nil
}

// sweep drops the tables that are not needed any more. What fails is done by whoever comes
// next.
func (o *Opening) sweep(ctx context.Context, r *record) {
	if len(r.old) == 0 {
		return
	}
	origins, err := o.origins(ctx, o.Name)
	for _, number := range r.old {
		for _, origin := range origins {
			if err == nil {
				err = o.drop(ctx, table(o.Name, number, origin))
			}
		}
	}
	if err == nil {
		r.old = nil
		_, err = o.replace(ctx, o.Name, r)
	}
	if err != nil {
		o.Log.Warn("endpointcache: tables that are not needed any more cannot be dropped now", "repository", o.Name, "error", err)
	}
}

func (o *Opening) drop(ctx context.Context, table string) error {
	if err := o.DropTable(ctx, table); err != nil {
		return err
	}
	return o.Forget(ctx, table)
}

// newOwner is a name for whoever works.
func newOwner() string { return rand.Text() }
