package settings

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"

	"github.com/endpointcache/endpointcache/internal/endpoint"
	"github.com/endpointcache/endpointcache/internal/keytype"
	"github.com/endpointcache/endpointcache/request"
)

// WriteSettings describes requests that change what an API says elsewhere, and what of the
// stored responses they make old. K is what a request is about, such as the id in its path;
// it is struct{} where that makes no difference.
//
// Beyond what is declared here, a write makes its own URL old, and those that its response
// points to.
type WriteSettings[K comparable] struct {
	// Pattern describes the requests, as "POST /v1/playlists/{id}/tracks" or
	// "PUT|DELETE /v1/playlists/{id}" does. Parameters of the query that K lacks make no
	// difference, nor does what K lacks of the body.
	Pattern string

	// Endpoint takes keys from requests, in place of Pattern.
	Endpoint request.Endpoint[K]

	// Invalidates are entries by their keys, see [InvalidateKeys].
	Invalidates []Invalidation[K]

	// InvalidatesAll are repositories all of whose entries are old. If such a repository
	// declares Tags, that is one write; otherwise its entries are removed.
	InvalidatesAll []string

	// InvalidatesTags returns tags: all entries with one of them are old. It may be nil.
	InvalidatesTags func(K) []string
}

// Invalidation is what a write makes old in one repository.
type Invalidation[K comparable] struct {
	repository string
	keyType    reflect.Type
	keys       func(K) []any
}

// InvalidateKeys are the entries of a repository whose keys a function returns for what the
// write was about. R is the repository's type of keys.
func InvalidateKeys[K, R comparable](repository string, keys func(K) []R) Invalidation[K] {
	inv := Invalidation[K]{repository: repository, keyType: reflect.TypeFor[R]()}
	if keys == nil {
		return inv
	}
	inv.keys = func(about K) []any {
		typed := keys(about)
		list := make([]any, len(typed))
		for i, key := range typed {
			list[i] = key
		}
		return list
	}
	return inv
}

// Repository is the repository's name.
func (i Invalidation[K]) Repository() string { return i.repository }

// KeyType is the repository's type of keys.
func (i Invalidation[K]) KeyType() reflect.Type { return i.keyType }

// Keys are the keys of the entries that are old.
func (i Invalidation[K]) Keys(about K) []any { return i.keys(about) }

// Validate reports what is wrong with the settings by themselves.
func (w WriteSettings[K]) Validate() error {
	_, err := w.Resolve()
	return err
}

// Resolve returns valid settings with Endpoint in place of Pattern. The error is that of
// Validate. To resolve again changes nothing.
func (w WriteSettings[K]) Resolve() (WriteSettings[K], error) {
	name := w.Pattern
	err := w.expand()
	if err == nil {
		err = w.validate()
	}
	if err != nil {
		return w, fmt.Errorf("settings: write %q: %w", name, err)
	}
	return w, nil
}

func (w *WriteSettings[K]) expand() error {
	switch {
	case w.Pattern != "" && w.Endpoint != nil:
		return errors.New("both Pattern and Endpoint are set")
	case w.Endpoint != nil:
		return nil
	case w.Pattern == "":
		return errors.New("neither Pattern nor Endpoint is set")
	}
	body := request.IgnoreBody()
	if hasField[K]("body") {
		body = request.IgnoreMembers("*")
	}
	w.Endpoint, w.Pattern = request.Pattern[K](w.Pattern, request.IgnoreAnyQuery(), body, request.ShareMethods()), ""
	if err := w.Endpoint.Validate(); err == nil && len(endpoint.MethodsOf(w.Endpoint)) == 0 {
		return errors.New(`the pattern names no method, as "POST /v1/playlists" does`)
	}
	return nil
}

// hasField reports whether K has a field with that tag.
func hasField[K comparable](tag string) bool {
	key, err := keytype.Of[K]()
	return err == nil && slices.ContainsFunc(key.Fields, func(f keytype.Field) bool {
		_, ok := f.Tag.Lookup(tag)
		return ok
	})
}

func (w *WriteSettings[K]) validate() error {
	if err := w.Endpoint.Validate(); err != nil {
		return err
	}
	for _, method := range endpoint.MethodsOf(w.Endpoint) {
		if method == http.MethodGet || method == http.MethodHead {
			return fmt.Errorf("a %s writes nothing", method)
		}
	}
	for _, inv := range w.Invalidates {
		if inv.keys == nil {
			return fmt.Errorf("Invalidates: there is no function for the keys of %q", inv.repository)
		}
	}
	if len(w.Invalidates) == 0 && len(w.InvalidatesAll) == 0 && w.InvalidatesTags == nil {
		return errors.New("it invalidates nothing")
	}
	return nil
}
