package driver_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

func TestNamesThatNoStoreTakesAreRefused(t *testing.T) {
	id := driver.Column{Name: "id", Kind: driver.String}
	for reason, spec := range map[string]driver.TableSpec{
		"it is empty":       {Name: "", Key: []driver.Column{id}},
		"longer than":       {Name: strings.Repeat("x", 256), Key: []driver.Column{id}},
		"not UTF-8":         {Name: "\xff", Key: []driver.Column{id}},
		"control character": {Name: "a\nb", Key: []driver.Column{id}},
		"at least one":      {Name: "t"},
		"reserved":          {Name: "t", Key: []driver.Column{{Name: "Payload", Kind: driver.Int}}},
		"two key columns":   {Name: "t", Key: []driver.Column{id, {Name: "ID", Kind: driver.Int}}},
		"unknown kind":      {Name: "t", Key: []driver.Column{{Name: "id"}}},
	} {
		if err := spec.Validate(); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%+v: the error is %v, want one that tells %q", spec, err, reason)
		}
	}
	ok := driver.TableSpec{Name: strings.Repeat("x", 255), Key: []driver.Column{id, {Name: "a\"b", Kind: driver.Bool}}}
	if err := ok.Validate(); err != nil {
		t.Error(err)
	}
}

func TestErrorsTellTheirCause(t *testing.T) {
	err := error(&driver.OpError{Store: "sqlite", Op: "open table", Table: "tracks", Err: &driver.SchemaError{
		Table: "tracks", Want: "key (id string)", Have: "key (id int)",
	}})
	const text = `sqlite: open table "tracks": table has another schema: want key (id string), have key (id int)`
	if err.Error() != text {
		t.Errorf("the error is %q", err)
	}
	var schema *driver.SchemaError
	if !errors.Is(err, driver.ErrSchema) || !errors.As(err, &schema) || schema.Table != "tracks" {
		t.Errorf("the error's cause is lost: %v", err)
	}
}

func TestFilterMatches(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	live := driver.Entry{Key: driver.Key{"a", int64(1), true}, ExpiresAt: now.Add(time.Microsecond)}
	expired := driver.Entry{Key: live.Key, ExpiresAt: now}
	for _, tt := range []struct {
		leading driver.Key
		want    bool
	}{
		{nil, true},
		{driver.Key{}, true},
		{driver.Key{"a"}, true},
		{driver.Key{"a", int64(1)}, true},
		{driver.Key{"a", int64(1), true}, true},
		{driver.Key{"a", int64(1), false}, false},
		{driver.Key{"a", int64(2)}, false},
		{driver.Key{""}, false},
		{driver.Key{"ab"}, false},
		{driver.Key{int64(1)}, false},
		{driver.Key{"a", int64(1), true, ""}, false},
	} {
		f := driver.Filter{State: driver.Live, Now: now, Leading: tt.leading}
		if got := f.Match(live); got != tt.want {
			t.Errorf("%q selects the entry: %v", []driver.Value(tt.leading), got)
		}
		if f.Match(expired) {
			t.Errorf("%q selects an expired entry as a live one", []driver.Value(tt.leading))
		}
		if unset := (driver.Entry{}); !f.Match(unset) {
			t.Errorf("%q rules out an entry whose key is not set", []driver.Value(tt.leading))
		}
	}
}

func TestNarrowKeepsTheIndicesOfKeys(t *testing.T) {
	keys := []driver.Key{{"b", "1"}, {"a", "1"}, {"a", "2"}, {"ab", "1"}, {"a", "1"}}
	f := driver.Filter{Leading: driver.Key{"a"}}
	var visited []int
	narrowed, visit := f.Narrow(keys, func(i int, _ driver.Entry) { visited = append(visited, i) })
	for i, k := range narrowed {
		if k[0] != "a" {
			t.Errorf("key %d is %q", i, []driver.Value(k))
		}
		visit(i, driver.Entry{})
	}
	if !slices.Equal(visited, []int{1, 2, 4}) {
		t.Errorf("the indices are %v", visited)
	}
}

// FuzzAppendKey splits two strings anywhere: keys of other values have other
// encodings.
func FuzzAppendKey(f *testing.F) {
	f.Add("a", "b", "ab", "", int64(1))
	f.Add("a\x00", "b", "a", "\x00b", int64(-1))
	f.Fuzz(func(t *testing.T, a, b, c, d string, n int64) {
		one := driver.AppendKey(nil, driver.Key{a, n, b, true})
		two := driver.AppendKey(nil, driver.Key{c, n, d, true})
		if same := a == c && b == d; same != bytes.Equal(one, two) {
			t.Errorf("%q %q and %q %q are %x and %x", a, b, c, d, one, two)
		}
		if begins := bytes.HasPrefix(one, driver.AppendKey(nil, driver.Key{c})); begins != (a == c) {
			t.Errorf("%q %q begins with %q: %v", a, b, c, begins)
		}
	})
}
