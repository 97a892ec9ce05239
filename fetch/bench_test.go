package fetch_test

import "testing"

// BenchmarkHit compares a hit with what the repository alone takes for it.
func BenchmarkHit(b *testing.B) {
	repo := repositoryOf(b, settingsOf(byID, batchOf(10)))
	e := endpointIn(b, newOrigin(b, nil), repo, nil)
	if _, err := e.Fetch(b.Context(), "a"); err != nil {
		b.Fatal(err)
	}
	b.Run("Get", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok, err := repo.Get(b.Context(), "a"); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
	b.Run("Fetch", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := e.Fetch(b.Context(), "a"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
