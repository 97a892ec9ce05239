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

// Times that no duration is as far as are shown all the same.
func TestTimesFarAway(t *testing.T) {
	now := time.Unix(1e9, 0)
	last := time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	for _, x := range []cache.Explanation{{CachedAt: now, ExpiresAt: last}, {CachedAt: now.Add(-math.MaxInt64)}, {CachedAt: last, ExpiresAt: last}} {
		l := timelineOf(x, now)
		if len(l.Spans) > 1 || !x.CachedAt.Equal(last) && (l.Spans[0].Class != "fresh" || l.Spans[0].Width != "100.00%") || x.CachedAt.Equal(now) && l.Now != "0.00%" {
			t.Errorf("%+v: %+v", x, l)
		}
	}
}

func TestShortNumbers(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.126: "0.13", 42.4: "42", 9999: "9,999", 12345: "12.3 k", 2.5e6: "2.50 M"} {
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
