package sqlite

import (
	"context"
	sqldriver "database/sql/driver"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// slowVacuum is a connection to a file that takes long to be rewritten.
type slowVacuum struct{ sqldriver.Conn }

func (c slowVacuum) Prepare(text string) (sqldriver.Stmt, error) {
	if text == "VACUUM" {
		time.Sleep(2 * writersWait)
	}
	return c.Conn.Prepare(text)
}

// A damaged table is there again also where it takes long to rewrite the file.
func TestADamagedTableOfALargeFileIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(t.Context(), filepath.Join(t.TempDir(), "music.db"), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		opened, err := s.OpenTable(t.Context(), network)
		if err != nil {
			t.Fatal(err)
		}
		err = s.writer.with(t.Context(), func(c *conn) error {
			c.Conn = slowVacuum{c.Conn}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		tables := s.file.tables.named
		if _, err := tables[network.Name].clearDamaged(context.Background()); err != nil {
			t.Error(err)
		}
		if err := opened.Put(t.Context(), []driver.Entry{{Key: driver.Key{int64(1)}, CachedAt: time.UnixMicro(1).UTC()}}); err != nil {
			t.Error(err)
		}
	})
}
