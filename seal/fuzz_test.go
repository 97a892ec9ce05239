package seal_test

import (
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// FuzzOpen has entries of any contents stood where sealed ones are. None is handed out, and
// nothing panics.
func FuzzOpen(f *testing.F) {
	for _, header := range []string{"", "{}", `{"seal":""}`, `{"seal": "AQ", "header": {}}`, `{"seal":"AQAAAAA"}`, `{"seal":"AgAAAAA","header":}`, "\xff"} {
		f.Add(header, []byte("payload"), "name", 200, int64(1), int64(0))
	}
	f.Fuzz(func(t *testing.T, header string, payload []byte, name string, status int, cached, expires int64) {
		for mode, opts := range modes {
			s := openSealed(t, "memory", keys(t, 1), opts)
			table := s.table(t, spec)
			own := entry(1, 1)
			check(t, table.Put(t.Context(), []driver.Entry{own}))
			raw := s.rawTable(t, spec.Name)
			for _, row := range rows(t, raw) {
				for _, change := range []func(*driver.Entry){
					func(e *driver.Entry) { e.Header = header },
					func(e *driver.Entry) { e.Payload = payload },
					func(e *driver.Entry) {
						e.Header, e.Payload, e.Name, e.Status = header, payload, name, status
						e.CachedAt, e.ExpiresAt = time.UnixMicro(cached).UTC(), time.UnixMicro(expires).UTC()
					},
				} {
					planted := row
					change(&planted)
					check(t, raw.Put(t.Context(), []driver.Entry{planted}))
					if mode == "signed" && (string(payload) == string(row.Payload) || header == row.Header) {
						continue
					}
					if got := found(t, table, everything, own.Key); len(got) != 0 {
						t.Errorf("%s: %+v was handed out", mode, got[0])
					}
				}
			}
		}
	})
}
