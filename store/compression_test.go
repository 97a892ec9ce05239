package store_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/testserver/places"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/store"
)

// described is the body of a track, which has much in common with others.
func described(i int) []byte {
	return fmt.Appendf(nil, `{"id":"%08x","title":"Track %d","album":{"title":"Album %d","released":%d,"label":"A label of some length"},`+
		`"links":{"self":"https://api.example.com/v1/tracks/%08x","similar":"https://api.example.com/v1/tracks/%08x/similar"}}`, uint32(i)*2654435761, i, i/10, 1960+i%60, i, i)
}

// What a repository keeps compressed is read by one that does not, and the other way round.
func TestCompressionOnEveryStore(t *testing.T) {
	for kind, place := range places.Lasting {
		t.Run(kind, func(t *testing.T) {
			name := tracktest.NewName()
			url := place(t, name)
			opened := func() driver.Store {
				s, err := store.Open(t.Context(), url, &store.Options{Name: name})
				check(t, err)
				return s
			}
			open := func(c settings.Compression) (*cache.ResponseCache, *repository.ResponseRepository[trackKey, []byte]) {
				owner, err := cache.New(opened(), nil)
				check(t, err)
				tracks, err := cache.CreateRepository(t.Context(), owner, settings.RepositorySettings[trackKey, []byte]{
					Name: "tracks", Payload: payload.Bytes(), Compression: c,
				})
				check(t, err)
				return owner, tracks
			}
			raw := opened()
			defer func() { check(t, raw.Close()) }()
			id := []driver.Column{{Name: "id", Kind: driver.String}}
			encodingOf := func(i int) (encoding string, size int) {
				table, err := raw.OpenTable(t.Context(), driver.TableSpec{Name: "tracks", Key: id})
				check(t, err)
				check(t, table.Get(t.Context(), []driver.Key{{fmt.Sprint(i)}}, driver.Selection{Parts: driver.Payload}, func(_ int, e driver.Entry) {
					encoding, size = e.Encoding, len(e.Payload)
				}))
				return encoding, size
			}
			save := func(tracks *repository.ResponseRepository[trackKey, []byte], from, to int) {
				values := make(map[trackKey][]byte, to-from)
				for i := from; i < to; i++ {
					values[trackKey{fmt.Sprint(i)}] = described(i)
				}
				check(t, tracks.SaveMany(t.Context(), values))
			}

			owner, tracks := open(settings.Uncompressed)
			save(tracks, 0, 10)
			check(t, owner.Close())
			owner, tracks = open(settings.Zstd)
			save(tracks, 10, 12)
			_, alone := encodingOf(11)
			save(tracks, 12, 600)
			small := 0
			waitfor.True(t, "a dictionary", func() bool {
				save(tracks, 600, 601)
				_, small = encodingOf(600)
				return 2*small < alone
			})
			check(t, owner.Close())
			owner, tracks = open(settings.Uncompressed)
			save(tracks, 601, 602)
			for i, want := range map[int]string{0: "", 11: "zstd", 600: "zstd", 601: ""} {
				if encoding, size := encodingOf(i); encoding != want {
					t.Errorf("entry %d has the encoding %q and %d bytes", i, encoding, size)
				}
			}
			n := 0
			for item, err := range tracks.All(t.Context()) {
				check(t, err)
				var i int
				_, err = fmt.Sscan(item.Key.ID, &i)
				check(t, err)
				if !bytes.Equal(item.Value, described(i)) {
					t.Errorf("entry %d is %q", i, item.Value)
				}
				n++
			}
			if n != 602 || owner.Stats().Damaged != 0 {
				t.Errorf("%d entries, %d damaged", n, owner.Stats().Damaged)
			}
			dictionaries := func() (n int) {
				table, err := raw.OpenTable(t.Context(), driver.TableSpec{Name: "endpointcache_dictionaries", Key: []driver.Column{
					{Name: "repository", Kind: driver.String}, {Name: "dictionary", Kind: driver.Int},
				}})
				check(t, err)
				n, err = table.Count(t.Context(), driver.Filter{})
				check(t, err)
				return n
			}
			before := dictionaries()
			check(t, owner.Close())
			owner, err := cache.New(opened(), nil)
			check(t, err)
			defer func() { check(t, owner.Close()) }()
			check(t, owner.Drop(t.Context(), "tracks"))
			if after := dictionaries(); before != 1 || after != 0 {
				t.Errorf("%d dictionaries, and %d after their repository was dropped", before, after)
			}
		})
	}
}
