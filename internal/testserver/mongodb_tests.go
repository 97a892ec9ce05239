package testserver

import (
	"testing"

	"github.com/endpointcache/endpointcache/internal/testenv"
)

// OwnMongoDB starts a server for one test, which may do with it what it likes. It is
// stopped after the test, which is skipped where there can be none; see [Skip].
func OwnMongoDB(tb testing.TB, o *Options) *MongoDB {
	tb.Helper()
	m, err := StartMongoDB(tb.Context(), o)
	if err != nil {
		testenv.Skip(tb, "no MongoDB: "+err.Error())
	}
	tb.Cleanup(func() {
		if err := m.Stop(); err != nil {
			tb.Error(err)
		}
	})
	return m
}
