package exchange

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"sync"

	"github.com/endpointcache/endpointcache/driver"
)

// digestKey is the secret that digests are made with, so that what stands behind a digest
// cannot be found by trying. All caches on a store have the same: the user's, or one that
// the store keeps.
type digestKey struct {
	mu  sync.Mutex
	key []byte
}

// minDigestKey is the size of the smallest key that cannot be found by trying.
const minDigestKey = 16

const digestKeyRecord = "digest-key" // the only item of its kind

// DigestKey is the secret that digests are made with. Without a store, it lasts as long as
// the exchange.
func (x *Exchange) DigestKey(ctx context.Context) ([]byte, error) {
	d := &x.digest
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.key != nil {
		return d.key, nil
	}
	if len(x.opts.DigestKey) > 0 {
		d.key = x.opts.DigestKey
		return d.key, nil
	}
	fresh := make([]byte, sha256.Size)
	if _, err := rand.Read(fresh); err != nil {
		return nil, err
	}
	if x.records.keptIn() == nil {
		d.key = fresh
		return d.key, nil
	}
	kept, err := x.records.claim(ctx, digestKeyRecord, "", base64.RawStdEncoding.EncodeToString(fresh), x.Now(), nil)
	if err != nil {
		return nil, fmt.Errorf("key of digests: %w", err)
	}
	if kept == "" { // the store has no room for it
		d.key = fresh
		return d.key, nil
	}
	return d.set(kept)
}

// set keeps the key that has a text.
func (d *digestKey) set(text string) ([]byte, error) {
	key, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || len(key) != sha256.Size {
		return nil, fmt.Errorf("key of digests: table %q holds none that is one", RecordsTable)
	}
	d.key = key
	return key, nil
}

// KeptDigestKey is the secret that the store keeps, nil if it keeps none, or digests are made with another.
func (x *Exchange) KeptDigestKey(ctx context.Context) ([]byte, error) {
	if len(x.opts.DigestKey) > 0 || x.records.keptIn() == nil {
		return nil, nil
	}
	if has, err := x.HasDigestKey(ctx); err != nil || !has {
		return nil, err
	}
	return x.DigestKey(ctx)
}

// AdoptDigestKey makes digests with the secret given, from now on and for all who use the store, unless there is
// one already.
func (x *Exchange) AdoptDigestKey(ctx context.Context, key []byte) error {
	if len(key) != sha256.Size {
		return fmt.Errorf("key of digests: it has %d bytes, not %d", len(key), sha256.Size)
	}
	if has, err := x.HasDigestKey(ctx); err != nil || has || x.records.keptIn() == nil {
		return err
	}
	d := &x.digest
	d.mu.Lock()
	defer d.mu.Unlock()
	kept, err := x.records.claim(ctx, digestKeyRecord, "", base64.RawStdEncoding.EncodeToString(key), x.Now(), nil)
	if err != nil || kept == "" {
		return err
	}
	_, err = d.set(kept)
	return err
}

// HasDigestKey reports whether there is a secret for digests already: it makes none.
func (x *Exchange) HasDigestKey(ctx context.Context) (bool, error) {
	d := &x.digest
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.key != nil || len(x.opts.DigestKey) > 0 {
		return true, nil
	}
	if x.records.keptIn() == nil {
		return false, nil
	}
	table, err := x.records.open(ctx)
	if err != nil {
		return false, err
	}
	kept, ok, err := textAt(ctx, table, driver.Key{digestKeyRecord, ""})
	if err != nil || !ok {
		return false, err
	}
	_, err = d.set(kept)
	return err == nil, err
}

// The size of a digest, and that of its text.
const (
	digestBytes  = 16
	digestLength = 22
)

// Digest is a keyed digest of text, of 22 letters, digits, "-" and "_".
func Digest(key, text []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write(text)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:digestBytes])
}
