package repository

import (
	"context"
	"iter"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/exchange"
)

// Item is an entry of a repository with its key and value. A value of bytes may
// be Payload itself: changing one changes the other.
type Item[K comparable, V any] struct {
	Key   K
	Value V
	Entry
}

// Keys yields the keys of the live values in the store's order: those of the identity of
// ctx, in a repository that is settings.PerIdentity. The loop's body
// may use the repository, also to write. An entry that is not touched meanwhile
// is yielded once, others perhaps. An error that ends the iteration is its last
// element.
func (r *ResponseRepository[K, V]) Keys(ctx context.Context, opts ...ReadOption) iter.Seq2[K, error] {
	return func(yield func(K, error) bool) {
		table, sel, err := r.scoped(ctx, r.selection(0, opts))
		if err != nil {
			var none K
			yield(none, err)
			return
		}
		for e, err := range table.Entries(ctx, sel) {
			if err == nil && !exchange.HasValue(e.Status) {
				continue
			}
			var key K
			if err == nil {
				key, err = r.typedKey(e.Key)
			}
			if !yield(key, err) {
				return
			}
		}
	}
}

// All yields the live values with their entries, as [ResponseRepository.Keys]
// does the keys. The error of an entry that cannot be decoded comes with its key
// and does not end the iteration.
func (r *ResponseRepository[K, V]) All(ctx context.Context, opts ...ReadOption) iter.Seq2[Item[K, V], error] {
	return func(yield func(Item[K, V], error) bool) {
		table, sel, err := r.scoped(ctx, r.selection(driver.Payload|driver.Meta, opts))
		if err != nil {
			yield(Item[K, V]{}, err)
			return
		}
		for e, err := range table.Entries(ctx, sel) {
			if err == nil && !exchange.HasValue(e.Status) {
				continue
			}
			var item Item[K, V]
			if err == nil {
				item, err = r.item(ctx, e)
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

// scoped restricts a selection to the identity of ctx, if the table keeps identities apart.
func (r *ResponseRepository[K, V]) scoped(ctx context.Context, sel driver.Selection) (*exchange.Table, driver.Selection, error) {
	var err error
	if sel.Leading, err = r.identify(ctx, nil); err != nil {
		return nil, sel, err
	}
	table, err := r.view(ctx)
	return table, sel, err
}

func (r *ResponseRepository[K, V]) item(ctx context.Context, e driver.Entry) (Item[K, V], error) {
	key, err := r.typedKey(e.Key)
	if err != nil {
		return Item[K, V]{}, err
	}
	e.Payload = r.own(e.Payload)
	item := Item[K, V]{Key: key, Entry: newEntry(ctx, r.table, e)}
	item.Value, err = r.decode(key, e.Payload)
	return item, err
}
