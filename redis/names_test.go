package redis

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

var pair = []driver.Column{{Name: "a", Kind: driver.String}, {Name: "n", Kind: driver.Int}, {Name: "b", Kind: driver.String}, {Name: "t", Kind: driver.Bool}}

func TestKeysAreReadable(t *testing.T) {
	for want, key := range map[string]driver.Key{
		"6fW:1:DE:true":                {"6fW", int64(1), "DE", true},
		":-9223372036854775808::false": {"", int64(math.MinInt64), "", false},
		"a%3Ab:0:100%25:true":          {"a:b", int64(0), "100%", true},
		"%00%0A%7F:0:日本 {x}:true":      {"\x00\n\x7f", int64(0), "日本 {x}", true},
	} {
		if got := string(appendKey(nil, key)); got != want {
			t.Errorf("%q stands as %q, want %q", key, got, want)
		}
	}
}

func FuzzKeysComeBack(f *testing.F) {
	f.Add("a", int64(1), "b", true)
	f.Add("a:b%", int64(-1), "\x00\xff{", false)
	f.Fuzz(func(t *testing.T, a string, n int64, b string, yes bool) {
		key := driver.Key{a, n, b, yes}
		text := string(appendKey(nil, key))
		back, err := parseKey(pair, text)
		if err != nil || !slices.Equal(back, key) {
			t.Errorf("%q stands as %q and is read as %q, %v", key, text, back, err)
		}
		if strings.ContainsAny(text, "\x00\n\r") {
			t.Errorf("%q stands as %q", key, text)
		}
	})
}

func TestTextsThatAreNoKeysAreErrors(t *testing.T) {
	for _, text := range []string{"", "a", "a:1:b", "a:1:b:true:", "a:x:b:true", "a:1:b:yes", "a%:1:b:true", "a%2:1:b:true", "a%zz:1:b:true"} {
		if key, err := parseKey(pair, text); err == nil {
			t.Errorf("%q is read as %q", text, key)
		}
	}
}

func TestTimesComeBackInTheirOrder(t *testing.T) {
	instants := []time.Time{
		time.Time{}.Add(time.Microsecond),
		time.Date(999, 1, 2, 3, 4, 5, 6_000, time.UTC),
		time.Unix(0, -1_000).UTC(),
		time.Unix(0, 0).UTC(),
		time.Date(2026, 11, 21, 16, 45, 26, 123_456_000, time.UTC),
		time.Date(2026, 11, 21, 16, 45, 26, 123_457_000, time.UTC),
		time.Date(2028, 2, 29, 23, 59, 59, 999_999_000, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC),
	}
	last := ""
	for _, instant := range instants {
		text := string(appendTime(nil, instant))
		if want := instant.Format("2006-01-02T15:04:05.000000Z"); text != want {
			t.Errorf("%v stands as %q, want %q", instant, text, want)
		}
		if back, err := parseTime([]byte(text)); err != nil || !back.Equal(instant) {
			t.Errorf("%q is read as %v, %v", text, back, err)
		}
		if text <= last {
			t.Errorf("%q is not behind %q", text, last)
		}
		last = text
	}
	if len(never) != timeLen || never <= last {
		t.Errorf("%q does not stand behind all times", never)
	}
}

// Whatever stands in a string: it is an entry or an error, and no crash.
func FuzzReadAnyString(f *testing.F) {
	var b strings.Builder
	write(&b, &driver.Entry{Name: "n", Status: 200, Header: `{"A":["1"]}`, Payload: []byte("body"), CachedAt: time.Unix(0, 0)})
	f.Add([]byte(b.String()), uint8(3))
	f.Add([]byte("foreign"), uint8(1))
	f.Fuzz(func(t *testing.T, value []byte, parts uint8) {
		selected, err := newFilter(driver.Filter{State: driver.Live, Now: time.Now().UTC()}).match(value)
		if err != nil && selected {
			t.Error("what is no entry is selected")
		}
		if err == nil {
			_, _, _ = read(value, driver.Parts(parts))
		}
	})
}

func TestWhatIsTooLargeIsRefused(t *testing.T) {
	fits := driver.Entry{Payload: make([]byte, maxValue-maxHead-2)}
	if err := check(&fits); err != nil {
		t.Error(err)
	}
	for _, e := range []driver.Entry{
		{Payload: make([]byte, maxValue)},
		{Payload: fits.Payload, Name: "n"},
		{Payload: fits.Payload, Header: "{}"},
	} {
		if check(&e) == nil {
			t.Errorf("an entry of %d bytes is not too large", size(&e))
		}
	}
	if check(&driver.Entry{ExpiresAt: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)}) == nil {
		t.Error("the year 10000 can be stored")
	}
}

func TestTimeToStay(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	table := &table{store: &Store{opts: Options{KeepExpired: time.Hour}}}
	for _, tt := range []struct {
		expires time.Time
		want    int64
	}{
		{now.Add(time.Minute), 61 * 60 * 1000},
		{now.Add(-59 * time.Minute), 60 * 1000},
		{now.Add(-time.Hour), 1},
		{time.Time{}.Add(time.Microsecond), 1},
		{time.Time{}, 0},
		{now.AddDate(9, 0, 0), 0},
		{time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), 0},
	} {
		if got := table.timeToStay(tt.expires, now); got != tt.want {
			t.Errorf("what expires at %v stays for %dms, want %d", tt.expires, got, tt.want)
		}
	}
	table.store.opts.KeepExpired = math.MaxInt64
	if got := table.timeToStay(now, now); got != 0 {
		t.Errorf("what is kept for ever stays for %dms", got)
	}
}
