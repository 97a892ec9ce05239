package seal_test

import (
	"errors"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/seal"
)

// unclosed is a store that stays open.
type unclosed struct{ driver.Store }

func (unclosed) Close() error { return nil }

// Who has the keys opens what was sealed without being told how.
func TestOptionsOf(t *testing.T) {
	keys, err := seal.FromBytes(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	digest := func(table, column string) seal.Form {
		if table == "t" && column == "id" {
			return seal.Digest
		}
		return seal.Clear
	}
	key := []byte("0123456789abcdef0123456789abcdef")
	for name, as := range map[string]*seal.Options{
		"encrypted": {}, "signed": {Mode: seal.Sign}, "names in the clear": {Names: seal.Clear},
		"digests": {KeyColumn: digest, DigestKey: key, Names: seal.Digest},
	} {
		t.Run(name, func(t *testing.T) {
			below, err := memory.New(nil)
			if err != nil {
				t.Fatal(err)
			}
			defer below.Close()
			spec := driver.TableSpec{Name: "t", Key: []driver.Column{{Name: "id", Kind: driver.Int}, {Name: "part", Kind: driver.String}}}
			open := func(opts *seal.Options) (driver.Table, *seal.Store) {
				s, err := seal.New(unclosed{below}, keys, opts)
				if err != nil {
					t.Fatal(err)
				}
				table, err := s.OpenTable(t.Context(), spec)
				if err != nil {
					t.Fatal(err)
				}
				return table, s
			}
			if opts, err := seal.OptionsOf(t.Context(), below); err != nil || opts.KeyColumn != nil || opts.Mode != seal.Encrypt {
				t.Errorf("of an empty store: %+v, %v", opts, err)
			}
			table, s := open(as)
			e := driver.Entry{
				Key: driver.Key{int64(7), "a"}, Name: "name", Status: 200, Header: `{"A":["1"]}`, Payload: []byte("payload"), CachedAt: time.UnixMicro(1).UTC(),
			}
			if err := errors.Join(table.Put(t.Context(), []driver.Entry{e}), s.Close()); err != nil {
				t.Fatal(err)
			}
			opts, err := seal.OptionsOf(t.Context(), below)
			if err != nil {
				t.Fatal(err)
			}
			opts.DigestKey = as.DigestKey
			table, s = open(opts)
			defer s.Close()
			n := 0
			for got, err := range table.Entries(t.Context(), driver.Selection{Parts: driver.Meta | driver.Payload}) {
				if n++; err != nil || got.Name != e.Name || got.Header != e.Header || string(got.Payload) != "payload" || got.Key[0] != int64(7) || got.Key[1] != "a" {
					t.Errorf("it is opened as %+v, %v", got, err)
				}
			}
			if n != 1 {
				t.Errorf("%d entries are opened", n)
			}
		})
	}
	below, err := memory.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer below.Close()
	table, err := below.OpenTable(t.Context(), driver.TableSpec{Name: "t", Key: []driver.Column{{Name: "id", Kind: driver.Int}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Put(t.Context(), []driver.Entry{{Key: driver.Key{int64(7)}, Status: 200, CachedAt: time.UnixMicro(1).UTC()}}); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.OptionsOf(t.Context(), below); !errors.Is(err, seal.ErrNotSealed) {
		t.Errorf("of a store that is not sealed: %v", err)
	}
}
