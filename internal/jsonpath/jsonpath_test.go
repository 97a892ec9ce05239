package jsonpath

import (
	"slices"
	"testing"
)

func TestAPathIsSplitAtItsDots(t *testing.T) {
	for path, want := range map[string][]string{
		"":              nil,
		"id":            {"id"},
		"track.id":      {"track", "id"},
		`a\.b`:          {"a.b"},
		`a\.b.c\\.d\,e`: {"a.b", `c\`, "d,e"},
		"a..b":          {"a", "", "b"},
		".":             {"", ""},
	} {
		got, err := Split(path)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v, want %q", path, got, err, want)
		}
		if again := Join(got); again != path {
			t.Errorf("%q is joined to %q", path, again)
		}
	}
	for _, path := range []string{`a\`, `\a`, `a.\`} {
		if got, err := Split(path); err == nil {
			t.Errorf("%q: %q and no error", path, got)
		}
	}
}

func FuzzJoin(f *testing.F) {
	f.Add("a", "b.c")
	f.Add(`\`, `,\.`)
	f.Fuzz(func(t *testing.T, a, b string) {
		want := []string{a, b}
		if got, err := Split(Join(want)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v", want, got, err)
		}
	})
}
