// Package storeurl opens a store by a URL, out of a set of kinds that the program is
// built with. Package store has all of them; [Embedded] are those that need no server,
// and none of their clients.
package storeurl

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/filesystem"
	"github.com/endpointcache/endpointcache/internal/homepath"
	"github.com/endpointcache/endpointcache/internal/readonly"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/sqlite"
)

// Kind is a kind of store.
type Kind struct {
	Name    string   // see driver.Traits
	Schemes []string // of its URLs, in lower case
	Form    string   // what a URL looks like
	OnDisk  bool     // it has the path of a file or a folder

	// Open opens the store at address.
	Open func(ctx context.Context, address string, o Options) (driver.Store, error)
}

// Options are those that all stores have, see package store.
type Options struct {
	Name     string // keeps its tables apart from those of others on one server; may be empty
	ReadOnly bool
}

// Set are kinds of stores whose schemes differ.
type Set []Kind

// Embedded are the stores that need no server.
var Embedded = Set{
	{"sqlite", []string{"sqlite"}, "sqlite:file", true, openSQLite},
	{"memory", []string{"memory"}, "memory:", false, openMemory},
	{"filesystem", []string{"file"}, "file:folder", true, openFolder},
}

// Forms are what the URLs look like that [Set.Open] takes, one for each kind.
func (s Set) Forms() []string {
	forms := make([]string, len(s))
	for i, k := range s {
		forms[i] = k.Form
	}
	return forms
}

// Kind is the kind of store that the scheme of address tells, or nil.
func (s Set) Kind(address string) *Kind {
	scheme, _, ok := strings.Cut(address, ":")
	for i, k := range s {
		if ok && slices.Contains(k.Schemes, strings.ToLower(scheme)) {
			return &s[i]
		}
	}
	return nil
}

// Path is where the file or folder of address is, or empty where it has none.
func (s Set) Path(address string) string {
	kind := s.Kind(address)
	if kind == nil || !kind.OnDisk {
		return ""
	}
	path, _, err := pathOf(address)
	if err != nil {
		return ""
	}
	path, err = homepath.Expand(path)
	if err != nil {
		return ""
	}
	return path
}

// Open opens the store at address. Its own errors do not tell the address, which may
// have a password.
func (s Set) Open(ctx context.Context, address string, o Options) (driver.Store, error) {
	kind := s.Kind(address)
	if kind == nil {
		forms := strings.Join(s.Forms(), ", ")
		if !strings.Contains(address, ":") {
			return nil, fmt.Errorf("store: the URL is none of %s: for a file such as music.db, write sqlite:music.db", forms)
		}
		return nil, fmt.Errorf("store: the URL is none of %s", forms)
	}
	scheme, rest, _ := strings.Cut(address, ":")
	return kind.Open(ctx, strings.ToLower(scheme)+":"+rest, o) // not all clients take capitals
}

// Opened makes a store of any package a driver.Store, nil where there is an error.
func Opened[S driver.Store](store S, err error) (driver.Store, error) {
	if err != nil {
		return nil, err
	}
	return store, nil
}

func openSQLite(ctx context.Context, address string, o Options) (driver.Store, error) {
	path, parameters, err := pathOf(address)
	if err != nil {
		return nil, err
	}
	opts := &sqlite.Options{ReadOnly: o.ReadOnly}
	for name, values := range parameters {
		if name != "mode" || len(values) != 1 || values[0] != "ro" {
			return nil, errors.New("store: sqlite: takes no parameter but mode=ro, as in sqlite:path?mode=ro or sqlite:///path?mode=ro")
		}
		opts.ReadOnly = true
	}
	if path == ":memory:" && !opts.ReadOnly {
		return Opened(sqlite.OpenMemory(ctx, nil))
	}
	return Opened(sqlite.Open(ctx, path, opts))
}

// openMemory opens a store that is empty, also to be read: nobody else can have filled it.
func openMemory(_ context.Context, address string, o Options) (driver.Store, error) {
	if _, rest, _ := strings.Cut(address, ":"); rest != "" {
		return nil, errors.New("store: memory: takes no name")
	}
	s, err := Opened(memory.New(nil))
	if err == nil && o.ReadOnly {
		s = readonly.Store(s)
	}
	return s, err
}

func openFolder(ctx context.Context, address string, o Options) (driver.Store, error) {
	path, parameters, err := pathOf(address)
	if err != nil {
		return nil, err
	}
	if len(parameters) > 0 {
		return nil, errors.New("store: file: takes no parameters: the URL is of the form file:path or file:///path")
	}
	return Opened(filesystem.Open(ctx, path, &filesystem.Options{ReadOnly: o.ReadOnly}))
}

// pathOf is the path in the URL of a file, and what follows a question mark, if that has
// the form of parameters: in a name, it has not.
func pathOf(address string) (path string, parameters url.Values, err error) {
	scheme, path, _ := strings.Cut(address, ":")
	if strings.HasPrefix(path, "//") {
		u, err := url.Parse(address)
		if err != nil || u.Host != "" || u.Fragment != "" {
			return "", nil, fmt.Errorf("store: the URL is not of the form %s:path or %[1]s:///path", scheme)
		}
		path = u.Path
		if drive := strings.TrimPrefix(path, "/"); len(drive) > 1 && drive[1] == ':' {
			path = drive // file:///C:/folder
		}
		parameters, err = url.ParseQuery(u.RawQuery)
		if err != nil {
			return "", nil, fmt.Errorf("store: %s: has parameters that cannot be read", scheme)
		}
	} else if i := strings.LastIndexByte(path, '?'); i >= 0 && strings.Contains(path[i:], "=") {
		if parameters, err = url.ParseQuery(path[i+1:]); err != nil {
			return "", nil, fmt.Errorf("store: %s: has parameters that cannot be read", scheme)
		}
		path = path[:i]
	} else if i >= 0 && !strings.ContainsAny(path[i:], "./\\") {
		return "", nil, fmt.Errorf("store: %s: has a question mark that no parameter follows: a name with one is %[1]s:///path, with %%3F", scheme)
	}
	if path == "" {
		return "", nil, fmt.Errorf("store: %s: is without a path", scheme)
	}
	return path, parameters, nil
}
