// Package anystore is the -store flag of the examples. They are built with the stores that
// need no server, and with the clients of all others where they are asked to:
//
//	go run -tags allstores ./examples/modproxy -store redis://localhost
package anystore

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
)

// Store is the URL of the store that a program uses, and the value of its -store flag.
// A *Store is a program.Store.
type Store string

// New returns the store at address, until a flag names another.
func New(address string) *Store {
	s := Store(address)
	return &s
}

// Flag defines -store, whose default is the value that s has.
func (s *Store) Flag(flags *flag.FlagSet) {
	flags.Func("store", "where to keep the responses: a SQLite `file`, or one of\n"+strings.Join(storeForms(), ", ")+moreStores+
		"\n(default "+s.file()+" in the working folder)", func(text string) error {
		if storeKind(text) == "" && text != "" && !strings.Contains(text, "://") {
			text = "sqlite:" + text
		}
		*s = Store(text)
		return nil
	})
}

// Check returns an error where the program is not built with that store. Package flag
// would tell it with the URL, which may have a password.
func (s Store) Check() error {
	if storeKind(string(s)) == "" {
		return errors.New("-store is a file, or one of " + strings.Join(storeForms(), ", ") + moreStores)
	}
	return nil
}

// Open opens the store. On a server that others use as well, the name keeps the tables
// apart; in PostgreSQL it is their schema.
func (s Store) Open(ctx context.Context, name string) (driver.Store, error) {
	return openStore(ctx, string(s), name)
}

// Query is a command that shows what the query selects from a table of the store,
// or empty where no shell of a database does.
func (s Store) Query(columns, name, table string) string {
	switch storeKind(string(s)) {
	case "postgres":
		return fmt.Sprintf("psql %s -c 'SELECT %s FROM %s.%s'", quoted(withoutPassword(string(s))), columns, name, table)
	case "sqlite":
		return fmt.Sprintf("sqlite3 %s 'SELECT %s FROM %s'", quoted(s.file()), columns, table)
	}
	return ""
}

// file is the path of a SQLite file.
func (s Store) file() string {
	_, path, _ := strings.Cut(string(s), ":")
	return path
}

// quoted is a text as one word of a shell.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func withoutPassword(database string) string {
	u, err := url.Parse(database)
	if err != nil {
		return "postgres://…"
	}
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	if query := u.Query(); query.Has("password") || query.Has("sslpassword") {
		query.Del("password")
		query.Del("sslpassword")
		u.RawQuery = query.Encode()
	}
	return u.String()
}
