package drivertest

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

func testValues(t *testing.T, h Harness) {
	t.Run("payloads come back byte for byte", func(t *testing.T) {
		all := make([]byte, 256)
		for i := range all {
			all[i] = byte(i)
		}
		table := h.ids(t)
		var entries []driver.Entry
		for i, payload := range [][]byte{
			nil, {}, {0}, {0, 0}, all, bytes.Repeat(all, 16), []byte("\xff\xfe"), []byte("\xef\xbb\xbf{}"), []byte(" {} \n"), []byte("\r\n"),
			[]byte(`{"a": 1.10, "b": "\u00e9", "a": 2, "z":1e400, "big":12345678901234567890}`), []byte("null"), []byte("<html>"), []byte("'"), []byte(`\x00`),
		} {
			e := version(id(i), i)
			e.Payload = payload
			entries = append(entries, e)
		}
		table.put(entries...)
		table.wantOnly(entries...)
		for _, e := range entries {
			got := table.entries(everything)[encode(e.Key)]
			if d := diff(e, got); d != "" {
				t.Errorf("an iteration yields %s: %s", describe(e.Key), d)
			}
		}
	})

	t.Run("a payload of 1 MiB comes back byte for byte", func(t *testing.T) {
		n := 1 << 20
		if h.MaxPayload > 0 {
			n = min(n, h.MaxPayload)
		}
		e := version(id(1), 1)
		e.Payload = noise(n)
		table := h.ids(t)
		table.put(e, version(id(2), 2))
		table.wantOnly(e, version(id(2), 2))
	})

	t.Run("names come back byte for byte", func(t *testing.T) {
		table := h.ids(t)
		var entries []driver.Entry
		for i, s := range []string{
			"", " ", "a ", "NULL", "null", "0", "1.10", "true", "it's", `a"b`, `a\b`, "%s", "日本", "🎵", "caf\u00e9", "cafe\u0301",
			"\x00", "a\x00b", "\n", "\r\n", "\x7f", "\xff", "a\xc3", "\ufffd", "\ufeff", strings.Repeat("long ", 2_000), `{"A":["1"]}`,
		} {
			e := version(id(i), i)
			e.Name = s
			entries = append(entries, e)
		}
		table.put(entries...)
		table.wantOnly(entries...)
	})

	t.Run("headers come back as an equal JSON object", func(t *testing.T) {
		table := h.ids(t)
		var entries []driver.Entry
		for i, s := range []string{
			"", `{}`, `{"B":["2"],"A":["1", "1"]}`, `{ "Etag" : ["\"x\""] , "Link":["<a>; rel=\"b\"",""]}`,
			`{"X":["\u00e9"]}`, `{":proto":["HTTP/2.0"],"X":[{"base64":"/w=="}]}`, `{"":["'"],"?":["%s\n"],"$1":["日本🎵"]}`,
			`{"Long":["` + strings.Repeat("long ", 20_000) + `"]}`,
		} {
			e := version(id(i), i)
			e.Header = s
			entries = append(entries, e)
		}
		table.put(entries...)
		table.wantOnly(entries...)
	})

	t.Run("any status comes back", func(t *testing.T) {
		table := h.ids(t)
		var entries []driver.Entry
		for i, status := range []int{0, 100, 200, 204, 301, 404, 599, 999} {
			e := version(id(i), i)
			e.Status = status
			entries = append(entries, e)
		}
		table.put(entries...)
		table.wantOnly(entries...)
	})

	t.Run("times come back to the microsecond and in UTC", func(t *testing.T) {
		table := h.ids(t)
		var entries []driver.Entry
		for i, instant := range []time.Time{
			now.Add(999_999 * time.Microsecond),
			now.Add(time.Hour).Truncate(time.Second),
			now.Add(time.Hour).Truncate(time.Second).Add(time.Microsecond),
			now.Add(time.Hour).Truncate(time.Second).Add(-time.Microsecond),
			time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC),
			now.AddDate(0, 0, 1).Truncate(24 * time.Hour),
		} {
			e := expiring(id(i), instant)
			if instant.Before(now.Add(time.Minute)) {
				e.ExpiresAt = now.Add(time.Hour)
			}
			e.CachedAt = instant
			entries = append(entries, e)
		}
		old := version(id(len(entries)), 1)
		old.CachedAt = time.Date(1969, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
		entries = append(entries, old)
		table.put(entries...)
		table.wantOnly(entries...)
	})

	t.Run("an entry of nothing but its key is an entry", func(t *testing.T) {
		table := h.ids(t)
		e := driver.Entry{Key: key(""), CachedAt: now}
		table.put(e)
		table.wantOnly(e)
	})
}

// noise are n bytes that do not compress.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}
