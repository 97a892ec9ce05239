package seal

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// Why an entry is not opened.
var (
	errUnsealed  = errors.New("it is not sealed, or in another mode")
	errMalformed = errors.New("its seal is damaged")
	errUnknown   = errors.New("it is sealed with a key that is not there")
)

// A seal begins with its format, which is another one for each mode, and the number of the key.
const (
	formatEncrypted = 1
	formatSigned    = 2
	sealHead        = 1 + 4
)

func appendHead(b []byte, format byte, k *secretKey) []byte {
	return binary.BigEndian.AppendUint32(append(b, format), k.id)
}

// cutHead finds the key of a seal.
func (c *codec) cutHead(b []byte, keys *Keys) (k *secretKey, rest []byte, err error) {
	if len(b) < sealHead || b[0] != c.format {
		return nil, nil, errUnsealed
	}
	if k = keys.byID[binary.BigEndian.Uint32(b[1:])]; k == nil {
		return nil, nil, errUnknown
	}
	return k, b[sealHead:], nil
}

// codec seals and opens the entries of a table. It knows them as they stand in the store
// below, with their keys and names as they are there.
type codec struct {
	*schema
	format   byte
	names    Form
	digester *digester

	about     []byte   // format, table and key columns, with which begins what entries are bound to
	ofColumns [][]byte // what the digests of each column are about
	ofNames   []byte
	shares    bool // payloads are the store's own bytes
}

// scratch is memory in which seals are put together. What is opened may refer to it.
type scratch struct{ bound, plain, box []byte }

func newCodec(s *schema, opts *Options, d *digester, shares bool) *codec {
	c := &codec{schema: s, format: formatEncrypted, names: opts.Names, digester: d, shares: shares}
	if opts.Mode == Sign {
		c.format = formatSigned
	}
	c.about = s.append([]byte{c.format})
	for _, column := range s.spec.Key {
		c.ofColumns = append(c.ofColumns, about(aboutColumn, s.spec.Name, column.Name))
	}
	c.ofNames = about(aboutNames, s.spec.Name, "")
	return c
}

var scratches = sync.Pool{New: func() any { return &scratch{} }}

// key is a key, or the first values of one, as it is below.
func (c *codec) key(k driver.Key) driver.Key {
	if !c.any || len(k) == 0 {
		return k
	}
	below := make(driver.Key, len(k), len(k)+1)
	var room [256]byte
	for i, v := range k {
		if below[i] = v; c.digested[i] {
			below[i] = c.digester.of(c.ofColumns[i], driver.AppendKey(room[:0], k[i:i+1]))
		}
	}
	if len(k) == len(c.digested) {
		below = append(below, "") // of the column that marks the table
	}
	return below
}

// keys are those of several entries.
func (c *codec) keys(keys []driver.Key) []driver.Key {
	if !c.any {
		return keys
	}
	below := make([]driver.Key, len(keys))
	for i, k := range keys {
		below[i] = c.key(k)
	}
	return below
}

// name is a name as it is below.
func (c *codec) name(name string) string {
	switch {
	case c.names == Clear || name == "":
		return name
	case c.names == Digest:
		return c.digester.of(c.ofNames, []byte(name))
	default:
		return ""
	}
}

// appendValues appends the values of a key that are digests below.
func (c *codec) appendValues(b []byte, k driver.Key) []byte {
	if !c.any {
		return b
	}
	for i := range k {
		if c.digested[i] {
			b = driver.AppendKey(b, k[i:i+1])
		}
	}
	return b
}

// trueKey is the key that values were taken from.
func (c *codec) trueKey(below driver.Key, values []byte) (driver.Key, bool) {
	if !c.any || below == nil {
		return below, true
	}
	k := slices.Clone(below[:len(c.digested)])
	for i := range k {
		if !c.digested[i] {
			continue
		}
		var ok bool
		if k[i], values, ok = cutValue(values, c.spec.Key[i].Kind); !ok {
			return nil, false
		}
	}
	return k, len(values) == 0
}

// inside is what the seal of an entry's meta data holds. Its slices refer to a scratch.
type inside struct {
	tie        [tieSize]byte // what ties the payload to it
	payloadKey uint32        // the key that the payload is sealed with
	payloadSum uint32
	metaSum    uint32
	hasName    bool // the name is here, not below
	name       []byte
	values     []byte // of the key, that are digests below
	header     []byte
}

// What ties a payload to its meta data is a random number in mode Encrypt, and a digest of the
// payload in mode Sign.
const (
	tieSize    = 32
	randomSize = 16
)

// bindMeta is what the meta data of an entry is bound to: all of it that is readable below.
func (c *codec) bindMeta(b []byte, key driver.Key, e *driver.Entry) []byte {
	b = append(append(b, c.about...), 'm')
	b = driver.AppendKey(b, key)
	b = binary.BigEndian.AppendUint64(b, uint64(e.Status)) //nolint:gosec // any number has its own bytes
	b = appendString(b, e.Name)
	return appendTime(appendTime(b, e.CachedAt), e.ExpiresAt) // the zero time is before all others
}

func appendTime(b []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(t.UnixMicro())) //nolint:gosec // as above
}

// bindPayload is what a payload is bound to. Times and headers are not in it: they are
// renewed without the payload.
func (c *codec) bindPayload(b []byte, key driver.Key, e *driver.Entry, tie []byte) []byte {
	b = append(append(b, c.about...), 'p')
	b = driver.AppendKey(b, key)
	b = binary.BigEndian.AppendUint64(b, uint64(e.Status)) //nolint:gosec // as above
	b = appendString(b, e.Encoding)
	return append(b, tie...)
}

// seal turns an entry into one of the store below.
func (c *codec) seal(s *scratch, k *secretKey, e *driver.Entry) error {
	in := inside{metaSum: e.MetaSum, payloadSum: e.PayloadSum, header: []byte(e.Header)}
	s.plain = c.appendValues(s.plain[:0], e.Key)
	in.values = slices.Clone(s.plain)
	if c.names != Clear {
		in.hasName, in.name = true, []byte(e.Name)
	}
	e.Key, e.Name = c.key(e.Key), c.name(e.Name)
	if c.format == formatEncrypted {
		_, _ = rand.Read(in.tie[:randomSize]) // which never fails
	}
	if err := c.sealPayload(s, k, e, &in); err != nil {
		return err
	}
	return c.sealMeta(s, k, e, &in)
}

// sealPayload seals the payload of an entry that is otherwise as it is to stand below.
func (c *codec) sealPayload(s *scratch, k *secretKey, e *driver.Entry, in *inside) (err error) {
	in.payloadKey = k.id
	if c.format == formatSigned {
		in.tie = digestPayload(s, e)
		return nil
	}
	s.bound = c.bindPayload(s.bound[:0], e.Key, e, in.tie[:randomSize])
	box := make([]byte, 0, sealHead+len(e.Payload)+k.cipher.overhead())
	e.Payload, err = k.cipher.seal(appendHead(box, c.format, k), e.Payload, s.bound)
	e.PayloadSum = 0 // would tell of what is in it
	return err
}

// sealMeta sets the header of an entry that is otherwise as it is to stand below.
func (c *codec) sealMeta(s *scratch, k *secretKey, e *driver.Entry, in *inside) (err error) {
	if c.format == formatSigned {
		e.MetaSum = in.metaSum
		e.Header, err = c.signMeta(s, k, e, in)
		return err
	}
	e.MetaSum = 0
	s.plain = in.append(s.plain[:0])
	s.bound = c.bindMeta(s.bound[:0], e.Key, e)
	if s.box, err = k.cipher.seal(appendHead(s.box[:0], c.format, k), s.plain, s.bound); err == nil {
		e.Header = sealText(s, "")
	}
	return err
}

const hasName = 1 // a flag of what is inside

// clone no longer refers to a scratch.
func (in inside) clone() inside {
	in.name, in.values, in.header = slices.Clone(in.name), slices.Clone(in.values), slices.Clone(in.header)
	return in
}

func (in *inside) append(b []byte) []byte {
	var flags byte
	if in.hasName {
		flags |= hasName
	}
	b = append(append(b, flags), in.tie[:randomSize]...)
	for _, n := range []uint32{in.payloadKey, in.payloadSum, in.metaSum} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	b = append(binary.AppendUvarint(b, uint64(len(in.name))), in.name...)
	b = append(binary.AppendUvarint(b, uint64(len(in.values))), in.values...)
	return append(b, in.header...)
}

// read is the other way round.
func (in *inside) read(b []byte) (ok bool) {
	const fixed = 1 + randomSize + 3*4
	if len(b) < fixed {
		return false
	}
	in.hasName = b[0]&hasName != 0
	copy(in.tie[:randomSize], b[1:])
	numbers := b[1+randomSize:]
	in.payloadKey = binary.BigEndian.Uint32(numbers)
	in.payloadSum = binary.BigEndian.Uint32(numbers[4:])
	in.metaSum = binary.BigEndian.Uint32(numbers[8:])
	if in.name, b, ok = cutString(b[fixed:]); !ok {
		return false
	}
	in.values, in.header, ok = cutString(b)
	return ok
}

// openMeta opens the meta data of an entry as it stands below, and returns the key that it is
// sealed with.
func (c *codec) openMeta(s *scratch, keys *Keys, key driver.Key, e *driver.Entry, in *inside) (*secretKey, error) {
	text, header, ok := cutSeal(e.Header)
	if !ok {
		return nil, errUnsealed
	}
	var err error
	s.plain = append(s.plain[:0], text...)
	if s.box, err = sealEncoding.AppendDecode(s.box[:0], s.plain); err != nil {
		return nil, errMalformed
	}
	k, sealed, err := c.cutHead(s.box, keys)
	if err != nil {
		return nil, err
	}
	s.bound = c.bindMeta(s.bound[:0], key, e)
	if c.format == formatSigned {
		return k, c.verifyMeta(s, k, e, in, sealed, header)
	}
	plain, err := k.cipher.open(sealed, s.bound, true)
	if err != nil || header != "" || !in.read(plain) {
		return nil, errMismatch
	}
	return k, nil
}

// openPayload opens the payload of an entry as it stands below, and returns the number of
// the key that it is sealed with.
func (c *codec) openPayload(s *scratch, keys *Keys, key driver.Key, e *driver.Entry, in *inside) (uint32, error) {
	if c.format == formatSigned {
		if digestPayload(s, e) != in.tie {
			return 0, errMismatch
		}
		return in.payloadKey, nil
	}
	k, box, err := c.cutHead(e.Payload, keys)
	if err != nil {
		return 0, err
	}
	s.bound = c.bindPayload(s.bound[:0], key, e, in.tie[:randomSize])
	payload, err := k.cipher.open(box, s.bound, !c.shares)
	if err != nil {
		return 0, errMismatch
	}
	e.Payload, e.PayloadSum = payload, in.payloadSum
	return k.id, nil
}

// open turns an entry of the store below, of which Meta was read, into the caller's, with
// the parts that are wanted. key is the entry's, as it is below; e.Key is set where it was, and
// then to the caller's. old tells that a key other than the primary one has sealed it.
func (c *codec) open(s *scratch, keys *Keys, key driver.Key, e *driver.Entry, parts driver.Parts) (in inside, old bool, err error) {
	k, err := c.openMeta(s, keys, key, e, &in)
	if err != nil {
		return in, false, err
	}
	payloadKey := in.payloadKey
	if parts&driver.Payload != 0 {
		if payloadKey, err = c.openPayload(s, keys, key, e, &in); err != nil {
			return in, false, err
		}
	}
	var ok bool
	if e.Key, ok = c.trueKey(e.Key, in.values); !ok {
		return in, false, errMismatch
	}
	if e.Header = ""; parts&driver.Meta != 0 {
		e.Header, e.MetaSum = string(in.header), in.metaSum
		if in.hasName {
			e.Name = string(in.name)
		}
	}
	return in, k != keys.primary || payloadKey != keys.primary.id, nil
}

// The header of an entry below is a JSON object with the seal as text, and in mode Sign
// with the header itself. A store may give it other white space, and no other order: it is the
// one in which PostgreSQL keeps members.
const (
	sealMember   = `{"seal":`
	headerMember = `,"header":`
)

// sealEncoding has one text for each seal.
var sealEncoding = base64.RawStdEncoding.Strict()

// sealText is the header below of the seal in s.box.
func sealText(s *scratch, header string) string {
	s.plain = sealEncoding.AppendEncode(s.plain[:0], s.box)
	var b strings.Builder
	b.Grow(len(sealMember) + len(s.plain) + len(headerMember) + len(header) + 3)
	b.WriteString(sealMember)
	b.WriteByte('"')
	b.Write(s.plain)
	b.WriteByte('"')
	if header != "" {
		b.WriteString(headerMember)
		b.WriteString(header)
	}
	b.WriteByte('}')
	return b.String()
}

// cutSeal is the other way round.
func cutSeal(text string) (seal, header string, ok bool) {
	if seal, ok = strings.CutPrefix(text, sealMember); !ok {
		return "", "", false
	}
	if seal, ok = strings.CutPrefix(strings.TrimLeft(seal, " "), `"`); !ok {
		return "", "", false
	}
	seal, rest, _ := strings.Cut(seal, `"`)
	if rest, ok = strings.CutSuffix(rest, "}"); !ok || rest == "" {
		return seal, "", ok
	}
	rest = strings.TrimLeft(strings.TrimPrefix(rest, ","), " ")
	if header, ok = strings.CutPrefix(rest, headerMember[1:]); !ok {
		return "", "", false
	}
	return seal, strings.TrimLeft(header, " "), true
}
