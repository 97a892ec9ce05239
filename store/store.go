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
// The URL of a server is what the client for that server takes; the Open functions of these
// packages document the details.
//
// This package imports all stores and their clients. A program that knows its store imports
// only that store's package, which also has more settings.
package store

import (
	"context"
	"slices"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/dynamodb"
	"github.com/endpointcache/endpointcache/internal/storeurl"
	"github.com/endpointcache/endpointcache/mongodb"
	"github.com/endpointcache/endpointcache/postgres"
	"github.com/endpointcache/endpointcache/redis"
)

// Options are the settings of all stores. A nil *Options means the defaults.
type Options struct {
	// Name keeps the program's tables apart from those of others on one server:
	// it is the schema in PostgreSQL, the prefix of the keys in Redis, that of the
	// collections in MongoDB, before a dot, and the namespace in DynamoDB. The
	// default is each store's own. Files, folders and memory are one program's.
	Name string

	// ReadOnly opens what is there to be read, and changes nothing at its place: it makes no
	// file, folder, schema, table, index or key, and brings nothing of an earlier version up to
	// date. Whatever would change something returns [driver.ErrReadOnly], wrapped; so does
	// opening a table that is not there. Where there is no cache, because the file, folder,
	// schema or database is absent or has no table of one, Open returns [driver.ErrAbsent],
	// wrapped. Memory is then empty for ever.
	ReadOnly bool
}

// kinds are the stores, by the schemes of their URLs.
var kinds = slices.Concat(storeurl.Embedded, storeurl.Set{
	{Name: "postgres", Schemes: []string{"postgres", "postgresql"}, Form: "postgres://host/database",
		Open: func(ctx context.Context, address string, o storeurl.Options) (driver.Store, error) {
			return storeurl.Opened(postgres.Open(ctx, address, &postgres.Options{Schema: o.Name, ReadOnly: o.ReadOnly}))
		}},
	{Name: "redis", Schemes: []string{"redis", "rediss", "valkey", "valkeys"}, Form: "redis://host",
		Open: func(ctx context.Context, address string, o storeurl.Options) (driver.Store, error) {
			return storeurl.Opened(redis.Open(ctx, address, &redis.Options{Prefix: o.Name, ReadOnly: o.ReadOnly}))
		}},
	{Name: "mongodb", Schemes: []string{"mongodb", "mongodb+srv"}, Form: "mongodb://host/database",
		Open: func(ctx context.Context, address string, o storeurl.Options) (driver.Store, error) {
			prefix := o.Name
			if prefix != "" {
				prefix += "."
			}
			return storeurl.Opened(mongodb.Open(ctx, address, &mongodb.Options{Prefix: prefix, ReadOnly: o.ReadOnly}))
		}},
	{Name: "dynamodb", Schemes: []string{"dynamodb"}, Form: "dynamodb://?region=name",
		Open: func(ctx context.Context, address string, o storeurl.Options) (driver.Store, error) {
			return storeurl.Opened(dynamodb.Open(ctx, address, &dynamodb.Options{Namespace: o.Name, ReadOnly: o.ReadOnly}))
		}},
})

// Forms are what the URLs look like that [Open] takes, one for each kind of store, for
// the help of a program.
func Forms() []string { return kinds.Forms() }

// Kind is the kind of store that the scheme of address tells, as in
// [driver.Traits], or empty where it is none of ours.
func Kind(address string) string {
	if kind := kinds.Kind(address); kind != nil {
		return kind.Name
	}
	return ""
}

// Path is where the file or folder of address is on this machine, with the user's home folder in
// place of a leading ~, or empty where the store has none.
func Path(address string) string { return kinds.Path(address) }

// Open opens the store at address, which the caller closes. The paths of sqlite: and
// file: are taken as they are; after sqlite:/// and file:///, they are those of a
// URL, in which %20 is a space. ?mode=ro of a SQLite file is ReadOnly; other
// parameters are errors. Errors do not tell the address, which may have a
// password.
func Open(ctx context.Context, address string, opts *Options) (driver.Store, error) {
	if opts == nil {
		opts = &Options{}
	}
	return kinds.Open(ctx, address, storeurl.Options(*opts))
}
