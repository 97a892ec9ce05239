package testserver

import (
	"os"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/internal/testenv"
)

// OwnPostgres starts a server for one test, which may do with it what it likes. It
// is stopped after the test, which is skipped where there can be none; see [testenv.Skip].
func OwnPostgres(tb testing.TB, o *Options) *Postgres {
	tb.Helper()
	p, err := StartPostgres(tb.Context(), o)
	if err != nil {
		testenv.Skip(tb, "no PostgreSQL: "+err.Error())
	}
	tb.Cleanup(func() {
		if err := p.Stop(); err != nil {
			tb.Error(err)
		}
	})
	return p
}

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
