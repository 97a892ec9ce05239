package job

import (
	"archive/zip"
	"bytes"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"

	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/settings"
)

// The endpoints of the Go module proxy protocol, each with the table that keeps
// its responses. See https://go.dev/ref/mod#goproxy-protocol.

// ModuleKey is a primary key of one column, VersionKey of two. They hold module
// and version as the protocol writes them, with "!azure" for "Azure".
type (
	ModuleKey struct {
		Module string `path:"module"`
	}
	VersionKey struct {
		Module  string `path:"module"`
		Version string `path:"version"`
	}
)

func (k ModuleKey) String() string  { return k.Module }
func (k VersionKey) String() string { return k.Module + "@" + k.Version }

// Mirrors answer alike, so what one has answered is used for all of them.

// List is text: the versions of a module, one a line. New ones are published, so
// it expires soon.
var List = settings.RepositorySettings[ModuleKey, string]{
	Name:    "list",
	BaseURL: settings.AnyBaseURL,
	Pattern: "GET /{module...}/@v/list",
	Payload: payload.String(),
	NameOf:  latest,
	Expire:  24 * time.Hour,
}

// Info is JSON. A proxy may add to it what it has learned, so it expires, and as
// it does not say when, after the cache's default of a week.
var Info = settings.RepositorySettings[VersionKey, VersionInfo]{
	Name:    "info",
	BaseURL: settings.AnyBaseURL,
	Pattern: "GET /{module...}/@v/{version}.info",
	NameOf:  func(i VersionInfo) string { return i.Version + " of " + i.Time.Format(time.DateOnly) },
}

// VersionInfo is the part of an .info file that the protocol promises. The table
// keeps the whole file.
type VersionInfo struct {
	Version string
	Time    time.Time
}

// Mod is text: the go.mod file of a version, which never changes.
var Mod = settings.RepositorySettings[VersionKey, string]{
	Name:    "mod",
	BaseURL: settings.AnyBaseURL,
	Pattern: "GET /{module...}/@v/{version}.mod",
	Payload: payload.String(),
	NameOf:  func(file string) string { return modfile.ModulePath([]byte(file)) },
	Expire:  settings.NeverExpire,
}

// Zip is binary: the source code of a version, which never changes.
var Zip = settings.RepositorySettings[VersionKey, []byte]{
	Name:    "zip",
	BaseURL: settings.AnyBaseURL,
	Pattern: "GET /{module...}/@v/{version}.zip",
	Payload: payload.Bytes(),
	NameOf:  zipRoot,
	Expire:  settings.NeverExpire,
}

// latest names a list by its greatest version.
func latest(list string) string {
	versions := strings.Fields(list)
	if len(versions) == 0 {
		return "no tagged version"
	}
	semver.Sort(versions)
	return fmt.Sprintf("%s, the latest of %d", versions[len(versions)-1], len(versions))
}

// zipRoot names a module's zip by what the names of all files in it begin with:
// the module and the version, as in golang.org/x/mod@v0.33.0.
func zipRoot(file []byte) string {
	r, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil || len(r.File) == 0 {
		return ""
	}
	module, rest, _ := strings.Cut(r.File[0].Name, "@")
	version, _, _ := strings.Cut(rest, "/")
	return module + "@" + version
}
