package mongodb

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/endpointcache/endpointcache/driver"
)

// The fields of a document beside those of its key, in their order.
const (
	fieldID        = "_id"
	fieldStatus    = "status"
	fieldCachedAt  = "cached_at"  // to the millisecond, for readers
	fieldExpiresAt = "expires_at" // the same, for the TTL index; absent: never
	fieldCachedUS  = "cached_us"  // microseconds since 1970
	fieldExpiresUS = "expires_us"
	fieldUsedUS    = "_used_us"
	fieldSize      = "_size" // of the document when it was saved, in bytes
	fieldMetaSum   = "_meta_sum"
	fieldSum       = "_payload_sum"
	fieldEncoding  = "_encoding"
	fieldTitle     = "name"
	fieldHeaders   = "headers"
	fieldPayload   = "payload"
)

// never is the expires_us of an entry that never expires: one comparison selects.
const never = math.MaxInt64

// maxDocument is the most bytes of a document.
const maxDocument = 16 << 20

// appendEntry appends the document of an entry.
func (t *table) appendEntry(b []byte, id string, e *driver.Entry) []byte {
	start, b := begin(b)
	b = appendString(b, fieldID, id)
	b = t.appendValues(b, e.Key)
	b = appendInt32(b, fieldStatus, int32(e.Status))
	b = appendDate(b, fieldCachedAt, e.CachedAt)
	if !e.ExpiresAt.IsZero() {
		b = appendDate(b, fieldExpiresAt, e.ExpiresAt)
	}
	b = appendInt64(b, fieldCachedUS, e.CachedAt.UnixMicro())
	b = appendInt64(b, fieldExpiresUS, expiry(e.ExpiresAt))
	b = appendInt64(b, fieldUsedUS, e.CachedAt.UnixMicro())
	b = appendInt64(b, fieldSize, int64(t.documentSize(id, e)))
	b = appendInt64(b, fieldMetaSum, int64(e.MetaSum))
	b = appendInt64(b, fieldSum, int64(e.PayloadSum))
	b = appendString(b, fieldEncoding, e.Encoding)
	b = appendText(b, fieldTitle, e.Name, isText(e.Name))
	b = appendText(b, fieldHeaders, e.Header, isText(e.Header))
	b = appendText(b, fieldPayload, e.Payload, utf8.Valid(e.Payload) && bytes.IndexByte(e.Payload, 0) < 0)
	return end(b, start)
}

// appendValues appends the values of a key, or the first of them, as fields.
func (t *table) appendValues(b []byte, k driver.Key) []byte {
	for i, v := range k {
		switch v := v.(type) {
		case string:
			b = appendText(b, t.fields[i], v, isText(v))
		case int64:
			b = appendInt64(b, t.fields[i], v)
		case bool:
			b = appendBool(b, t.fields[i], v)
		}
	}
	return b
}

func isText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// documentSize is the length of an entry's document, or some bytes more for one that
// never expires. Text takes as much as binary data.
func (t *table) documentSize(id string, e *driver.Entry) int {
	size := t.emptySize + len(id) + len(e.Name) + len(e.Header) + len(e.Payload) + len(e.Encoding)
	for _, v := range e.Key {
		if s, ok := v.(string); ok {
			size += len(s)
		}
	}
	return size
}

// measure sets the length of a document whose texts are empty.
func (t *table) measure() {
	e := driver.Entry{ExpiresAt: time.UnixMicro(0)}
	for _, c := range t.spec.Key {
		switch c.Kind {
		case driver.String:
			e.Key = append(e.Key, "")
		case driver.Int:
			e.Key = append(e.Key, int64(0))
		case driver.Bool:
			e.Key = append(e.Key, false)
		}
	}
	t.emptySize = len(t.appendEntry(nil, "", &e))
}

func expiry(t time.Time) int64 {
	if t.IsZero() {
		return never
	}
	return t.UnixMicro()
}

// projection are the fields that hold the parts of an entry, and its key where that is
// wanted too. It is nil for all of them.
func (t *table) projection(parts driver.Parts, withKey bool) bson.Raw {
	if whole := driver.Payload | driver.Meta; parts&whole == whole {
		return nil
	}
	start, b := begin(nil)
	b = appendInt32(b, fieldStatus, 1)
	b = appendInt32(b, fieldExpiresUS, 1)
	if withKey {
		for _, f := range t.fields {
			b = appendInt32(b, f, 1)
		}
	}
	if parts&(driver.Meta|driver.Usage) != 0 {
		b = appendInt32(b, fieldCachedUS, 1)
	}
	if parts&driver.Meta != 0 {
		b = appendInt32(b, fieldTitle, 1)
		b = appendInt32(b, fieldHeaders, 1)
		b = appendInt32(b, fieldMetaSum, 1)
	}
	if parts&driver.Payload != 0 {
		b = appendInt32(b, fieldPayload, 1)
		b = appendInt32(b, fieldEncoding, 1)
		b = appendInt32(b, fieldSum, 1)
	}
	if parts&driver.Usage != 0 {
		b = appendInt32(b, fieldUsedUS, 1)
		b = appendInt32(b, fieldSize, 1)
	}
	return end(b, start)
}

// idOf returns the _id of a document, in the document's memory.
func idOf(doc bson.Raw) ([]byte, error) {
	v, err := doc.LookupErr(fieldID)
	if err != nil || v.Type != bson.TypeString {
		return nil, errors.New("a document has an _id of another type than was saved")
	}
	return text(v)
}

// read returns the entry of a document with those parts that the document has, and
// its Key where withKey says so, unless that cannot be read. Fields that are not the store's
// are left alone, and those may be missing that an earlier version of the store did not
// write. What is of another type than the store writes is left empty, and the sum of its
// part is wrong.
func (t *table) read(doc bson.Raw, withKey bool) (e driver.Entry, err error) {
	elements, err := doc.Elements()
	if err != nil {
		return e, err
	}
	if withKey {
		e.Key = make(driver.Key, len(t.fields))
	}
	found, keyed := 0, 0
	meta, payload := true, true // whether the parts can be read
	for _, element := range elements {
		// Where the driver makes a string of a name, it costs more than the value.
		name, v := element[1:1+bytes.IndexByte(element[1:], 0)], element.Value()
		ok := &meta
		switch string(name) {
		case fieldStatus:
			var status int64
			if status, err = readInt(v); err == nil {
				e.Status, found = int(status), found+1
			}
		case fieldExpiresUS:
			if e.ExpiresAt, err = readTime(v); err == nil {
				found++
			}
		case fieldCachedUS:
			e.CachedAt, err = readTime(v)
		case fieldUsedUS:
			e.UsedAt, _ = readTime(v)
		case fieldSize:
			e.Size, _ = readInt(v)
		case fieldMetaSum:
			e.MetaSum, err = readSum(v)
		case fieldSum:
			e.PayloadSum, err = readSum(v)
			ok = &payload
		case fieldEncoding:
			e.Encoding, err = readString(v)
			ok = &payload
		case fieldTitle:
			e.Name, err = readString(v)
		case fieldHeaders:
			e.Header, err = readString(v)
		case fieldPayload:
			var body []byte
			body, err = text(v)
			e.Payload, ok = bytes.Clone(body), &payload
		default:
			if i := slices.IndexFunc(t.fields, func(f string) bool { return f == string(name) }); i >= 0 && withKey {
				var value driver.Value
				if value, err = readValue(v, t.spec.Key[i].Kind); err == nil {
					e.Key[i], keyed = value, keyed+1
				}
				err = nil
			}
		}
		if err != nil {
			*ok = false
		}
	}
	if known := found == 2; !known || !meta {
		e.MetaSum = driver.WrongSum
		payload = payload && known
	}
	if !payload {
		e.PayloadSum = driver.WrongSum
	}
	if keyed != len(e.Key) {
		e.Key = nil
	}
	if e.UsedAt.IsZero() {
		e.UsedAt = e.CachedAt
	}
	return e, nil
}

func readString(v bson.RawValue) (string, error) {
	b, err := text(v)
	return string(b), err
}

// readInt takes integers of any size: a shell writes them as it likes.
func readInt(v bson.RawValue) (int64, error) {
	if n, ok := v.AsInt64OK(); ok {
		return n, nil
	}
	return 0, errDocument
}

func readSum(v bson.RawValue) (uint32, error) {
	n, err := readInt(v)
	return uint32(n), err
}

func readTime(v bson.RawValue) (time.Time, error) {
	n, err := readInt(v)
	if err != nil || n == never {
		return time.Time{}, err
	}
	return time.UnixMicro(n).UTC(), nil
}

// readValue reads a value of a key.
func readValue(v bson.RawValue, kind driver.Kind) (driver.Value, error) {
	switch kind {
	case driver.String:
		return readString(v)
	case driver.Int:
		return readInt(v)
	case driver.Bool:
		if b, ok := v.BooleanOK(); ok {
			return b, nil
		}
	}
	return nil, errDocument
}
