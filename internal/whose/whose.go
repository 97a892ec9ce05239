// Package whose is how keys and contexts have an identity: by its name, or by a digest of the
// credentials that stand for it. No name has the value of a digest.
package whose

import (
	"context"
	"strings"
)

// Column is the name of the first key column of a table that is settings.PerIdentity.
const Column = "identity"

// mark begins the value of a digest. A name that begins with it gets another one before it.
const mark = "~"

// Named is the value of an identity of that name.
func Named(name string) string {
	if strings.HasPrefix(name, mark) {
		return mark + name
	}
	return name
}

// Digested is the value of an identity whose credentials have that digest, which does not
// begin with the mark.
func Digested(digest string) string { return mark + digest }

// Name is the name of the identity that has a value; ok is false for a digest.
func Name(value string) (name string, ok bool) {
	rest, marked := strings.CutPrefix(value, mark)
	switch {
	case !marked:
		return value, value != ""
	case strings.HasPrefix(rest, mark):
		return rest, true
	}
	return "", false
}

type contextKey struct{}

// With returns a context that is on behalf of the identity with a value.
func With(ctx context.Context, value string) context.Context {
	return context.WithValue(ctx, contextKey{}, value)
}

// Of is the value of the identity on whose behalf ctx is, empty where there is none.
func Of(ctx context.Context) string {
	value, _ := ctx.Value(contextKey{}).(string)
	return value
}
