package tier_test

import (
	"fmt"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
)

// BenchmarkGet compares a hit with a get from a plain store in memory.
func BenchmarkGet(b *testing.B) {
	const n = 10_000
	payload := make([]byte, 2_048)
	h := newHub(openMemory(b))
	s := over(b, h.open(), nil)
	defer s.Close()
	for name, table := range map[string]driver.Table{"plain": openTable(b, openMemory(b), "tracks"), "tier": openTable(b, s, "tracks")} {
		keys := make([]driver.Key, n)
		for i := range keys {
			keys[i] = driver.Key{fmt.Sprintf("4uLU6hMCjMI75M1A2tKUQC-%d", i)}
			put(b, table, driver.Entry{Key: keys[i], Status: 200, Payload: payload, CachedAt: now, ExpiresAt: now.AddDate(1, 0, 0)})
		}
		sel := driver.Selection{Filter: driver.Filter{State: driver.Live, Now: now}, Parts: driver.Payload}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			sum := 0
			visit := func(_ int, e driver.Entry) { sum += int(e.Payload[len(e.Payload)/2]) }
			for i := 0; b.Loop(); i++ {
				if err := table.Get(b.Context(), keys[i*7%n:i*7%n+1], sel, visit); err != nil {
					b.Fatal(err)
				}
			}
		})
		if near, ok := table.(driver.NearTable); ok {
			b.Run(name+", near", func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if _, found, _ := near.GetNear(keys[i*7%n], sel); !found {
						b.Fatal("a miss")
					}
				}
			})
		}
	}
}
