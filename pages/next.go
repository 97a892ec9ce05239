package pages

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Extent is what a page tells of its listing.
type Extent struct {
	// Items is how many items are on the page. A page without items is the last.
	Items int

	// Total is how many items there are in the whole listing, 0 where that is
	// not told. It is for [Offset], and saves the request for an empty page.
	Total int

	// Last is the number of the last page, 0 where that is not told. It is for
	// [Number], and saves the request for an empty page.
	Last int

	// Step is how many items of the listing the page stands for, where not all
	// of these are on it. It is for [Offset]. The default is Items.
	Step int

	// End tells that it is the last page, as some APIs say.
	End bool
}

// Integer is what offsets and numbers of pages are counted in.
type Integer interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

var errTooFar = errors.New("the field of the key cannot hold what the next page is asked for with")

// Offset is for listings whose pages are asked for by the number of items before
// them: field is where a key has that.
func Offset[K comparable, P any, N Integer](field func(*K) *N, extent func(P) Extent) Next[K, P] {
	return func(page *Page[K, P]) (K, bool, error) {
		key, e := page.Key, extent(page.Value)
		offset := field(&key)
		if e.Items <= 0 || e.End {
			return key, false, nil
		}
		step := e.Step
		if step <= 0 {
			step = e.Items
		}
		if !advance(offset, step) {
			return key, false, errTooFar
		}
		return key, e.Total <= 0 || uint64(*offset) < uint64(e.Total), nil
	}
}

// Number is for listings whose pages are numbered: field is where a key has the
// number.
func Number[K comparable, P any, N Integer](field func(*K) *N, extent func(P) Extent) Next[K, P] {
	return func(page *Page[K, P]) (K, bool, error) {
		key, e := page.Key, extent(page.Value)
		number := field(&key)
		if e.Items <= 0 || e.End || e.Last > 0 && uint64(*number) >= uint64(e.Last) {
			return key, false, nil
		}
		if !advance(number, 1) {
			return key, false, errTooFar
		}
		return key, true, nil
	}
}

// advance adds step, which is positive, to n. It is false where n cannot hold the sum.
func advance[N Integer](n *N, step int) bool {
	before := *n
	*n += N(step)
	return *n > before && uint64(*n) == uint64(before)+uint64(step)
}

// Cursor is for listings where each page tells a token that the next one is asked for
// with: field is where a key has the token. The zero value, such as "", ends the
// listing.
func Cursor[K comparable, P any, T comparable](field func(*K) *T, token func(P) T) Next[K, P] {
	return func(page *Page[K, P]) (K, bool, error) {
		key := page.Key
		next := token(page.Value)
		*field(&key) = next
		var none T
		return key, next != none, nil
	}
}

// URL is for listings where each page tells the URL of the next one: it returns that,
// or "" for the last. The endpoint takes the key out of the URL, see [Page.Follow].
func URL[K comparable, P any](next func(P) string) Next[K, P] {
	return func(page *Page[K, P]) (key K, ok bool, err error) {
		url := next(page.Value)
		if url == "" {
			return key, false, nil
		}
		key, err = page.Follow(url)
		return key, err == nil, err
	}
}

// Link is a [Next] for listings where each page tells the URL of the next one in a
// Link header with the relation "next", RFC 8288. A page without one is the last; a
// header that cannot be read is an error.
func Link[K comparable, P any](page *Page[K, P]) (key K, ok bool, err error) {
	header, err := page.Entry.Header()
	if err != nil {
		return key, false, err
	}
	url, ok, err := nextLink(header.Values("Link"))
	if err != nil || !ok {
		return key, false, err
	}
	key, err = page.Follow(url)
	return key, err == nil, err
}

// ByBody is next for a listing whose values do not tell what the next page is, such as
// those that are a [json.RawMessage]: it decodes the JSON body of a page into B, and next is
// given that as the page's value. A body that cannot be decoded is an error.
func ByBody[B any, K comparable, P any](next Next[K, B]) Next[K, P] {
	return func(page *Page[K, P]) (key K, ok bool, err error) {
		body := &Page[K, B]{Key: page.Key, Entry: page.Entry, Cached: page.Cached, asOf: page.asOf, follow: page.follow}
		if err := json.Unmarshal(page.Entry.Payload, &body.Value); err != nil {
			return key, false, fmt.Errorf("what tells the next page cannot be decoded: %w", err)
		}
		return next(body)
	}
}
