package sqlite_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/sqlite"
)

func TestSmoke(t *testing.T) {
	for _, mem := range []bool{true, false} {
		ctx := t.Context()
		var s *sqlite.Store
		var err error
		if mem {
			s, err = sqlite.OpenMemory(ctx, nil)
		} else {
			s, err = sqlite.Open(ctx, t.TempDir()+"/a/b?c%41 #.db", nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		tab, err := s.OpenTable(ctx, driver.TableSpec{Name: "a\"b", Key: []driver.Column{{"id", driver.String}, {"n", driver.Int}, {"b", driver.Bool}}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.OpenTable(ctx, driver.TableSpec{Name: "a\"b", Key: []driver.Column{{"id", driver.String}, {"n", driver.Int}, {"b", driver.Bool}}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.OpenTable(ctx, driver.TableSpec{Name: "a\"b", Key: []driver.Column{{"id", driver.String}, {"n", driver.Int}}})
		t.Log(err)
		_, err = s.OpenTable(ctx, driver.TableSpec{Name: "A\"b", Key: []driver.Column{{"id", driver.String}, {"n", driver.Int}}})
		t.Log(err)
		var es []driver.Entry
		var ks []driver.Key
		for i := range 25000 {
			k := driver.Key{fmt.Sprint("k", i), int64(i), i%2 == 0}
			es = append(es, driver.Entry{Key: k, Name: "n", Payload: []byte("x"), CachedAt: time.UnixMicro(1), ExpiresAt: time.UnixMicro(100 + int64(i))})
			ks = append(ks, k)
		}
		if err := tab.Put(ctx, es); err != nil {
			t.Fatal(err)
		}
		got := make([]int, len(ks))
		if err := tab.Get(ctx, ks, driver.Selection{driver.Filter{driver.Live, time.UnixMicro(5000)}, driver.Payload | driver.Meta}, func(i int, e driver.Entry) { got[i]++ }); err != nil {
			t.Fatal(err)
		}
		sum := 0
		for i, g := range got {
			if g != 0 && i < 4901 || g != 1 && i >= 4901 {
				t.Fatal(i, g)
			}
			sum += g
		}
		t.Log(sum)
		n := 0
		for e, err := range tab.Entries(ctx, driver.Selection{}) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Key[1] != int64(n) {
				t.Fatal(e)
			}
			n++
		}
		t.Log(n)
		for st := range driver.State(3) {
			c, err := tab.Count(ctx, driver.Filter{st, time.UnixMicro(5000)})
			t.Log(st, c, err)
		}
		d, err := tab.Delete(ctx, append(ks[:1000], ks[0]))
		t.Log(d, err)
		d, err = tab.Clear(ctx, driver.Filter{driver.Expired, time.UnixMicro(5000)})
		t.Log(d, err)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
