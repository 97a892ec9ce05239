package postgres

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/driver"
)

// FuzzStoredKey: whatever the values, keys stand in the table as texts that it can
// hold and index, differ where the values do, and come back.
func FuzzStoredKey(f *testing.F) {
	for _, s := range []string{"", "a", `\`, `\x`, `\x00`, "\x00", "\xff", `\sha256:`, "日本", strings.Repeat("x", 3000), "\xff" + strings.Repeat("x", 1300)} {
		f.Add(s, "b", "a", `\x61`)
		f.Add(s, "", "", s)
	}
	spec := driver.TableSpec{Name: "t", Key: []driver.Column{{Name: "a", Kind: driver.String}, {Name: "b", Kind: driver.String}}}
	t := &table{spec: spec, keyTexts: newKeyTexts(spec)}
	f.Fuzz(func(tt *testing.T, a, b, c, d string) {
		one, short := t.keyTexts.stored(driver.Key{a, b})
		two, _ := t.keyTexts.stored(driver.Key{c, d})
		if same := a == c && b == d; same != cmp.Equal(one, two) {
			tt.Errorf("%q and %q stand as %q and %q", []string{a, b}, []string{c, d}, one, two)
		}
		size := 0
		for _, v := range one {
			s := v.(string)
			size += len(s)
			if !utf8.ValidString(s) || strings.Contains(s, "\x00") {
				tt.Errorf("TEXT cannot hold %q", s)
			}
		}
		if size > maxIndexed {
			tt.Errorf("%d bytes are too many for an index", size)
		}
		var whole []byte
		if short {
			whole = driver.AppendKey(nil, driver.Key{a, b})
		}
		back, err := t.readKey(whole, one)
		if err != nil || !cmp.Equal(back, driver.Key{a, b}) {
			tt.Errorf("%q and %q come back as %q, %v", a, b, back, err)
		}
	})
}

func FuzzIdentifier(f *testing.F) {
	f.Add("a", "A")
	f.Add(strings.Repeat("x", 63), strings.Repeat("x", 64))
	f.Add("ctid", "ctid ")
	f.Add(strings.Repeat("日", 80)+"1", strings.Repeat("日", 80)+"2")
	f.Fuzz(func(t *testing.T, a, b string) {
		one, two := identifier(a), identifier(b)
		if (a == b) != (one == two) {
			t.Errorf("%q and %q are %q and %q", a, b, one, two)
		}
		if len(one) > maxIdentifier || utf8.ValidString(a) && !utf8.ValidString(one) {
			t.Errorf("%q is no name", one)
		}
		again := identifier(one)
		if one != a && again == one && a != one {
			t.Errorf("%q and %q are both %q", a, one, one)
		}
	})
}

func TestKeyOfAnotherTableIsAnError(t *testing.T) {
	spec := driver.TableSpec{Name: "t", Key: []driver.Column{{Name: "s", Kind: driver.String}, {Name: "n", Kind: driver.Int}, {Name: "b", Kind: driver.Bool}}}
	key := driver.Key{"s", int64(-1), true}
	whole := driver.AppendKey(nil, key)
	if got, err := parseKey(spec, whole); err != nil || !cmp.Equal(got, key) {
		t.Errorf("%v, %v", got, err)
	}
	for n := range whole {
		if got, err := parseKey(spec, whole[:n]); err == nil {
			t.Errorf("%x is %v", whole[:n], got)
		}
	}
	if got, err := parseKey(spec, append(whole, 0)); err == nil {
		t.Errorf("with a byte more it is %v", got)
	}
}

// FuzzSuccessor: a text begins with a prefix if it is not before it and before its
// successor.
func FuzzSuccessor(f *testing.F) {
	for _, prefix := range []string{"", "a", "az", "\x7f", "a\ud7ff", "a\U0010ffff", "\U0010ffff\U0010ffff", "日本"} {
		for _, s := range []string{"", "a", "b", "\ud7ffb", "\ue000", "\U0010ffff\U0010ffff\U0010ffff", "日本語"} {
			f.Add(prefix, s)
			f.Add(prefix, prefix+s)
		}
	}
	f.Fuzz(func(t *testing.T, prefix, s string) {
		if !isText(prefix) || !isText(s) || prefix == "" {
			return
		}
		end := successor(prefix)
		if within := s >= prefix && (end == "" || s < end); within != strings.HasPrefix(s, prefix) {
			t.Errorf("%q is within %q and %q: %v", s, prefix, end, within)
		}
		if !utf8.ValidString(end) {
			t.Errorf("%q is no text", end)
		}
	})
}
