package filesystem

import (
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/tracktest"
)

// A writer that dies may have changed something just before, and left no mark.
func TestTheDeathOfAWriterIsAChange(t *testing.T) {
	folder := t.TempDir()
	spec := driver.TableSpec{Name: "tracks", Key: []driver.Column{{Name: "id", Kind: driver.String}}}
	key := driver.Key{"a"}
	var stores [3]*Store
	var tables [3]*table
	for i := range stores {
		s, err := Open(t.Context(), folder, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		opened, err := s.OpenTable(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		if local, ok := opened.(localTable); ok {
			opened = local.table
		} else {
			t.Skip("the folder for temporary files is on no disk of this machine")
		}
		stores[i], tables[i] = s, opened.(*table)
	}
	put := func(i int) {
		t.Helper()
		if err := tables[i].Put(t.Context(), []driver.Entry{{Key: key}}); err != nil {
			t.Fatal(err)
		}
	}
	put(1)
	w := tracktest.Watch(t, stores[0])
	put(1)
	w.Told(t, spec.Name, key)
	w.Forget()
	dying := tables[1].folder.Load().made.Load()
	if err := dying.lock.Close(); err != nil { // as the system does it
		t.Fatal(err)
	}
	w.Told(t, spec.Name, key)
	w.Forget()
	put(2) // which may have got the same number
	w.Told(t, spec.Name, key)
}

// Marks that are left at the same time are all different from those before.
func TestNoMarkIsLeftTwice(t *testing.T) {
	folder := t.TempDir()
	s, err := Open(t.Context(), folder, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	spec := driver.TableSpec{Name: "tracks", Key: []driver.Column{{Name: "id", Kind: driver.String}}}
	if _, err := s.OpenTable(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	w := s.tables[spec.Name].folder.Load().made.Load()
	seen := make(map[mark]bool)
	for range 300 {
		if err := w.mark(); err != nil {
			t.Fatal(err)
		}
		root := s.tables[spec.Name].folder.Load().reader
		m, ok, err := readMark(root, temporaryFolder+"/"+lockPrefix+"0")
		if err != nil || !ok || !m.alive || seen[m] || string(m.text[:markDigits]) != w.id {
			t.Fatalf("the mark is %+v, %v, %v", m, ok, err)
		}
		seen[m] = true
	}
}
