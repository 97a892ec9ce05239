package tracktest

import (
	"context"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
)

// WantFinding fails the test unless a store tells of a subject what has this in its value, at that
// level.
func WantFinding(tb testing.TB, s driver.Store, thorough bool, subject, value string, level driver.Level) {
	tb.Helper()
	d, ok := driver.As[driver.Diagnoser](s)
	if !ok {
		tb.Fatal("the store tells nothing of itself")
	}
	found, err := d.Diagnose(context.Background(), thorough)
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range found {
		if f.Subject != subject {
			continue
		}
		if !strings.Contains(f.Value, value) || f.Level != level {
			tb.Errorf("%s is %q, %v: want %q, %v", subject, f.Value, f.Level, value, level)
		}
		return
	}
	tb.Errorf("nothing is told of %q, but %v", subject, found)
}
