// Modproxy fetches what a go.mod or a go.work requires from a Go module proxy and keeps it
// in a database, one table for each of the protocol's endpoints. What is stored already is
// not fetched again:
//
//	$ go run ./examples/modproxy    # fetches all
//	$ go run ./examples/modproxy    # fetches nothing
//	$ sqlite3 modproxy.db 'SELECT module, version, name, cached_at, expires_at FROM info'
//
// With -store it keeps them elsewhere. The stores that have a server need their
// clients, which it is built with where it is asked to. In PostgreSQL, the tables are
// in the schema modproxy:
//
//	$ go run -tags allstores ./examples/modproxy -store postgres://user:password@host/database
//
// It needs no network. Unless -proxy names a real proxy, it serves this machine's
// own module download cache, whose folders are laid out as the protocol says, on
// a loopback port. That cache holds the modules that were needed for some build,
// so those that go.mod only mentions may not be there: keys that it cannot
// answer are left out.
//
// The exit code is 0 if all keys are in the database, 1 if some could not be
// fetched or the job failed, 2 for wrong flags and 130 after an interrupt. After
// each of them, what was fetched is in the database.
//
// Folder job has the program, by topic: endpoints.go are the declarations, job.go is the
// job, flags.go what can be chosen, gomod.go the keys, local.go the server, report.go what
// is shown.
package main

// The store comes first, by the order of the paths: so the compiler begins with the C code
// of SQLite, which takes half of the time, and does the rest beside it.
import (
	"github.com/endpointcache/endpointcache/examples/internal/anystore"
	"github.com/endpointcache/endpointcache/examples/internal/program"
	"github.com/endpointcache/endpointcache/examples/modproxy/job"
)

func main() { program.Main(job.Command(anystore.New("sqlite:modproxy.db"))) }
