package dynamodb

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/endpointcache/endpointcache/driver"
)

type (
	item      = map[string]types.AttributeValue
	text      = types.AttributeValueMemberS
	number    = types.AttributeValueMemberN
	binary    = types.AttributeValueMemberB
	boolean   = types.AttributeValueMemberBOOL
	structure = types.AttributeValueMemberM
	list      = types.AttributeValueMemberL
)

// The attributes of an item beside those that the user names.
const (
	attrKeyFields  = "key_fields"
	attrName       = "name"
	attrStatus     = "status"
	attrHeaders    = "headers"
	attrCachedAt   = "cached_at"
	attrExpiresAt  = "expires_at"
	attrTTL        = "ttl"
	attrEncoding   = "encoding" // in which the store has compressed the payload
	attrGeneration = "generation"
	attrParts      = "parts"
	attrBody       = "_encoding" // in which the payload was given
	attrSum        = "_payload_sum"
	attrMetaSum    = "_meta_sum"
	attrUsedUS     = "_used_us"    // absent: it was used when it was saved
	attrSize       = "_size"       // bytes
	attrKeyColumns = "key_columns" // of the item that tells a repository's schema
	attrValueName  = "value_attribute"
	attrDropped    = "_dropped"
	attrListed     = "_listed"
)

var attributes = []string{
	attrKeyFields, attrName, attrStatus, attrHeaders, attrCachedAt, attrExpiresAt, attrTTL,
	attrEncoding, attrGeneration, attrParts, attrBody, attrSum, attrMetaSum, attrUsedUS, attrSize,
	attrKeyColumns, attrValueName, attrDropped, attrListed,
}

// codec makes items of entries and reads them back.
type codec struct {
	partition, sortKey, value string // the names of attributes
	ttl                       bool
	grace                     time.Duration
}

func newCodec(o Options) codec {
	return codec{o.PartitionAttribute, o.KeyAttribute, o.ValueAttribute, !o.NoTTL, o.Grace.Truncate(time.Second)}
}

// key is the primary key of an item.
func (c *codec) key(p place) item {
	return item{c.partition: &text{Value: p.partition}, c.sortKey: &text{Value: p.key}}
}

// Instants are texts of one length, so that DynamoDB can compare them; that of an entry
// that never expires is beyond all others.
const (
	timeLayout = "2006-01-02T15:04:05.000000Z"
	never      = "never"
)

func timeText(t time.Time) string { return t.UTC().Format(timeLayout) }

func expiryText(t time.Time) string {
	if t.IsZero() {
		return never
	}
	return timeText(t)
}

// item is the item of an entry without its payload.
func (t *table) item(r row) item {
	e, c := r.entry, &t.store.codec
	it := c.key(r.place)
	it[attrKeyFields] = t.keyFields(e.Key)
	it[attrStatus] = &number{Value: strconv.Itoa(e.Status)}
	it[attrCachedAt] = &text{Value: timeText(e.CachedAt)}
	it[attrExpiresAt] = &text{Value: expiryText(e.ExpiresAt)}
	it[attrSize] = &number{Value: strconv.FormatInt(r.stored(), 10)}
	if e.Encoding != "" {
		it[attrBody] = &text{Value: e.Encoding}
	}
	if sum := sumValue(e.PayloadSum); sum != nil {
		it[attrSum] = sum
	}
	if sum := sumValue(e.MetaSum); sum != nil {
		it[attrMetaSum] = sum
	}
	if e.Name != "" {
		it[attrName] = stringValue(e.Name)
	}
	if e.Header != "" {
		it[attrHeaders] = stringValue(e.Header)
	}
	if ttl := c.ttlOf(e.ExpiresAt, 0); ttl != nil {
		it[attrTTL] = ttl
	}
	return it
}

// ttlOf is when DynamoDB may remove an entry with this expiry, or what outlives it by so
// long, or nil.
func (c *codec) ttlOf(expiresAt time.Time, longer time.Duration) types.AttributeValue {
	if !c.ttl || expiresAt.IsZero() {
		return nil
	}
	// The second after it, and without a time.Time, whose years could be too many.
	seconds := expiresAt.Unix() + 1 + int64((c.grace+longer)/time.Second)
	return &number{Value: strconv.FormatInt(seconds, 10)}
}

// sumValue is how a checksum stands in an item, or nil for none.
func sumValue(sum uint32) types.AttributeValue {
	if sum == 0 {
		return nil
	}
	return &number{Value: strconv.FormatUint(uint64(sum), 10)}
}

func microseconds(t time.Time) types.AttributeValue {
	return &number{Value: strconv.FormatInt(t.UnixMicro(), 10)}
}

// stringValue is text where DynamoDB takes it as such.
func stringValue(s string) types.AttributeValue {
	if utf8.ValidString(s) {
		return &text{Value: s}
	}
	return &binary{Value: []byte(s)}
}

func (t *table) keyFields(k driver.Key) types.AttributeValue {
	fields := make(item, len(k))
	for i, v := range k {
		fields[t.spec.Key[i].Name] = keyField(v)
	}
	return &structure{Value: fields}
}

// keyField is how a value of a key stands among the fields.
func keyField(v driver.Value) types.AttributeValue {
	switch v := v.(type) {
	case int64:
		return &number{Value: strconv.FormatInt(v, 10)}
	case bool:
		return &boolean{Value: v}
	default:
		s, _ := v.(string)
		return stringValue(s)
	}
}

var errItem = errors.New("an item holds other attributes than were saved")

// key reads the key of an entry.
func (t *table) key(it item) (driver.Key, error) {
	fields, ok := it[attrKeyFields].(*structure)
	if !ok {
		return nil, fmt.Errorf("%w: %s", errItem, attrKeyFields)
	}
	key := make(driver.Key, len(t.spec.Key))
	for i, column := range t.spec.Key {
		var err error
		switch value := fields.Value[column.Name].(type) {
		case *text:
			key[i] = value.Value
		case *binary:
			key[i] = string(value.Value)
		case *number:
			key[i], err = strconv.ParseInt(value.Value, 10, 64)
		case *boolean:
			key[i] = value.Value
		default:
			err = errItem
		}
		if err != nil || kindOf(key[i]) != column.Kind {
			return nil, fmt.Errorf("%w: %s", errItem, attrKeyFields)
		}
	}
	return key, nil
}

func kindOf(v driver.Value) driver.Kind {
	switch v.(type) {
	case string:
		return driver.String
	case int64:
		return driver.Int
	default:
		return driver.Bool
	}
}

// record is what an item tells of an entry.
type record struct {
	place      place
	expiresAt  string
	generation string // of the payload's parts; empty if it is in the item
	parts      int
	encoding   string
	entry      driver.Entry
}

// read reads an item. The payload is as it stands there. What is of another type than the
// store writes is left empty, and the sum of its part is wrong.
func (t *table) read(it item, parts driver.Parts) (r record) {
	c := &t.store.codec
	r.place = place{stringOf(it[c.partition]), stringOf(it[c.sortKey])}
	r.expiresAt = stringOf(it[attrExpiresAt])
	var status, whole, cached, expires, sum error
	r.entry.Status, status = smallOf(it[attrStatus], math.MaxInt)
	if it[attrGeneration] != nil {
		r.generation = stringOf(it[attrGeneration])
		if r.parts, whole = smallOf(it[attrParts], maxParts); whole != nil || r.parts < 1 || r.generation == "" {
			r.generation, r.parts, whole = "", 0, errItem
		}
	}
	if parts&(driver.Meta|driver.Usage) != 0 {
		r.entry.CachedAt, cached = timeOf(stringOf(it[attrCachedAt]))
	}
	if parts&driver.Meta != 0 {
		r.entry.Name, r.entry.Header = stringOf(it[attrName]), stringOf(it[attrHeaders])
		r.entry.ExpiresAt, expires = timeOf(r.expiresAt)
		if r.entry.MetaSum, sum = sumOf(it[attrMetaSum]); status != nil || cached != nil || expires != nil || sum != nil {
			r.entry.MetaSum = driver.WrongSum
		}
	}
	if parts&driver.Payload != 0 {
		r.encoding, r.entry.Encoding = stringOf(it[attrEncoding]), stringOf(it[attrBody])
		if value, ok := it[c.value].(*binary); ok {
			r.entry.Payload = value.Value
		}
		if r.entry.PayloadSum, sum = sumOf(it[attrSum]); status != nil || whole != nil || sum != nil {
			r.entry.PayloadSum = driver.WrongSum
		}
	}
	if parts&driver.Usage != 0 {
		readUsage(it, &r.entry)
	}
	return r
}

// readUsage reads what an item may lack: it was saved by an earlier version, or has not
// been used since.
func readUsage(it item, e *driver.Entry) {
	e.UsedAt = e.CachedAt
	if us, err := intOf(it[attrUsedUS]); err == nil {
		e.UsedAt = time.UnixMicro(us).UTC()
	}
	e.Size, _ = intOf(it[attrSize])
}

func stringOf(v types.AttributeValue) string {
	switch v := v.(type) {
	case *text:
		return v.Value
	case *binary:
		return string(v.Value)
	}
	return ""
}

func intOf(v types.AttributeValue) (int64, error) {
	n, ok := v.(*number)
	if !ok {
		return 0, errItem
	}
	return strconv.ParseInt(n.Value, 10, 64)
}

// smallOf is intOf for a number that is no larger than a limit.
func smallOf(v types.AttributeValue, limit int) (int, error) {
	n, err := intOf(v)
	if err == nil && n > int64(limit) {
		err = errItem
	}
	return int(n), err
}

// sumOf reads a checksum, which is absent for none.
func sumOf(v types.AttributeValue) (uint32, error) {
	if v == nil {
		return 0, nil
	}
	n, err := intOf(v)
	return uint32(n), err
}

func timeOf(s string) (time.Time, error) {
	if s == never {
		return time.Time{}, nil
	}
	t, err := time.Parse(timeLayout, s)
	if err != nil {
		return t, fmt.Errorf("%w: %w", errItem, err)
	}
	return t, nil
}

// projection asks for the attributes that a selection needs, by placeholders: many of
// their names are words of DynamoDB's expressions.
type projection struct {
	expression string
	names      map[string]string
}

func newProjection(names ...string) projection {
	p := projection{names: make(map[string]string, len(names))}
	for i, name := range names {
		placeholder := "#" + strconv.Itoa(i)
		p.names[placeholder] = name
		if i > 0 {
			p.expression += ","
		}
		p.expression += placeholder
	}
	return p
}

// projections are those of all combinations of parts, without and with the key.
type projections [2][8]projection

func newProjections(c *codec) (all projections) {
	for keyed := range all {
		for parts := range all[keyed] {
			names := []string{c.partition, c.sortKey, attrStatus, attrExpiresAt}
			if keyed == 1 {
				names = append(names, attrKeyFields)
			}
			if driver.Parts(parts)&(driver.Meta|driver.Usage) != 0 {
				names = append(names, attrCachedAt)
			}
			if driver.Parts(parts)&driver.Meta != 0 {
				names = append(names, attrName, attrHeaders, attrMetaSum)
			}
			if driver.Parts(parts)&driver.Payload != 0 {
				names = append(names, c.value, attrEncoding, attrGeneration, attrParts, attrBody, attrSum)
			}
			if driver.Parts(parts)&driver.Usage != 0 {
				names = append(names, attrUsedUS, attrSize)
			}
			all[keyed][parts] = newProjection(slices.Clip(names)...)
		}
	}
	return all
}
