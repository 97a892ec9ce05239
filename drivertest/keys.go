package drivertest

import (
	"math"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
)

func testKeys(t *testing.T, h Harness) {
	three := []driver.Value{"a", int64(1), true}
	t.Run("a key has any number of columns of any kind in any order", func(t *testing.T) {
		kinds := []driver.Kind{driver.String, driver.Int, driver.Bool}
		for _, n := range []int{1, 2, 4, 16} {
			for first := range kinds {
				columns := make([]driver.Column, n)
				k := make(driver.Key, n)
				for i := range n {
					kind := (first + i) % len(kinds)
					columns[i] = driver.Column{Name: string(rune('a' + n - i)), Kind: kinds[kind]}
					k[i] = three[kind]
				}
				table := h.table(t, columns...)
				entries := []driver.Entry{version(k, 0)}
				for i := range n { // keys that differ from k in one column only
					other := append(driver.Key(nil), k...)
					switch v := other[i].(type) {
					case string:
						other[i] = v + "b"
					case int64:
						other[i] = v + 1
					case bool:
						other[i] = !v
					}
					entries = append(entries, version(other, i+1))
				}
				table.put(entries...)
				table.wantOnly(entries...)
				for k := range entries {
					if n := table.delete(entries[k].Key); n != 1 {
						t.Errorf("delete of %s removed %d, want 1", describe(entries[k].Key), n)
					}
					if k%4 == 0 {
						table.wantOnly(entries[k+1:]...)
					}
				}
				table.wantOnly()
			}
		}
	})

	t.Run("an iteration yields the values of a key as they were put", func(t *testing.T) {
		table := h.table(t, boolean("z"), text("b"), integer("a"), text("c"), integer("y"), boolean("d"))
		k := key(true, "1", int64(math.MinInt64), "", int64(1), false)
		table.put(version(k, 1))
		if _, ok := table.entries(everything)[encode(k)]; !ok {
			t.Errorf("an iteration does not yield %s", describe(k))
		}
	})

	wantStrings := func(name string, values ...string) {
		t.Run(name, func(t *testing.T) {
			table := h.ids(t)
			entries := make([]driver.Entry, len(values))
			for i, v := range values {
				entries[i] = version(key(v), i)
			}
			table.wantDistinct(entries)
		})
	}
	wantPairs := func(name string, pairs ...[2]string) {
		t.Run(name, func(t *testing.T) {
			table := h.table(t, text("a"), text("b"))
			entries := make([]driver.Entry, len(pairs))
			for i, p := range pairs {
				entries[i] = version(key(p[0], p[1]), i)
			}
			table.wantDistinct(entries)
		})
	}

	wantPairs("values that change places are another key",
		[2]string{"a", "b"}, [2]string{"b", "a"}, [2]string{"a", "a"}, [2]string{"ab", ""}, [2]string{"", "ab"}, [2]string{"", ""})

	t.Run("no separator in a value makes two keys equal", func(t *testing.T) {
		table := h.table(t, text("a"), text("b"))
		var entries []driver.Entry
		for _, sep := range []string{
			"|", ",", ":", ";", "/", "\\", "-", "_", ".", "#", "&", "=", "~", "%", "%2F", "%00", " ", "\t", "\n",
			"\x00", "\x00\x01", "\x1e", "\x1f", "\xff", "','", "\x22,\x22", "::", "||", "0", "1",
		} {
			entries = append(entries,
				version(key("a"+sep+"b", "c"), len(entries)),
				version(key("a", "b"+sep+"c"), len(entries)+1),
				version(key("a"+sep, "b"), len(entries)+2),
				version(key("a", sep+"b"), len(entries)+3))
		}
		table.wantDistinct(entries)
	})

	wantStrings("strings are equal to the byte",
		"a", "A", "a ", " a", "a\t", "a\n", "a\x00", "\x00a", "á", "Á", "caf\u00e9", "cafe\u0301", "\ufb01", "fi",
		"ß", "ss", "SS", "\u212a", "K", "k", "i", "I", "\u0130", "\u0131", "\u200b", "\ufeff", "\ufeffa", "日本", "日本 ", "🎵", "👩‍👩‍👧")
	wantStrings("strings that look like other values are themselves",
		"", "0", "00", "0.0", "-0", "1", "01", "1.0", "1e0", "+1", " 1", "1 ", "true", "TRUE", "false", "null", "NULL", "nil", "<nil>",
		"x'00'", `\x00`, "\\N", "undefined", "NaN", "inf", "9223372036854775808", "{}", "[]", `""`, `"a"`, "2024-01-02", "12:00:00")
	wantStrings("strings that look like SQL, patterns or paths are themselves",
		"'", "''", `"`, `""`, "`", "it's", `'; DROP TABLE tracks; --`, `" OR "1"="1`, "') OR 1=1 --", "/*", "*/", "--", ";", "?", "?1", "$1", ":id", "@id",
		"%", "%%", "_", "a%", "a_c", "abc", "*", "a*", "[a]", "[^a]", "a?c", "{a,b}", "${a}", "{{a}}", "{", "}", "{a}", "%s", "%d", "%!s(MISSING)",
		"/", "//", ".", "..", "../a", "./a", "a/", "/a", "a//b", "a/b", `a\b`, `C:\`, "~", "con", "nul", ".tmp", "a.json", "*\r\n", "\r\n")
	wantStrings("control characters and NUL are themselves", controls()...)
	wantStrings("invalid UTF-8 is itself",
		"\xff", "\xfe", "\xff\xfe", "\x80", "\xc0\x80", "\xc3", "\xc3\x28", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf4\x90\x80\x80", "a\xffb", "a\xfeb", "\ufffd", "a\ufffdb", "\xe9", "é")

	t.Run("a long string is equal to the byte", func(t *testing.T) {
		n := 64 << 10
		if h.MaxKey > 0 {
			n = min(n, h.MaxKey)
		}
		long := strings.Repeat("0123456789abcdef", n/16+1)
		h.ids(t).wantDistinct([]driver.Entry{
			version(key(long[:n]), 1),
			version(key(long[:n-1]), 2),
			version(key(long[:n-1]+"\x00"), 3),
			version(key("x"+long[1:n]), 4),
		})
	})

	t.Run("integers reach from the smallest to the largest", func(t *testing.T) {
		table := h.table(t, integer("n"))
		var entries []driver.Entry
		for i, n := range []int64{
			0, 1, -1, 127, 128, -128, -129, 255, 256, 1 << 31, 1<<31 - 1, -1 << 31, 1 << 32, 1 << 53, 1<<53 + 1, -1<<53 - 1,
			math.MaxInt64, math.MaxInt64 - 1, math.MinInt64, math.MinInt64 + 1, '0', '1',
		} {
			entries = append(entries, version(key(n), i))
		}
		table.wantDistinct(entries)
	})

	t.Run("booleans are two keys", func(t *testing.T) {
		h.table(t, boolean("b")).wantDistinct([]driver.Entry{version(key(true), 1), version(key(false), 2)})
	})
}

// wantDistinct puts entries one by one, and fails the test unless each is an
// entry of its own to every operation.
func (s subject) wantDistinct(entries []driver.Entry) {
	s.tb.Helper()
	for _, e := range entries {
		if s.has(e.Key) {
			s.tb.Errorf("%s is there before it is put", describe(e.Key))
		}
		s.put(e)
	}
	s.want(entries...)
	s.wantCount(len(entries), driver.All, now)
	yielded := s.entries(everything)
	if len(yielded) != len(entries) {
		s.tb.Errorf("an iteration yields %d entries, want %d", len(yielded), len(entries))
	}
	for _, e := range entries {
		if got, ok := yielded[encode(e.Key)]; !ok {
			s.tb.Errorf("an iteration does not yield %s", describe(e.Key))
		} else if d := diff(e, got); d != "" {
			s.tb.Errorf("an iteration yields %s: %s", describe(e.Key), d)
		}
	}
	s.put(entries...) // in one call
	s.wantOnly(entries...)
	for i, e := range entries {
		if n := s.delete(e.Key); n != 1 {
			s.tb.Errorf("delete of %s removed %d, want 1", describe(e.Key), n)
		}
		if i%16 == 0 { // some servers count slowly
			s.wantCount(len(entries)-i-1, driver.All, now)
		}
	}
	s.wantOnly()
}

// controls are strings with each of the control characters.
func controls() []string {
	values := []string{"\x7f", "\u0085", "\u2028", "\u2029", "\u202e", "\x00\x00", "a\x00b", "a\x00c", "a"}
	for c := range byte(0x20) {
		values = append(values, string(rune(c)))
	}
	return values
}
