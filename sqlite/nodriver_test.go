//go:build !cgo

package sqlite

import (
	"errors"
	"os"
	"testing"

	"github.com/endpointcache/endpointcache/internal/sqlitedriver"
)

func TestWithoutADriver(t *testing.T) {
	has := sqlitedriver.WithoutCgo
	sqlitedriver.WithoutCgo = nil
	defer func() { sqlitedriver.WithoutCgo = has }()
	t.Chdir(t.TempDir())
	_, file := Open(t.Context(), "music.db", nil)
	_, temp := OpenTemp(t.Context(), nil)
	_, memory := OpenMemory(t.Context(), nil)
	for _, err := range []error{file, temp, memory} {
		if !errors.Is(err, ErrNoDriver) {
			t.Errorf("%v, want ErrNoDriver", err)
		}
	}
	if entries, err := os.ReadDir("."); err != nil || len(entries) > 0 {
		t.Errorf("there is %v, %v", entries, err)
	}
}
