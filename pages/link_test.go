package pages

import (
	"strings"
	"testing"
)

func TestLinks(t *testing.T) {
	for _, test := range []struct {
		headers []string
		want    string
		ok      bool
		bad     bool
	}{
		{nil, "", false, false},
		{[]string{""}, "", false, false},
		{[]string{`<a>; rel="next"`}, "a", true, false},
		{[]string{`<a>; rel=next`}, "a", true, false},
		{[]string{`<a>;rel=NEXT`}, "a", true, false},
		{[]string{`<a> ; REL = "Next"`}, "a", true, false},
		{[]string{`<a>; rel="last next"`}, "a", true, false},
		{[]string{`<a>; rel="nextish", <b>; rel="prev next last"`}, "b", true, false},
		{[]string{`<a>; rel=prev, <b>; rel=next, <c>; rel=next`}, "b", true, false},
		{[]string{`<a>; rel=prev`, `<b>; rel=next`}, "b", true, false},
		{[]string{`, ,<a>; rel=prev,, <b>; rel=next,`}, "b", true, false},
		{[]string{`<a>; title="x, <b>; rel=next"; rel=prev`}, "", false, false},
		{[]string{`<a>; title="a \"quoted; rel=prev\" one"; rel="next"`}, "a", true, false},
		{[]string{`<a,b;c>; rel=next`}, "a,b;c", true, false},
		{[]string{`<a>; rel=prev; rel=next`}, "", false, false}, // the first counts
		{[]string{`<a>; rel=next; rel=prev`}, "a", true, false},
		{[]string{`<a>; anchor="/other"; rel=next`}, "", false, false}, // not the page's
		{[]string{`<a>; crossorigin; rel=next`}, "a", true, false},
		{[]string{`<a>;; rel=next ;`}, "a", true, false},
		{[]string{`<a>; rel`}, "", false, false},
		{[]string{`<a>; rel=`}, "", false, false},
		{[]string{`<a>; rel=""`}, "", false, false},
		{[]string{`< a >; rel=next`}, "a", true, false},
		{[]string{`<>; rel=next`}, "", true, false}, // the page itself, which is a loop
		{[]string{`<a>; hreflang=de; media="screen, print"; rel=next; type="application/json"`}, "a", true, false},
		{[]string{`<a>; rel=next`, `nonsense`}, "a", true, false},
		{[]string{`a; rel=next`}, "", false, true},
		{[]string{`<a; rel=next`}, "", false, true},
		{[]string{`<a> rel=next`}, "", false, true},
		{[]string{`<a>; rel="next`}, "", false, true},
		{[]string{`<a>; rel="next\`}, "", false, true},
		{[]string{`<a>; rel=next <b>; rel=prev`}, "", false, true},
	} {
		got, ok, err := nextLink(test.headers)
		if got != test.want || ok != test.ok || (err != nil) != test.bad {
			t.Errorf("%q: %q, %t, %v; want %q, %t", test.headers, got, ok, err, test.want, test.ok)
		}
	}
}

// Whatever stands before it, a link that is well formed is found.
func FuzzLink(f *testing.F) {
	f.Add("/a?b=c", "x, y; rel=next", "prev")
	f.Add("", `\"`, "a b")
	f.Fuzz(func(t *testing.T, target, title, rel string) {
		if strings.ContainsAny(target, ">") || strings.TrimSpace(target) != target {
			t.Skip()
		}
		quote := func(s string) string {
			return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
		}
		for _, other := range strings.Fields(rel) {
			if strings.EqualFold(other, "next") {
				t.Skip()
			}
		}
		header := "<other>; title=" + quote(title) + "; rel=" + quote(rel) + ",<" + target + ">; title*=" + quote(title) + "; rel=next"
		if got, ok, err := nextLink([]string{header}); err != nil || !ok || got != target {
			t.Errorf("%q: %q, %t, %v", header, got, ok, err)
		}
		_, _, _ = nextLink([]string{title, target}) // which ends
	})
}
