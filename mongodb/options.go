package mongodb

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Options are the settings of a store. A nil *Options means the defaults.
type Options struct {
	// Database is the name of the database; the default is the one in the url,
	// or "endpointcache" where it names none. Only for [Open].
	Database string

	// Prefix begins the names of all collections of repositories, such as
	// "cache_"; the default is none.
	Prefix string

	// ReadOnly opens what is there to be read. Nothing is created or changed: neither
	// collections nor indexes, without which listings sort what they find. Writes return
	// [driver.ErrReadOnly]. Where the database has no table of a cache with the prefix, the error
	// is [driver.ErrAbsent].
	ReadOnly bool

	// KeepExpired is how long an entry stays after it has expired, to the
	// second, before the server may remove it: as long as it can still be
	// revalidated. The default is 24 hours. With a negative value the store does
	// not tell the server to remove anything, and [driver.Table.Clear] does.
	//
	// The setting is the collection's, in a TTL index; the store that opens it
	// last sets it for all, but a negative value leaves an index that is there. A
	// server without TTL indexes removes nothing.
	KeepExpired time.Duration
}

const (
	defaultDatabase = "endpointcache"
	defaultKeep     = 24 * time.Hour

	// maxKeep is less than the time since 1970, as some servers demand.
	maxKeep = 50 * 365 * 24 * time.Hour
)

func (o *Options) validate() (Options, error) {
	var opts Options
	if o != nil {
		opts = *o
	}
	if opts.KeepExpired == 0 {
		opts.KeepExpired = defaultKeep
	}
	switch {
	case !isDatabase(opts.Database):
		return opts, fmt.Errorf("Database %q is no name of a database", opts.Database)
	case len(opts.Prefix) > maxPrefix:
		return opts, fmt.Errorf("Prefix %q is longer than %d bytes", opts.Prefix, maxPrefix)
	case strings.ContainsAny(opts.Prefix, "$%\x00") || !utf8.ValidString(opts.Prefix):
		return opts, fmt.Errorf("Prefix %q has a character that cannot stand there", opts.Prefix)
	case strings.HasPrefix(opts.Prefix, ".") || strings.HasPrefix(opts.Prefix, "system.") || strings.HasPrefix(opts.Prefix, "endpointcache."):
		return opts, fmt.Errorf("Prefix %q is reserved", opts.Prefix)
	case opts.KeepExpired > maxKeep:
		return opts, fmt.Errorf("KeepExpired is %v: it is %v at most, or negative for ever", opts.KeepExpired, maxKeep)
	case opts.KeepExpired > 0 && opts.KeepExpired < time.Second:
		return opts, fmt.Errorf("KeepExpired is %v: it is 1s at least, or negative for ever", opts.KeepExpired)
	}
	return opts, nil
}

// isDatabase reports whether every system takes a name for a database.
func isDatabase(name string) bool {
	return len(name) <= 63 && utf8.ValidString(name) && !strings.ContainsAny(name, "/\\. \"$*<>:|?\x00")
}
