// Package testenv tells tests where the servers are that they talk to. Package
// testserver starts them; it is a module of its own, as it needs clients of some of
// them, which the library's own module does not.
package testenv

import (
	"os"
	"testing"
)

// ReasonSuffix ends the variable that tells why there is no server of that name.
const ReasonSuffix = "_ABSENT"

// URL returns the value of a variable such as POSTGRES_TEST_URL. Where there is
// none, the test is skipped with the reason, and fails in CI.
func URL(tb testing.TB, variable string) string {
	tb.Helper()
	if url := os.Getenv(variable); url != "" {
		return url
	}
	reason := os.Getenv(variable + ReasonSuffix)
	if reason == "" {
		reason = "it is not set; make test sets it, as does go run ./internal/testserver/run go test ./..."
	}
	Skip(tb, "no "+variable+": "+reason)
	return ""
}

// Skip ends a test that has no server: it skips it, but fails it in CI, where
// nothing may be left untested unnoticed.
func Skip(tb testing.TB, reason string) {
	tb.Helper()
	if InCI() {
		tb.Fatal(reason)
	}
	tb.Skip(reason)
}

// InCI reports whether the tests run in CI.
func InCI() bool { return os.Getenv("CI") != "" }
