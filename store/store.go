// Package store opens any of the library's stores by a URL, for programs whose users
// choose one: in a flag or a setting.
//
//	sqlite:music.db                          a SQLite file, see package sqlite
//	memory:                                  this process's memory, see package memory
//	file:music                               a folder, see package filesystem
//	postgres://user:password@host/database   see package postgres
//	redis://user:password@host:6379          see package redis
//	mongodb://user:password@host/database    see package mongodb
//	dynamodb://?region=eu-central-1          see package dynamodb
//
// The URLs of servers are what the client of that server takes; the functions
// named Open of these packages tell what can be in them.
//
// It imports all stores, and their clients. A program that knows its store imports
// that one instead, which also has more settings.
package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/dynamodb"
	"github.com/endpointcache/endpointcache/filesystem"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/mongodb"
	"github.com/endpointcache/endpointcache/postgres"
	"github.com/endpointcache/endpointcache/redis"
	"github.com/endpointcache/endpointcache/sqlite"
)

// Options are the settings of all stores. A nil *Options means the defaults.
type Options struct {
	// Name keeps the program's tables apart from those of others on one server:
	// it is the schema in PostgreSQL, the prefix of the keys in Redis, that of the
	// collections in MongoDB, before a dot, and the namespace in DynamoDB. The
	// default is each store's own. Files, folders and memory are one program's.
	Name string
}

// kinds are the stores, by the schemes of their URLs.
var kinds = []struct {
	name    string // see driver.Traits
	schemes []string
	form    string // what a URL looks like
	open    func(ctx context.Context, address, name string) (driver.Store, error)
}{
	{"sqlite", []string{"sqlite"}, "sqlite:file", openSQLite},
	{"memory", []string{"memory"}, "memory:", openMemory},
	{"filesystem", []string{"file"}, "file:folder", openFolder},
	{"postgres", []string{"postgres", "postgresql"}, "postgres://host/database", func(ctx context.Context, address, name string) (driver.Store, error) {
		return opened(postgres.Open(ctx, address, &postgres.Options{Schema: name}))
	}},
	{"redis", []string{"redis", "rediss", "valkey", "valkeys"}, "redis://host", func(ctx context.Context, address, name string) (driver.Store, error) {
		return opened(redis.Open(ctx, address, &redis.Options{Prefix: name}))
	}},
	{"mongodb", []string{"mongodb", "mongodb+srv"}, "mongodb://host/database", func(ctx context.Context, address, name string) (driver.Store, error) {
		if name != "" {
			name += "."
		}
		return opened(mongodb.Open(ctx, address, &mongodb.Options{Prefix: name}))
	}},
	{"dynamodb", []string{"dynamodb"}, "dynamodb://?region=name", func(ctx context.Context, address, name string) (driver.Store, error) {
		return opened(dynamodb.Open(ctx, address, &dynamodb.Options{Namespace: name}))
	}},
}

// Forms are what the URLs look like that [Open] takes, one for each kind of store, for
// the help of a program.
func Forms() []string {
	forms := make([]string, len(kinds))
	for i, k := range kinds {
		forms[i] = k.form
	}
	return forms
}

// Kind is the kind of store that the scheme of address tells, as in
// [driver.Traits], or empty where it is none of ours.
func Kind(address string) string {
	if i := kindOf(address); i >= 0 {
		return kinds[i].name
	}
	return ""
}

// kindOf is the index in kinds, or -1.
func kindOf(address string) int {
	scheme, _, ok := strings.Cut(address, ":")
	for i, k := range kinds {
		if ok && slices.Contains(k.schemes, strings.ToLower(scheme)) {
			return i
		}
	}
	return -1
}

// Open opens the store at address, which the caller closes. The paths of sqlite: and
// file: are taken as they are; after sqlite:/// and file:///, they are those of a
// URL, in which %20 is a space. Errors do not tell the address, which may have a
// password.
func Open(ctx context.Context, address string, opts *Options) (driver.Store, error) {
	if opts == nil {
		opts = &Options{}
	}
	i := kindOf(address)
	if i < 0 {
		return nil, fmt.Errorf("store: the URL is none of %s", strings.Join(Forms(), ", "))
	}
	return kinds[i].open(ctx, address, opts.Name)
}

// opened makes a store of any package a driver.Store, nil where there is an error.
func opened[S driver.Store](store S, err error) (driver.Store, error) {
	if err != nil {
		return nil, err
	}
	return store, nil
}

func openSQLite(ctx context.Context, address, _ string) (driver.Store, error) {
	path, err := pathOf(address)
	if err != nil {
		return nil, err
	}
	if path == ":memory:" {
		return opened(sqlite.OpenMemory(ctx, nil))
	}
	return opened(sqlite.Open(ctx, path, nil))
}

func openMemory(_ context.Context, address, _ string) (driver.Store, error) {
	if _, rest, _ := strings.Cut(address, ":"); rest != "" {
		return nil, errors.New("store: nothing follows memory:")
	}
	return opened(memory.New(nil))
}

func openFolder(ctx context.Context, address, _ string) (driver.Store, error) {
	path, err := pathOf(address)
	if err != nil {
		return nil, err
	}
	return opened(filesystem.Open(ctx, path, nil))
}

// pathOf is the path in the URL of a file.
func pathOf(address string) (string, error) {
	scheme, path, _ := strings.Cut(address, ":")
	if strings.HasPrefix(path, "//") {
		u, err := url.Parse(address)
		if err != nil || u.Host != "" || u.RawQuery != "" || u.Fragment != "" {
			return "", fmt.Errorf("store: the URL is not of the form %s:path or %[1]s:///path", scheme)
		}
		path = u.Path
		if drive := strings.TrimPrefix(path, "/"); len(drive) > 1 && drive[1] == ':' {
			path = drive // file:///C:/folder
		}
	}
	if path == "" {
		return "", fmt.Errorf("store: %s: is without a path", scheme)
	}
	return path, nil
}
