package inspector

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
)

func TestDurations(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 500: "0.50 µs", 1500 * time.Microsecond: "1.50 ms", 2 * time.Second: "2.00 s", 42 * time.Second: "42 s",
		90 * time.Second: "1 min 30 s", 3*time.Hour + 20*time.Minute: "3 h 20 min", 49 * time.Hour: "2 d 1 h", 200 * 24 * time.Hour: "200 d", -time.Minute: "−1 min",
	} {
		if got := durationWords(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "now", 59 * time.Second: "59 s ago", 59*time.Minute + 40*time.Second: "1 h ago", 47 * time.Hour: "47 h ago",
		14*24*time.Hour - time.Second: "14 d ago", -time.Hour: "in 1 h", 3000 * 24 * time.Hour: "3\u202f000 d ago",
	} {
		now := time.Unix(1e9, 0)
		if got := relative(now.Add(-d), now); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

// Times that no duration is as far as are shown all the same.
func TestTimesFarAway(t *testing.T) {
	now := time.Unix(1e9, 0)
	last := time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	if got := durationWords(math.MinInt64); got != "−106\u202f751 d" {
		t.Errorf("%q", got)
	}
	if got := relative(last, now); got != "in 106\u202f751 d" {
		t.Errorf("%q", got)
	}
	for _, x := range []cache.Explanation{{CachedAt: now, ExpiresAt: last}, {CachedAt: now.Add(-math.MaxInt64)}, {CachedAt: last, ExpiresAt: last}} {
		l := timelineOf(x, now)
		if len(l.Spans) > 1 || !x.CachedAt.Equal(last) && (l.Spans[0].Class != "fresh" || l.Spans[0].Width != "100.00%") || x.CachedAt.Equal(now) && l.Now != "0.00%" {
			t.Errorf("%+v: %+v", x, l)
		}
	}
}

func TestSizes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.00 KiB", 1023 * 1024: "1.00 MiB", 50 << 20: "50.0 MiB", 3 << 40: "3.00 TiB", 100 << 30: "100 GiB",
	} {
		if got := byteCount(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1\u202f000", -1234567: "-1\u202f234\u202f567"} {
		if got := count(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
	for v, want := range map[float64]string{0: "0", 0.126: "0.13", 42.4: "42", 9999: "9\u202f999", 12345: "12.3 k", 2.5e6: "2.50 M"} {
		if got := shortNumber(v); got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
}

func TestTextsAreCutBetweenCharacters(t *testing.T) {
	if got := printable("aéé", 2); got != "a…" {
		t.Errorf("%q", got)
	}
	if got := printable("\xff\xff\xff\xff", 2); got != `\xff\xff…` {
		t.Errorf("%q", got)
	}
}

// flat is a tree as compact JSON.
func flat(n *jsonNode) string {
	var b strings.Builder
	b.WriteString(n.Name)
	if n.Name != "" {
		b.WriteByte(':')
	}
	if n.Text != "" {
		return b.String() + n.Text
	}
	b.WriteString(n.Brackets()[0])
	for _, child := range n.Children {
		b.WriteString(flat(child))
		if !child.Last {
			b.WriteByte(',')
		}
	}
	if n.Cut {
		b.WriteString("…")
	}
	return b.String() + n.Brackets()[1]
}

func TestTreesAreTheirJSON(t *testing.T) {
	for _, text := range []string{`{}`, `[]`, `1.50`, `"a"`, `null`, `{"a":{"b":[1,2,{"c":[]}],"b":true},"é":"\u00e9"}`} {
		roots, cut := parseTree(nil, []byte(" "+text+"\n"))
		if len(roots) != 1 || cut || flat(roots[0]) != text {
			t.Errorf("%s: %v, %v", text, cut, roots)
		}
	}
	for _, text := range []string{``, `{`, `{"a"`, `[1,`, `{"a":1}x`, `tru`, `[1}`} {
		if roots, _ := parseTree(nil, []byte(text)); roots != nil {
			t.Errorf("%s is a tree: %s", text, flat(roots[0]))
		}
	}
	long := "[" + strings.Repeat(`{"n":[1,2]},`, 5000) + "0]"
	roots, cut := parseTree(nil, []byte(long))
	if !cut || len(roots) != 1 || !roots[0].Cut || roots[0].Members > 1300 {
		t.Errorf("%v, %d members", cut, roots[0].Members)
	}
	whole := strings.Repeat(fmt.Sprintf("%q\n", strings.Repeat("x", 1000)), 10_000) // more than is read
	if roots, cut := parseTree(http.Header{}, []byte(whole)); !cut || len(roots) < 4000 {
		t.Errorf("%v, %d values", cut, len(roots))
	}
}

func FuzzTree(f *testing.F) {
	for _, text := range []string{`{"a":[1,"b",null]}`, `{"a"`, "\xff", `[[[[`, "1\n2", `{"a":1,"a":{}}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		roots, _ := parseTree(nil, body)
		for _, root := range roots {
			_ = flat(root)
		}
	})
}
