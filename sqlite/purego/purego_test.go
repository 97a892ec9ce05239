package purego_test

import (
	"path/filepath"
	"testing"

	"github.com/endpointcache/endpointcache/sqlite"
	_ "github.com/endpointcache/endpointcache/sqlite/purego"
)

// The import is all that a program needs, with cgo or without.
func TestOpen(t *testing.T) {
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "music.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
