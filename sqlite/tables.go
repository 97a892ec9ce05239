package sqlite

import (
	"context"
	sqldriver "database/sql/driver"

	"github.com/endpointcache/endpointcache/driver"
)

// Tables implements [driver.Store]. What is in the database besides is left out.
func (s *Store) Tables(ctx context.Context) ([]driver.TableSpec, error) {
	var specs []driver.TableSpec
	err := s.run(ctx, "list tables", "", func() (err error) {
		specs, err = s.specs(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return specs, nil
}

func (s *Store) specs(ctx context.Context) (specs []driver.TableSpec, err error) {
	err = s.readers.with(ctx, func(c *conn) error {
		found, err := layouts(ctx, c, "")
		specs = make([]driver.TableSpec, 0, len(found))
		for _, l := range found {
			if spec, ok := l.spec(); ok {
				specs = append(specs, spec)
			}
		}
		return err
	})
	return specs, err
}

// DropTable implements [driver.Store].
func (s *Store) DropTable(ctx context.Context, name string) error {
	return s.run(ctx, "drop table", name, func() error {
		if s.file != nil {
			s.file.tables.remove(name)
		}
		// As large as a clear of all.
		return s.commits.write(ctx, maxShared+1, func(c *conn) error {
			kind, err := typeOf(ctx, c, name)
			switch {
			case err != nil || kind == "":
				return err
			case kind != "table":
				return notOurs(name, kind)
			}
			found, err := layouts(ctx, c, name)
			if err != nil {
				return err
			}
			if len(found) != 1 {
				return notOurs(name, kind)
			}
			if _, ok := found[0].spec(); !ok {
				return notOurs(name, found[0].String())
			}
			drop, err := c.prepare(ctx, stmtKey{text: "DROP TABLE main." + quote(name)})
			if err != nil {
				return err
			}
			_, err = c.execute(ctx, drop, true)
			return err
		})
	})
}

// typeOf is what there is of a name, or empty.
func typeOf(ctx context.Context, c *conn, name string) (kind string, err error) {
	s, err := c.prepare(ctx, stmtKey{text: "SELECT type FROM main.sqlite_master WHERE name = ?"})
	if err != nil {
		return "", err
	}
	s.bind(name)
	err = c.query(ctx, s, 1, func(row []sqldriver.Value) bool {
		kind, _ = row[0].(string)
		return false
	})
	return kind, err
}

func notOurs(name, have string) error {
	return &driver.SchemaError{Table: name, Want: "a table of a repository", Have: have}
}
