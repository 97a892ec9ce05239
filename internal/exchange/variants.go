package exchange

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"hash/maphash"
	"net/http"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/declared"
	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/internal/rfc9111"
	"github.com/endpointcache/endpointcache/internal/secret"
)

// VariantsTable is created when there is a variant to keep.
const VariantsTable = declared.VariantsTable

// variantColumns are the key of a variant that is not the latest of its key: the table, the
// identity where its keys have one, the generation, a digest of the rest of the entry's
// key, and the variant. The generation is that of
// the entry in the endpoint's own table: where that is deleted or replaced by other
// means, its variants are not found any more.
var variantColumns = []driver.Column{
	{Name: "repository", Kind: driver.String}, {Name: "identity", Kind: driver.String},
	{Name: "generation", Kind: driver.String},
	{Name: "entry", Kind: driver.String}, {Name: "variant", Kind: driver.String},
}

// variants are the responses beside the latest of their keys.
type variants struct {
	ownTable

	// A turn holds an element while a variant of its keys is saved: the latest is read
	// and written again. Few keys share one.
	turns [64]chan struct{}
	seed  maphash.Seed
}

func (v *variants) init(x *Exchange) {
	v.x, v.spec = x, driver.TableSpec{Name: VariantsTable, Key: variantColumns}
	v.bounded = true
	v.seed = maphash.MakeSeed()
	for i := range v.turns {
		v.turns[i] = make(chan struct{}, 1)
	}
}

// saving waits for the key's turn, which done gives back.
func (v *variants) saving(ctx context.Context, key flightKey) (done func(), err error) {
	turn := v.turns[maphash.Comparable(v.seed, key)%uint64(len(v.turns))]
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// ClearVariants removes the variants besides the latest of each key that are in that
// state, as far as the exchange has met any.
func (x *Exchange) ClearVariants(ctx context.Context, state driver.State) (int, error) {
	if table := x.vary.opened(); table != nil {
		return table.Clear(ctx, driver.Filter{State: state, Now: instant(x.Now())})
	}
	return 0, nil
}

// clearVariants removes the variants of an identity's entries.
func (t *Table) clearVariants(ctx context.Context, identity string, state driver.State) error {
	table, err := t.x.vary.open(ctx)
	if err != nil {
		return err
	}
	_, err = table.Clear(ctx, driver.Filter{State: state, Now: instant(t.x.Now()), Leading: driver.Key{t.stored, identity}})
	return err
}

// moveVariants gives the variants of one identity's entries to another.
func (t *Table) moveVariants(ctx context.Context, from, to string) error {
	table, err := t.x.vary.open(ctx)
	if err != nil {
		return err
	}
	_, err = moveLeading(ctx, table, driver.Key{t.stored, from}, driver.Key{t.stored, to})
	return err
}

func (a *Ask) variantKey(generation, variant string) driver.Key {
	digest := sha256.Sum256(driver.AppendKey(nil, a.Table.OwnKey(a.Key)))
	identity := driver.Value("")
	if a.Table.Scoped() {
		identity = a.Key[0]
	}
	return driver.Key{a.Table.stored, identity, generation, base64.RawURLEncoding.EncodeToString(digest[:]), variant}
}

// matches reports whether s answers requests with these headers.
func (a *Ask) matches(s *Stored) bool {
	if !rfc9111.Varies(s.Head.Header) {
		return true
	}
	if rfc9111.VariesByAll(s.Head.Header) {
		return false
	}
	own, ok := s.Head.Notes[variantNote]
	if !ok { // saved by a typed call
		return variesByCodingAlone(s.Head.Header)
	}
	return own == a.variant(s.Head.Header)
}

// variant is the note of what a response varies by in the ask's request. If that has
// credentials, it is a digest that only those can make who have the store's key.
func (a *Ask) variant(response http.Header) string {
	plain := rfc9111.Variant(response, a.header())
	for name := range rfc9111.Elements(response, "Vary") {
		if !secret.Header(name) {
			continue
		}
		x := a.Table.x
		ctx, cancel := context.WithTimeout(context.Background(), x.opts.StoreTimeout)
		defer cancel()
		key, err := x.DigestKey(ctx)
		if err != nil {
			return rand.Text() // which is none that is stored
		}
		return Digest(key, []byte(plain))
	}
	return plain
}

// variesByCodingAlone reports whether responses vary by no more than a header that a typed
// call leaves to its client, which has decoded the body: it is one for all.
func variesByCodingAlone(h http.Header) bool {
	for name := range rfc9111.Elements(h, "Vary") {
		if name != "Accept-Encoding" {
			return false
		}
	}
	return h.Get("Content-Encoding") == ""
}

// ignoresVary reports whether s was saved as the only response of its key though it varies, as it
// is where the policy does not have CacheControl on.
func (s *Stored) ignoresVary() bool {
	h := s.Head.Header
	return rfc9111.Varies(h) && s.Head.Notes[generationNote] == "" && !variesByCodingAlone(h)
}

// understands reports whether s is coded as the caller would have it from the origin.
// Where Vary is not there, or not obeyed, there is one response for a key, whatever its
// coding.
func (a *Ask) understands(s *Stored) bool {
	asked, ok := s.Head.Notes[variantNote]
	return !ok || s.Head.Header.Get("Content-Encoding") == "" || asked == rfc9111.CodingVariant(a.header())
}

// selectVariant returns the variant for the ask, where the latest is not.
func (x *Exchange) selectVariant(ctx context.Context, a *Ask, latest *Stored) (*Stored, error) {
	generation := latest.Head.Notes[generationNote]
	if a.matches(latest) {
		return latest, nil
	}
	if generation == "" || rfc9111.VariesByAll(latest.Head.Header) {
		return nil, nil
	}
	key, sel := a.variantKey(generation, a.variant(latest.Head.Header)), allParts(x)
	if a.unread {
		sel.Parts &^= driver.Payload
	}
	var found driver.Entry
	var ok, old bool
	err := x.guard.do(ctx, a.Table, "get", 1, func(ctx context.Context) error {
		table, err := x.vary.open(ctx)
		if err != nil {
			return err
		}
		var visited once
		err = table.Get(ctx, []driver.Key{key}, sel, visited.visit)
		if err != nil || !visited.ok {
			return err
		}
		if m := a.Table.marked; m != nil {
			if old, err = m.isOld(ctx, a.Key, visited.entry); err != nil {
				return err
			}
		}
		found, ok = visited.entry, true
		return nil
	})
	if err != nil || !ok {
		return nil, err
	}
	s, err := newStored(found)
	if err == nil {
		s.showTo(a.Rules)
		s.beside, s.old = true, old
	}
	return s, err
}

// once takes the one entry of a get.
type once struct {
	entry driver.Entry
	ok    bool
}

func (o *once) visit(_ int, e driver.Entry) { o.entry, o.ok = e, true }

func allParts(x *Exchange) driver.Selection {
	return driver.Selection{Filter: driver.Filter{Now: instant(x.Now())}, Parts: driver.Payload | driver.Meta}
}

// prepareVariant notes what s is a variant of, and keeps the latest one so far beside
// it, if that is another. It is read anew: since the lookup, another variant may have
// come, or the entry may be gone and its variants with it.
func (x *Exchange) prepareVariant(ctx context.Context, a *Ask, s *Stored) error {
	var read once
	if err := a.Table.table.Get(ctx, []driver.Key{a.Key}, allParts(x), read.visit); err != nil {
		return err
	}
	var latest *Stored
	if read.ok {
		var err error
		if latest, err = newStored(read.entry); err != nil {
			return err
		}
	}
	own := a.variant(s.Head.Header)
	generation, several := "", false
	var beside []*Stored
	if latest != nil && rfc9111.Varies(latest.Head.Header) {
		generation = latest.Head.Notes[generationNote]
	}
	if generation == "" {
		generation = rand.Text()
	} else {
		several = latest.Head.Notes[severalNote] != ""
		if latest.Head.Notes[variantNote] != own && !latest.old {
			several, beside = true, []*Stored{latest}
		}
	}
	s.note(variantNote, own)
	s.note(generationNote, generation)
	if several {
		s.note(severalNote, "1")
		if a.Rules.lease > 0 { // other processes may be saving other variants, each over the latest that it has read
			beside = append(beside, s)
		}
	}
	return x.keepVariants(ctx, a, beside...)
}

// keepVariants keeps responses beside the latest of their key, unless what is there is newer.
func (x *Exchange) keepVariants(ctx context.Context, a *Ask, all ...*Stored) error {
	if len(all) == 0 {
		return nil
	}
	entries := make([]driver.Entry, len(all))
	for i, s := range all {
		encoded, err := head.Encode(s.Head)
		if err != nil {
			return err
		}
		entries[i] = s.Entry
		entries[i].Key, entries[i].Header = a.variantKey(s.Head.Notes[generationNote], s.Head.Notes[variantNote]), encoded
	}
	table, err := x.vary.open(ctx)
	if err != nil {
		return err
	}
	_, err = table.PutIf(ctx, entries, driver.Condition{If: driver.IfNewer})
	return err
}

// putBeside saves v, which is older than the latest of its key, beside that, if it is another
// variant.
func (s *saves) putBeside(ctx context.Context, f *Flight, v *Stored) error {
	var read once
	if err := s.t.table.Get(ctx, []driver.Key{f.ask.Key}, driver.Selection{Parts: driver.Meta}, read.visit); err != nil || !read.ok {
		return err
	}
	latest, err := newStored(read.entry)
	if err != nil {
		return nil //nolint:nilerr // it is of no use, and replaced by the next answer
	}
	generation, own := latest.Head.Notes[generationNote], v.Head.Notes[variantNote]
	if generation == "" || latest.Head.Notes[variantNote] == own || f.ask.variant(latest.Head.Header) != own || f.outdated.Load() {
		return nil
	}
	v.note(generationNote, generation)
	if err := s.t.x.keepVariants(ctx, &f.ask, v); err != nil {
		return err
	}
	if f.outdated.Load() {
		_, err = s.t.x.vary.opened().Delete(context.WithoutCancel(ctx), []driver.Key{f.ask.variantKey(generation, own)})
	}
	return err
}
