// Package settings describes an endpoint of an API: everything that a repository needs to
// know about it, in one declaration.
package settings

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/expire"
	"github.com/endpointcache/endpointcache/internal/keytype"
	"github.com/endpointcache/endpointcache/internal/redirect"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/redact"
	"github.com/endpointcache/endpointcache/request"
)

// Values of Expire with a meaning of their own.
const (
	// DefaultExpire is how long a response lives where neither its
	// repository nor its cache says otherwise.
	DefaultExpire = 7 * 24 * time.Hour

	// NeverExpire keeps responses until they are deleted.
	NeverExpire time.Duration = -1
)

// RepositorySettings describes the responses of one endpoint: K is the key by
// which they are told apart, V the value that a response's body holds.
//
// K is a struct, or a single value. Its fields are strings, integers, bools or types made
// of these, or they have their own text form: a type with the methods MarshalText and
// UnmarshalText, such as [net/netip.Addr], is stored and sent as that text. An array or
// another type without them is an error.
//
// If two times are the same instant in different zones, they have different texts, and so
// are two keys, because an API may answer in the zone of the request. To make them one key,
// convert them to one zone, for instance with [time.Time.UTC].
//
// Each field becomes a column of the table's primary key, in the order of declaration. The
// column's name comes from the field's column tag, or else from its path, query, header or
// body tag, or else from the field's own name, in snake case. If a store uses that name
// itself, key_ is put before it. The column of a single value is called key.
type RepositorySettings[K comparable, V any] struct {
	// Name is the repository's name in its cache and the table's in the
	// store. Names that differ only in case cannot be used side by side.
	Name string

	// Version is that of the declaration, 1 or more; 0 is none. The store remembers it: raise it
	// with each change after which the stored bodies are not those of the endpoint any more, or
	// cannot be decoded. If the store remembers no version, or none is set here, the endpoint
	// and the name of V tell whether the declaration has changed. Another key is a change in any
	// case.
	Version int

	// Migrations lead here from older declarations: see [MigrateFrom] and [MigrateKeys]. The
	// first that applies is taken; its own settings may have migrations, too, so that one leads
	// to the next. Fields that were added to K need none if a request may lack them; see
	// [MigrateKeys]. No migration leads to a lower version.
	Migrations []Migration[K, V]

	// Changed says what happens to the entries of another declaration from which no migration
	// leads here. The default is an error.
	Changed Change

	// Pattern describes the endpoint's requests, as "GET /v1/tracks/{id}" does. It
	// is short for an Endpoint that is a [request.Pattern] without options; only
	// one of the two is set.
	Pattern string

	// Endpoint takes keys from requests and makes requests for keys. If it is nil and
	// Pattern is empty, the repository can only be used with keys: no request belongs to
	// it.
	Endpoint request.Endpoint[K]

	// Batch asks for many keys with one request, if the API supports that. It may be nil.
	// Each item is stored under its key as if it had been requested alone.
	Batch request.Batch[K]

	// Payload converts between bodies and values. Nil stands for [payload.JSON], even if V
	// is a string or bytes. For plain text use [payload.String], and for bytes
	// [payload.Bytes].
	Payload payload.Handler[V]

	// RedirectHosts are other hosts that may answer for the endpoint if a redirect leads
	// there: "cdn.example.com", "*.example.com" (one label or more), "localhost:8080", or "*"
	// for any. The answer of another host is returned, but not kept. Neither is one over
	// http if https was asked, unless a pattern says so: "http://cdn.example.com". No
	// secrets are sent to these hosts, either.
	RedirectHosts []string

	// NameOf returns a readable name for a value, which is stored with it. It may be nil;
	// names are then empty.
	NameOf func(V) string

	// Tags returns the tags of an entry, by which many entries of several repositories are
	// made old at once, however many they are: see InvalidateTags of the cache. For an entry
	// without a value, such as a remembered absence, it gets the zero value of V. It is
	// called when an entry is saved; entries saved before it was declared have no tags. It
	// may be nil; reads then cost nothing more.
	Tags func(K, V) []string

	// Expire is how long a response lives from when the origin answered, or from when a
	// call such as Save stores it. Zero means the cache's own setting, and [NeverExpire]
	// means for ever.
	Expire time.Duration

	// ExpireAbsent is how long it is remembered that the API has nothing for a key, so that
	// it is not asked again. Zero means not at all, and [NeverExpire] means for ever. It is
	// shorthand for a [policy.Policy] whose ExpireStatus has 404 and 410.
	ExpireAbsent time.Duration

	// Scope says who may be given a stored response: everybody ([Shared]), or only the
	// identity on whose behalf it was requested ([PerIdentity]). It has to be declared if
	// requests carry credentials that are no part of the key; see [Scope].
	Scope Scope

	// Identity returns on whose behalf a request is made, or an empty string if the request
	// does not tell. It applies to repositories that are PerIdentity, if the call's context
	// names no identity. The default is that of the cache, or else a digest of the request's
	// credentials. Many goroutines may call it at once.
	Identity func(*http.Request) string

	// BaseURL is that of the API whose responses these are, such as
	// "https://api.example.com". Responses of one origin are never served for another: each
	// has a table of its own, and typed calls are about this one's. The default is that of
	// the cache, or of the client of package fetch, or else the first that a request is for.
	// With [AnyBaseURL], all origins share one table.
	BaseURL string

	// Compression says how bodies are kept in the store, where nothing else is said: as they
	// come. A repository reads both kinds, whatever is declared.
	Compression Compression

	// Redact says what of responses is not stored, besides what never is, and besides what
	// the cache's options say.
	Redact redact.Rules

	// Policy says more about what is cached and for how long. Each of its fields applies if
	// no policy of a call sets it, and takes precedence over the cache's.
	Policy policy.Policy

	// Limit bounds how much the repository keeps, in the table of each origin. It needs a
	// cache, which evicts in the background. Of responses with Vary, only the latest of each
	// key counts here; the others count in the cache's limit. The default is no limit but that.
	Limit Limit
}

// Validate reports what keeps a repository from being made of the settings.
func (s RepositorySettings[K, V]) Validate() error {
	_, err := s.Resolve()
	return err
}

// Resolve returns valid settings with what they stand for: Endpoint in place of
// Pattern, and Payload. The error is that of Validate. To resolve again changes
// nothing.
func (s RepositorySettings[K, V]) Resolve() (RepositorySettings[K, V], error) {
	err := s.expand()
	if err == nil {
		err = s.validate()
	}
	if err != nil {
		return s, fmt.Errorf("settings: repository %q: %w", s.Name, err)
	}
	return s, nil
}

func (s *RepositorySettings[K, V]) expand() error {
	if s.Payload == nil {
		s.Payload = payload.JSON[V]()
	}
	if s.Pattern == "" {
		return nil
	}
	if s.Endpoint != nil {
		return errors.New("both Pattern and Endpoint are set")
	}
	s.Endpoint, s.Pattern = request.Pattern[K](s.Pattern), ""
	return nil
}

func (s RepositorySettings[K, V]) validate() error {
	key, err := keytype.Of[K]()
	if err != nil {
		return err
	}
	if err := (driver.TableSpec{Name: s.Name, Key: key.Columns()}).Validate(); err != nil {
		return err
	}
	if s.Endpoint != nil {
		if err := s.Endpoint.Validate(); err != nil {
			return err
		}
	}
	if s.Batch != nil {
		if err := s.Batch.Validate(); err != nil {
			return err
		}
	}
	if _, err := redirect.ParseHosts(s.RedirectHosts); err != nil {
		return fmt.Errorf("RedirectHosts: %w", err)
	}
	if err := s.Redact.Validate(); err != nil {
		return err
	}
	if err := s.Compression.validate(); err != nil {
		return err
	}
	if err := expire.Validate(s.ExpireAbsent); err != nil {
		return fmt.Errorf("ExpireAbsent: %w", err)
	}
	if err := s.validateScope(key.Columns()); err != nil {
		return err
	}
	if err := s.validateVersion(); err != nil {
		return err
	}
	if err := s.Policy.Validate(); err != nil {
		return err
	}
	if err := s.Limit.Validate(); err != nil {
		return err
	}
	return expire.Validate(s.Expire)
}
