package request

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// Batch makes one request for many keys, where an API has such a thing, and takes
// its answer apart. Many goroutines may use it at once.
type Batch[K comparable] interface {
	// Size is how many keys a request can be for, at most: 2 or more.
	Size() int

	// Group tells which keys a request can be for: those of one group, which
	// is a comparable value. ok is false for a key that no batch can be for;
	// it can be asked for by the [Endpoint] alone.
	Group(key K) (group any, ok bool)

	// Request builds the request for keys. The caller guarantees that they are
	// of one group, no two are equal, and there are from 1 to Size of them.
	// base is as it is for an [Endpoint].
	Request(ctx context.Context, base *url.URL, keys []K) (*http.Request, error)

	// Split takes apart the body of the answer to the request for keys. The
	// i-th element is the body of the answer that a request for keys[i] alone
	// would have had, nil where there is none in it. The elements may be parts
	// of body, and belong to the caller together with it.
	Split(body []byte, keys []K) ([][]byte, error)

	// Validate reports why the batch cannot work, or nil.
	Validate() error
}

// BatchFuncs is a [Batch] made of functions, which keep its promises.
type BatchFuncs[K comparable] struct {
	MaxKeys int // see [Batch.Size]

	// Together is [Batch.Group]. Nil lets all keys go together.
	Together func(key K) (group any, ok bool)

	Build func(ctx context.Context, base *url.URL, keys []K) (*http.Request, error)
	Take  func(body []byte, keys []K) ([][]byte, error) // see [Batch.Split]
}

// BatchFunc is the batch that the functions make. What they lack is the error of
// Validate.
func BatchFunc[K comparable](funcs BatchFuncs[K]) Batch[K] { return &funcBatch[K]{funcs} }

type funcBatch[K comparable] struct{ funcs BatchFuncs[K] }

func (b *funcBatch[K]) Size() int { return b.funcs.MaxKeys }

func (b *funcBatch[K]) Group(key K) (any, bool) {
	if b.funcs.Together == nil {
		return nil, true
	}
	return b.funcs.Together(key)
}

func (b *funcBatch[K]) Request(ctx context.Context, base *url.URL, keys []K) (*http.Request, error) {
	if err := b.Validate(); err != nil {
		return nil, err
	}
	return b.funcs.Build(ctx, base, keys)
}

func (b *funcBatch[K]) Split(body []byte, keys []K) ([][]byte, error) {
	if err := b.Validate(); err != nil {
		return nil, err
	}
	return b.funcs.Take(body, keys)
}

func (b *funcBatch[K]) Validate() error {
	switch {
	case b.funcs.Build == nil:
		return errors.New("request: BatchFuncs has no Build")
	case b.funcs.Take == nil:
		return errors.New("request: BatchFuncs has no Take")
	}
	return checkBatchSize(b.funcs.MaxKeys)
}

func checkBatchSize(size int) error {
	if size < 2 {
		return fmt.Errorf("request: a batch of at most %d keys: it has 2 or more", size)
	}
	return nil
}
