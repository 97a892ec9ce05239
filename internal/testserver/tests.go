package testserver

import (
	"os"
	"strings"
	"testing"
)

// reasonSuffix ends the variable that tells why there is no server of that name.
const reasonSuffix = "_ABSENT"

// URL returns the value of a variable such as POSTGRES_TEST_URL. Where there is
// none, the test is skipped with the reason, and fails in CI.
func URL(tb testing.TB, variable string) string {
	tb.Helper()
	if url := os.Getenv(variable); url != "" {
		return url
	}
	reason := os.Getenv(variable + reasonSuffix)
	if reason == "" {
		reason = "it is not set; make test sets it, as does go run ./internal/testserver/run go test ./..."
	}
	Skip(tb, "no "+variable+": "+reason)
	return ""
}

// OwnPostgres starts a server for one test, which may do with it what it likes. It
// is stopped after the test, which is skipped where there can be none; see [Skip].
func OwnPostgres(tb testing.TB, o *Options) *Postgres {
	tb.Helper()
	p, err := StartPostgres(tb.Context(), o)
	if err != nil {
		Skip(tb, "no PostgreSQL: "+err.Error())
	}
	tb.Cleanup(func() {
		if err := p.Stop(); err != nil {
			tb.Error(err)
		}
	})
	return p
}

// Skip ends a test that has no server: it skips it, but fails it in CI, where
// nothing may be left untested unnoticed.
func Skip(tb testing.TB, reason string) {
	tb.Helper()
	if inCI() {
		tb.Fatal(reason)
	}
	tb.Skip(reason)
}

func inCI() bool { return os.Getenv("CI") != "" }

// environment holds variables as NAME=value, beside those of the process.
type environment []string

func (e *environment) set(name, value string) { *e = append(*e, name+"="+value) }

func (e environment) get(name string) string {
	for _, variable := range e {
		if value, ok := strings.CutPrefix(variable, name+"="); ok {
			return value
		}
	}
	return os.Getenv(name)
}
