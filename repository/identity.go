package repository

import (
	"context"
	"iter"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/whose"
)

// Identity are the entries of one identity, such as a user: in one repository
// ([Responses.Identity]), or in all of a cache (cache.ResponseCache.Identity). Repositories
// that are not settings.PerIdentity have none.
type Identity struct {
	value  string // as it stands in keys
	tables func() []*exchange.Table
}

func init() {
	exchange.IdentityOf = func(value string, tables func() []*exchange.Table) any {
		return &Identity{value, tables}
	}
}

// Identity returns the entries of an identity in the repository. Name is the one of
// identity.With, or of an Identity function.
func (r *Responses) Identity(name string) *Identity {
	return &Identity{whose.Named(name), func() []*exchange.Table { return []*exchange.Table{r.table} }}
}

// Name is the identity's name, empty where a digest of credentials stands for it.
func (i *Identity) Name() string {
	name, _ := whose.Name(i.value)
	return name
}

// Context returns a context whose calls are on behalf of the identity, as identity.With does
// for one that has a name.
func (i *Identity) Context(ctx context.Context) context.Context { return whose.With(ctx, i.value) }

// each calls do for each table that the identity may have entries in.
func (i *Identity) each(ctx context.Context, do func(*exchange.Table) (int, error)) (sum int, err error) {
	for _, declared := range i.tables() {
		if !declared.Scoped() {
			continue
		}
		family, err := declared.Family(ctx)
		if err != nil {
			return sum, err
		}
		for _, t := range family {
			n, err := do(t)
			sum += n
			if err != nil {
				return sum, err
			}
		}
	}
	return sum, nil
}

// Count returns how many entries are in that state. It reads no payloads.
func (i *Identity) Count(ctx context.Context, state State) (int, error) {
	return i.each(ctx, func(t *exchange.Table) (int, error) { return t.CountIdentity(ctx, i.value, state) })
}

// Delete removes all entries, live and expired, and returns how many there were. Responses
// that were requested before and come afterwards are not saved.
func (i *Identity) Delete(ctx context.Context) (int, error) {
	return i.each(ctx, func(t *exchange.Table) (int, error) { return t.ClearIdentity(ctx, i.value, All) })
}

// MoveTo gives all entries to the identity of that name, and returns how many there were.
// If both have an entry of one key, the newer one stays. A move that was interrupted can be
// repeated.
func (i *Identity) MoveTo(ctx context.Context, name string) (int, error) {
	to := whose.Named(name)
	return i.each(ctx, func(t *exchange.Table) (int, error) { return t.MoveIdentity(ctx, i.value, to) })
}

// IdentityEntry is an entry of an identity.
type IdentityEntry struct {
	Repository string
	Key        any // the repository's K
	Entry
}

// Entries yields the entries in that state, repository by repository. An error that ends
// the iteration is its last element.
func (i *Identity) Entries(ctx context.Context, state State) iter.Seq2[IdentityEntry, error] {
	return func(yield func(IdentityEntry, error) bool) {
		for _, declared := range i.tables() {
			if !declared.Scoped() {
				continue
			}
			family, err := declared.Family(ctx)
			if err != nil {
				yield(IdentityEntry{}, err)
				return
			}
			for _, t := range family {
				for e, err := range t.EntriesIdentity(ctx, i.value, state) {
					if !yield(identityEntry(ctx, declared.Name, t, e), err) || err != nil {
						return
					}
				}
			}
		}
	}
}

func identityEntry(ctx context.Context, name string, t *exchange.Table, e driver.Entry) IdentityEntry {
	if t.SharesPayload() {
		e.Payload = append([]byte{}, e.Payload...)
	}
	return IdentityEntry{Repository: name, Key: t.TypedKey(e.Key), Entry: newEntry(ctx, t, e)}
}
