package exchange

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/declared"
)

// CopyOptions say what is copied.
type CopyOptions struct {
	Repositories []string // none: all
	Replace      bool     // newer entries of the target, too
	Progress     func(CopyProgress)
}

// CopyProgress is how far a copy is.
type CopyProgress struct {
	Table    string
	Entries  int   // looked at
	Total    int   // to look at, as counted at the beginning
	Copied   int   // written
	Kept     int   // left alone, as the target has newer ones
	Damaged  int   // left out, as the source does not hand them out either
	TooLarge int   // left out, as the target cannot hold them
	Bytes    int64 // of the bodies, as they are stored, that were written
}

// ErrSameStore means that a store was to be copied to itself.
var ErrSameStore = errors.New("both caches have the same store")

// NoRepositoryError tells that the source has no tables of a repository.
type NoRepositoryError struct{ Name string }

func (e *NoRepositoryError) Error() string { return fmt.Sprintf("there is no repository %q", e.Name) }

// copying is a copy from one store to another.
//
// It copies entries as they stand in the stores, below the layers that check and compress them: so
// what is compressed, or sealed by a layer that this program does not have, is at the target what
// it was. What caches keep besides is made to fit what is copied: declarations and origins are
// planned anew, as the target may know others, dictionaries come before the bodies that need
// them, and marks before the entries that they make old.
type copying struct {
	CopyOptions
	from, to side
	jobs     []copyJob
	progress CopyProgress
}

// side is one of the two stores.
type side struct {
	x     *Exchange
	store *declared.Store
	specs map[string]driver.TableSpec // of the tables that there are
}

// copyJob is the copying of a table.
type copyJob struct {
	table declared.Table
	name  string // of the table at the target
	own   string // what it would have been without a change of the declaration
	total int
}

// CopyTo copies what is stored to the store of another exchange, and returns how far it came.
func (x *Exchange) CopyTo(ctx context.Context, to *Exchange, o CopyOptions) (CopyProgress, error) {
	c := &copying{CopyOptions: o, from: side{x: x}, to: side{x: to}}
	err := c.run(ctx)
	return c.progress, err
}

func (c *copying) run(ctx context.Context) error {
	if err := errors.Join(c.from.look(ctx), c.to.look(ctx)); err != nil {
		return err
	}
	if oneOf(layersOf(c.from.store.Store), layersOf(c.to.store.Store)) {
		return ErrSameStore
	}
	if c.from.opaque() || c.to.opaque() {
		return c.runOpaque(ctx)
	}
	repositories, err := c.repositories(ctx)
	if err != nil {
		return err
	}
	var commits []func(context.Context) error
	for _, name := range slices.Sorted(maps.Keys(repositories)) {
		commit, err := c.plan(ctx, name, repositories[name])
		if err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
		commits = append(commits, commit)
	}
	if c.to.store.Records, err = c.to.x.records.open(ctx); err != nil {
		return err
	}
	if err := c.apart(ctx, c.to.x.records.spec); err != nil {
		return err
	}
	marks, err := c.digests(ctx)
	if err != nil {
		return err
	}
	if err := c.count(ctx); err != nil {
		return err
	}
	for _, commit := range commits {
		if err := commit(ctx); err != nil {
			return err
		}
	}
	if marks == nil {
		if err := c.copyMarks(ctx); err != nil {
			return err
		}
	}
	for _, job := range c.jobs {
		if err := c.copyTable(ctx, job, marks); err != nil {
			return fmt.Errorf("%q: %w", job.table.Name, err)
		}
	}
	return c.ended()
}

func (c *copying) ended() error {
	if n := c.progress.TooLarge; n > 0 {
		return fmt.Errorf("%d entries were left out: %w", n, driver.ErrTooLarge)
	}
	return nil
}

// look finds out what there is, and changes nothing.
func (s *side) look(ctx context.Context) error {
	store := s.x.records.keptIn()
	if store == nil {
		return errNoStore
	}
	specs, err := store.Tables(ctx)
	if err != nil {
		return err
	}
	s.store, s.specs = &declared.Store{Store: store}, make(map[string]driver.TableSpec, len(specs))
	for _, spec := range specs {
		s.specs[spec.Name] = spec
	}
	if s.has(&s.x.records.ownTable) && !s.opaque() {
		s.store.Records, err = s.x.records.open(ctx)
	}
	return err
}

// has reports whether a table is there that belongs to no repository.
func (s *side) has(own *ownTable) bool {
	_, ok := s.specs[own.spec.Name]
	return ok
}

// raw opens such a table without the layers over it.
func (s *side) raw(ctx context.Context, own *ownTable) (driver.Table, error) {
	return s.store.OpenTable(ctx, own.spec)
}

// within opens a table to write to, without layers: only the limit of all tables applies.
func (s *side) within(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	table, err := s.store.OpenTable(ctx, spec)
	if err != nil || s.x.opts.Upkeep.Limit.IsZero() {
		return table, err
	}
	return s.x.keep(s.store.Store, table, spec, nil)
}

// layersOf are a store and those that it stands before.
func layersOf(s driver.Store) (layers []driver.Store) {
	for s != nil {
		layers = append(layers, s)
		layer, ok := s.(interface{ Unwrap() driver.Store })
		if !ok {
			break
		}
		s = layer.Unwrap()
	}
	return layers
}

func oneOf(some, others []driver.Store) bool {
	return slices.ContainsFunc(some, func(s driver.Store) bool {
		return reflect.ValueOf(s).Comparable() && slices.ContainsFunc(others, func(other driver.Store) bool {
			return reflect.ValueOf(other).Comparable() && s == other
		})
	})
}

// repositories are the tables that are copied, by repository: those that are in use.
func (c *copying) repositories(ctx context.Context) (map[string][]declared.Table, error) {
	tables, err := c.from.store.List(ctx)
	if err != nil {
		return nil, err
	}
	found := make(map[string][]declared.Table)
	for _, t := range tables {
		if t.Current && t.Repository != "" && (len(c.Repositories) == 0 || slices.Contains(c.Repositories, t.Repository)) {
			found[t.Repository] = append(found[t.Repository], t)
		}
	}
	for _, name := range c.Repositories {
		if found[name] == nil {
			return nil, &NoRepositoryError{name}
		}
	}
	return found, nil
}

// plan plans where the tables of a repository go, and returns what has the target remember that.
func (c *copying) plan(ctx context.Context, repository string, tables []declared.Table) (commit func(context.Context) error, err error) {
	d, number, err := c.from.store.Remembered(ctx, repository)
	if errors.Is(err, declared.ErrUnread) {
		for _, t := range tables {
			c.jobs = append(c.jobs, copyJob{table: t, name: t.Name, own: t.Declared})
		}
		return c.planUnread(ctx, repository)
	}
	if err != nil {
		return nil, err
	}
	p, err := c.to.store.Plan(ctx, repository, d, tables[0].Key, number)
	if err != nil {
		return nil, fmt.Errorf("the target does not fit: %w", err)
	}
	// The home table comes first: where the target has met no origin, its own is the first there, too.
	slices.SortStableFunc(tables, func(a, b declared.Table) int { return len(a.Declared) - len(b.Declared) })
	for _, t := range tables {
		job := copyJob{table: t}
		job.name, job.own = p.Place(t.Origin)
		c.jobs = append(c.jobs, job)
	}
	return p.Do, nil
}

// errSealed means that nobody can tell whether two stores fit.
var errSealed = errors.New("it is sealed, and the target has another: open both stores with their keys")

// planUnread plans to copy what is remembered of a repository as it stands, as it cannot be read.
func (c *copying) planUnread(ctx context.Context, repository string) (commit func(context.Context) error, err error) {
	var rows []driver.Entry
	for _, f := range []driver.Filter{
		{Leading: driver.Key{declared.Declaration, repository}},
		{Leading: driver.Key{declared.FirstOrigin, repository}},
		{Leading: driver.Key{declared.OtherOrigins + repository}},
	} {
		found, err := c.from.rows(ctx, f)
		if err != nil {
			return nil, err
		}
		rows = append(rows, found...)
	}
	if err := c.fit(ctx, rows); err != nil {
		return nil, fmt.Errorf("what is remembered: %w", err)
	}
	return func(ctx context.Context) error { return c.putRecords(ctx, rows) }, nil
}

// rows are records as they stand.
func (s *side) rows(ctx context.Context, f driver.Filter) (rows []driver.Entry, err error) {
	if s.store.Records == nil {
		return nil, nil
	}
	table, err := s.raw(ctx, &s.x.records.ownTable)
	if err != nil {
		return nil, err
	}
	for e, err := range table.Entries(ctx, driver.Selection{Filter: f, Parts: driver.Payload | driver.Meta}) {
		if err != nil {
			return nil, err
		}
		rows = append(rows, e)
	}
	return rows, nil
}

// fit reports records that the target has otherwise.
func (c *copying) fit(ctx context.Context, rows []driver.Entry) error {
	for _, row := range rows {
		there, err := c.to.rows(ctx, driver.Filter{Leading: row.Key})
		if err != nil {
			return err
		}
		if len(there) > 0 && !sameEntry(&there[0], &row) {
			return errSealed
		}
	}
	return nil
}

// putRecords keeps records as they stand, unless they are there.
func (c *copying) putRecords(ctx context.Context, rows []driver.Entry) error {
	if len(rows) == 0 {
		return nil
	}
	table, err := c.to.raw(ctx, &c.to.x.records.ownTable)
	if err != nil {
		return err
	}
	_, err = table.PutIf(ctx, rows, driver.Condition{If: driver.IfAbsent})
	return err
}

// copyRecord is the kind of a record that is there for a moment, to tell whether two stores are one.
const copyRecord = "copy"

// apart reports two stores that are one, which may have been opened twice, or have different layers:
// what is written to one of them is seen in the other.
func (c *copying) apart(ctx context.Context, records driver.TableSpec) error {
	seen, err := c.shows(ctx, records)
	if err == nil && seen {
		err = ErrSameStore
	}
	return err
}

func (c *copying) shows(ctx context.Context, records driver.TableSpec) (seen bool, err error) {
	there, err := c.to.store.OpenTable(ctx, records)
	if err != nil {
		return false, err
	}
	key, now := make(driver.Key, len(records.Key)), instant(time.Now())
	for i := range key {
		key[i] = ""
	}
	key[0], key[1] = copyRecord, rand.Text()
	left := driver.Filter{State: driver.Expired, Now: now, Leading: key[:1]} // of copies that were killed
	if _, err := there.Clear(ctx, left); err != nil {
		return false, err
	}
	if err := there.Put(ctx, []driver.Entry{{
		Key: key, Status: http.StatusOK, CachedAt: now, ExpiresAt: instant(now.Add(time.Hour)),
	}}); err != nil {
		return false, err
	}
	defer func() {
		_, deleteErr := there.Delete(context.WithoutCancel(ctx), []driver.Key{key})
		err = errors.Join(err, deleteErr)
	}()
	specs, err := c.from.store.Tables(ctx)
	if err != nil || !slices.ContainsFunc(specs, func(s driver.TableSpec) bool {
		return s.Name == records.Name && slices.Equal(s.Key, records.Key)
	}) {
		return false, err
	}
	table, err := c.from.store.OpenTable(ctx, records)
	if err != nil {
		return false, err
	}
	n, err := table.Count(ctx, driver.Filter{Leading: key})
	return n > 0, err
}

// count counts what is to be looked at.
func (c *copying) count(ctx context.Context) error {
	for i := range c.jobs {
		job := &c.jobs[i]
		table, err := c.from.store.OpenTable(ctx, job.table.TableSpec)
		if err != nil {
			return err
		}
		if job.total, err = table.Count(ctx, driver.Filter{}); err != nil {
			return err
		}
		c.progress.Total += job.total
		if !c.from.has(&c.from.x.vary.ownTable) {
			continue
		}
		if table, err = c.from.raw(ctx, &c.from.x.vary.ownTable); err != nil {
			return err
		}
		n, err := table.Count(ctx, driver.Filter{Leading: driver.Key{job.table.Name}})
		if err != nil {
			return err
		}
		c.progress.Total += n
	}
	c.report()
	return nil
}

func (c *copying) report() {
	if c.Progress != nil {
		c.Progress(c.progress)
	}
}

// copyTable copies the entries of a table, and what belongs to them.
func (c *copying) copyTable(ctx context.Context, job copyJob, marks *markCopy) error {
	c.progress.Table = job.table.Name
	own := func(o, target *ownTable, from, to string, counted bool) error {
		if !c.from.has(o) {
			return nil
		}
		r := rowCopy{
			c: c, counted: counted, filter: driver.Filter{Leading: driver.Key{from}},
			rename: func(k driver.Key) { k[0] = to },
			keep:   func(e *driver.Entry) bool { return o != &c.from.x.dictionaries || lasts(e) },
		}
		if from == to {
			r.rename = nil
		}
		var err error
		if r.from, err = c.from.raw(ctx, o); err != nil {
			return err
		}
		n, err := r.from.Count(ctx, r.filter)
		if err != nil || n == 0 {
			return err
		}
		if r.to, err = c.to.within(ctx, target.spec); err != nil {
			return err
		}
		return r.run(ctx)
	}
	if err := own(&c.from.x.dictionaries, &c.to.x.dictionaries, job.table.Declared, job.own, false); err != nil {
		return err
	}
	r := rowCopy{c: c, counted: true}
	var err error
	if r.from, err = c.from.store.OpenTable(ctx, job.table.TableSpec); err != nil {
		return err
	}
	if r.to, err = c.to.within(ctx, driver.TableSpec{Name: job.name, Key: job.table.Key}); err != nil {
		return err
	}
	n, err := r.to.Count(ctx, driver.Filter{})
	if err != nil {
		return err
	}
	r.fresh = n == 0
	if marks != nil {
		r.before = marks.of(job)
	}
	if err := r.run(ctx); err != nil {
		return err
	}
	return own(&c.from.x.vary.ownTable, &c.to.x.vary.ownTable, job.table.Name, job.name, true)
}
