package declared

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strconv"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/whose"
	"github.com/endpointcache/endpointcache/settings"
)

// The kinds of record that tell of a repository's tables: of its declaration, of the origin
// that the table of its name belongs to, and, behind OtherOrigins and the repository's name, of
// the other origins that have a table.
const (
	Declaration  = "declaration"
	FirstOrigin  = "origin"
	OtherOrigins = "sibling:"
)

// Own reports whether a table of that name is one that caches keep for themselves.
func Own(name string) bool {
	folded := strings.ToLower(name)
	return strings.HasPrefix(folded, "endpointcache_") || folded == VariantsTable
}

// VariantsTable is the name of the table for the variants of responses with Vary besides
// the latest one, which is in the endpoint's own.
const VariantsTable = "http_variants"

// mostName is within what the names of tables may have.
const mostName = 200

// HomeTable is the name of the repository's table of a number, for the first origin.
func HomeTable(repository string, number int) string {
	if number <= 1 {
		return repository
	}
	suffix := "~" + strconv.Itoa(number)
	if len(repository)+len(suffix) <= mostName {
		return repository + suffix
	}
	return shortened(repository, repository) + suffix
}

// OriginTable is the name of the table for another origin beside a home table. Its spelling is
// one that all stores can tell from others.
func OriginTable(home, origin string) string {
	name := home + "@" + origin
	plain := !strings.ContainsFunc(origin, func(r rune) bool { return r <= ' ' || r > '~' || 'A' <= r && r <= 'Z' })
	if plain && len(name) <= mostName {
		return name
	}
	return shortened(home, name)
}

// shortened is a name of bounded length that begins as one does and is another for each whole.
func shortened(begin, whole string) string {
	sum := sha256.Sum256([]byte(whole))
	return strings.ToValidUTF8(begin[:min(len(begin), mostName-40)], "") + "@" + hex.EncodeToString(sum[:16])
}

var numbered = regexp.MustCompile(`~[0-9]+$`)

// Derived reports whether a name may be that of a table which has another than its
// repository's.
func Derived(name string) bool {
	_, origin, _ := strings.Cut(name, "@")
	return strings.Contains(origin, "://") || numbered.MatchString(name)
}

// numberOf is the number of the repository's home table that has that name.
func numberOf(repository, name string) (number int, ok bool) {
	if name == repository {
		return 1, true
	}
	number, err := strconv.Atoi(strings.TrimPrefix(numbered.FindString(name), "~"))
	return number, err == nil && HomeTable(repository, number) == name
}

// base is the name of the repository that a derived name begins with.
func base(name string) string {
	name, _, _ = strings.Cut(name, "@")
	return numbered.ReplaceAllString(name, "")
}

// unnumbered is the name that a table of that name would have without a change of the
// declaration.
func unnumbered(name string) string {
	_, origin, found := strings.Cut(name, "@")
	if !found {
		return base(name)
	}
	return OriginTable(base(name), origin)
}

// table is the name of the repository's table of a number for an origin, empty for the first.
func table(repository string, number int, origin string) string {
	home := HomeTable(repository, number)
	if origin == "" {
		return home
	}
	return OriginTable(home, origin)
}

// Columns are the key columns of the tables of a declaration.
func Columns(d settings.Declaration) []driver.Column {
	if d.Scope != settings.PerIdentity {
		return d.Key
	}
	return append([]driver.Column{{Name: whose.Column, Kind: driver.String}}, d.Key...)
}
