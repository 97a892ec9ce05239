package transport

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash/maphash"
	"sync"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/rfc9111"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

// VariantsRepository is the name of the repository for the variants of responses
// with Vary besides the latest one, which is in the endpoint's own. It is created
// in the cache when there is one to keep.
const VariantsRepository = "http_variants"

// variantKey is the key of a variant that is not the latest of its key. The
// generation is that of the entry in the endpoint's own repository: where that is
// deleted or replaced by other means, its variants are not found any more.
type variantKey struct {
	Repository string
	Generation string
	Entry      string // digest of the entry's key
	Variant    string
}

// variants opens the repository for variants when it is first needed.
type variants struct {
	mu         sync.Mutex
	repository *repository.ResponseRepository[variantKey, []byte]

	// A turn holds an element while a variant of its keys is saved: which is the
	// latest is read and written again. Few keys share one.
	turns [64]chan struct{}
	seed  maphash.Seed
}

func (v *variants) init() {
	v.seed = maphash.MakeSeed()
	for i := range v.turns {
		v.turns[i] = make(chan struct{}, 1)
	}
}

// saving waits for the key's turn, which done gives back.
func (v *variants) saving(ctx context.Context, key flightKey) (done func(), err error) {
	key.reload = false
	turn := v.turns[maphash.Comparable(v.seed, key)%uint64(len(v.turns))]
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (v *variants) open(ctx context.Context, c *cache.ResponseCache) (*repository.ResponseRepository[variantKey, []byte], error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.repository != nil {
		return v.repository, nil
	}
	r, err := cache.CreateRepository(ctx, c, settings.RepositorySettings[variantKey, []byte]{
		Name:    VariantsRepository,
		Payload: payload.Bytes(),
	})
	if errors.Is(err, cache.ErrExists) {
		r, err = cache.Repository[variantKey, []byte](c, VariantsRepository)
	}
	if err == nil {
		v.repository = r
	}
	return r, err
}

func (c *call) variantKey(generation, variant string) variantKey {
	digest := sha256.Sum256(driver.AppendKey(nil, c.key))
	return variantKey{
		Repository: c.repository.Name(),
		Generation: generation,
		Entry:      base64.RawURLEncoding.EncodeToString(digest[:]),
		Variant:    variant,
	}
}

// matches reports whether s answers requests with these headers.
func (c *call) matches(s *stored) bool {
	if !rfc9111.Varies(s.head.Header) {
		return true
	}
	if rfc9111.VariesByAll(s.head.Header) {
		return false
	}
	own, ok := s.head.Notes[variantNote]
	if !ok {
		// Saved by other means than the transport, which vary in no header
		// but this one of the client's own.
		for name := range rfc9111.Elements(s.head.Header, "Vary") {
			if name != "Accept-Encoding" {
				return false
			}
		}
		return true
	}
	return own == rfc9111.Variant(s.head.Header, c.caller.Header)
}

// selectVariant returns the variant for the call, where the latest is not.
func (t *Transport) selectVariant(ctx context.Context, c *call, latest *stored) (*stored, error) {
	generation := latest.head.Notes[generationNote]
	if c.matches(latest) {
		return latest, nil
	}
	if generation == "" || rfc9111.VariesByAll(latest.head.Header) {
		return nil, nil
	}
	key := c.variantKey(generation, rfc9111.Variant(latest.head.Header, c.caller.Header))
	return bounded(ctx, t, func(ctx context.Context) (*stored, error) {
		r, err := t.variants.open(ctx, t.cache)
		if err != nil {
			return nil, err
		}
		entry, ok, err := r.GetEntry(ctx, key, repository.AllowExpired())
		if err != nil || !ok {
			return nil, err
		}
		return newStored(entry)
	})
}

// prepareVariant notes what s is a variant of, and keeps the latest one so far
// beside it, if that is another. It is read anew: since the call looked, another
// variant may have come, or the entry may be gone and its variants with it.
func (t *Transport) prepareVariant(ctx context.Context, c *call, s *stored) error {
	latest, err := get(ctx, c.repository, c.key)
	if err != nil {
		return err
	}
	own := rfc9111.Variant(s.head.Header, c.caller.Header)
	generation := ""
	if latest != nil && rfc9111.Varies(latest.head.Header) {
		generation = latest.head.Notes[generationNote]
	}
	if generation == "" {
		generation = rand.Text()
	} else if old := latest.head.Notes[variantNote]; old != own {
		err = t.keepVariant(ctx, latest, c.variantKey(generation, old))
	}
	s.note(variantNote, own)
	s.note(generationNote, generation)
	return err
}

func (t *Transport) keepVariant(ctx context.Context, s *stored, key variantKey) error {
	s.noteAge(s.age(t.cache.Now()))
	entry, err := repository.NewEntry(s.entry.Status, s.head, s.entry.Payload)
	if err != nil {
		return err
	}
	r, err := t.variants.open(ctx, t.cache)
	if err != nil {
		return err
	}
	return r.SaveEntry(ctx, key, entry, expireOption(s.entry.ExpiresAt))
}
