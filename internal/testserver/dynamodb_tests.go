package testserver

import (
	"testing"

	"github.com/endpointcache/endpointcache/internal/testenv"
)

// OwnDynamoDB starts a server for one test, which may do with it what it likes. It is
// stopped after the test, which is skipped where there can be none; see [Skip].
func OwnDynamoDB(tb testing.TB, o *Options) *DynamoDB {
	tb.Helper()
	d, err := StartDynamoDB(tb.Context(), o)
	if err != nil {
		testenv.Skip(tb, "no DynamoDB: "+err.Error())
	}
	tb.Cleanup(func() {
		if err := d.Stop(); err != nil {
			tb.Error(err)
		}
	})
	return d
}
