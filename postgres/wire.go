package postgres

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/endpointcache/endpointcache/driver"
)

// Parameters and results are in PostgreSQL's binary form, see
// https://www.postgresql.org/docs/current/protocol-overview.html#PROTOCOL-FORMAT-CODES.
var binaryFormat = []int16{1}

// arguments are the parameters of a statement. Their memory is used again: a
// connection has copied them when it has taken them.
type arguments struct {
	values [][]byte
	arrays []array
	buffer []byte // of values that are no arrays
}

// array is a parameter with one value for each key or row.
type array struct {
	buffer []byte
	length int
	nulls  bool
}

const arrayHeader = 20

// maxKept is how many bytes a parameter may go on holding.
const maxKept = 8 << 20

var argumentsPool = sync.Pool{New: func() any { return new(arguments) }}

// newArguments returns parameters of which so many are arrays.
func newArguments(arrays int) *arguments {
	a := argumentsPool.Get().(*arguments)
	a.values, a.buffer = a.values[:0], a.buffer[:0]
	a.arrays = slices.Grow(a.arrays[:0], arrays)[:arrays]
	for i := range a.arrays {
		array := &a.arrays[i]
		array.buffer = append(array.buffer[:0], make([]byte, arrayHeader)...)
		array.length, array.nulls = 0, false
	}
	return a
}

// free lets others use the memory.
func (a *arguments) free() {
	kept := cap(a.buffer)
	for i := range a.arrays {
		kept += cap(a.arrays[i].buffer)
	}
	if kept <= maxKept {
		argumentsPool.Put(a)
	}
}

// finish makes the arrays the first parameters. types are those of their values.
func (a *arguments) finish(types []uint32) {
	for i := range a.arrays {
		array := &a.arrays[i]
		header := array.buffer[:0]
		header = binary.BigEndian.AppendUint32(header, 1) // dimension
		if array.nulls {
			header = binary.BigEndian.AppendUint32(header, 1)
		} else {
			header = binary.BigEndian.AppendUint32(header, 0)
		}
		header = binary.BigEndian.AppendUint32(header, types[i])
		header = binary.BigEndian.AppendUint32(header, uint32(array.length))
		_ = binary.BigEndian.AppendUint32(header, 1) // the first index
		a.values = append(a.values, array.buffer)
	}
}

func (a *array) null() {
	a.buffer = append(a.buffer, 0xff, 0xff, 0xff, 0xff)
	a.length++
	a.nulls = true
}

func (a *array) bytes(b []byte) {
	a.buffer = binary.BigEndian.AppendUint32(a.buffer, uint32(len(b)))
	a.buffer = append(a.buffer, b...)
	a.length++
}

func (a *array) string(s string) {
	a.buffer = binary.BigEndian.AppendUint32(a.buffer, uint32(len(s)))
	a.buffer = append(a.buffer, s...)
	a.length++
}

func (a *array) int64(n int64) {
	a.buffer = binary.BigEndian.AppendUint32(a.buffer, 8)
	a.buffer = binary.BigEndian.AppendUint64(a.buffer, uint64(n))
	a.length++
}

func (a *array) int32(n int32) {
	a.buffer = binary.BigEndian.AppendUint32(a.buffer, 4)
	a.buffer = binary.BigEndian.AppendUint32(a.buffer, uint32(n))
	a.length++
}

func (a *array) bool(b bool) {
	a.buffer = append(a.buffer, 0, 0, 0, 1, boolByte(b))
	a.length++
}

// jsonb is JSON text in the first version of JSONB's form.
func (a *array) jsonb(s string) {
	a.buffer = binary.BigEndian.AppendUint32(a.buffer, uint32(len(s)+1))
	a.buffer = append(a.buffer, jsonbVersion)
	a.buffer = append(a.buffer, s...)
	a.length++
}

const jsonbVersion = 1

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// key adds the values of a key to the first arrays.
func (a *arguments) key(k driver.Key) {
	for i, v := range k {
		switch v := v.(type) {
		case string:
			a.arrays[i].string(v)
		case int64:
			a.arrays[i].int64(v)
		case bool:
			a.arrays[i].bool(v)
		}
	}
}

// keyValues adds the values of a key as parameters of their own.
func (a *arguments) keyValues(k driver.Key) {
	for _, v := range k {
		switch v := v.(type) {
		case string:
			a.string(v)
		case int64:
			a.int64(v)
		case bool:
			a.add(append(a.buffer, boolByte(v)))
		}
	}
}

// add makes what was appended to the buffer a parameter. The parameters before
// it keep the memory that they had, should the buffer have moved.
func (a *arguments) add(appended []byte) {
	a.values = append(a.values, appended[len(a.buffer):len(appended):len(appended)])
	a.buffer = appended
}

func (a *arguments) null()           { a.values = append(a.values, nil) }
func (a *arguments) string(s string) { a.add(append(a.nonNil(), s...)) }
func (a *arguments) int64(n int64)   { a.add(binary.BigEndian.AppendUint64(a.buffer, uint64(n))) }
func (a *arguments) int32(n int32)   { a.add(binary.BigEndian.AppendUint32(a.buffer, uint32(n))) }

func (a *arguments) jsonb(s string) {
	a.add(append(append(a.buffer, jsonbVersion), s...))
}

// bytes adds b itself, which nobody may change before it is sent.
func (a *arguments) bytes(b []byte) {
	if b == nil {
		b = []byte{} // nil would be NULL
	}
	a.values = append(a.values, b)
}

// nonNil is the buffer: an empty string in a nil one would be NULL.
func (a *arguments) nonNil() []byte {
	if a.buffer == nil {
		a.buffer = make([]byte, 0, 64)
	}
	return a.buffer
}

// now adds the instant that a filter is about, if it has one.
func (a *arguments) now(f driver.Filter) {
	if f.State != driver.All {
		a.int64(timestamp(f.Now))
	}
}

// A timestamp counts microseconds from the year 2000; the largest is infinity, and
// the smallest is before all others.
const (
	epoch         = 946_684_800_000_000 // after 1970
	infinity      = math.MaxInt64
	minusInfinity = math.MinInt64
)

func timestamp(t time.Time) int64 { return t.UnixMicro() - epoch }

func expiry(t time.Time) int64 {
	if t.IsZero() {
		return infinity
	}
	return timestamp(t)
}

// columnType is the type of a key column.
func columnType(k driver.Kind) string {
	switch k {
	case driver.Int:
		return "bigint"
	case driver.Bool:
		return "boolean"
	default:
		return "text"
	}
}

func columnOID(k driver.Kind) uint32 {
	switch k {
	case driver.Int:
		return pgtype.Int8OID
	case driver.Bool:
		return pgtype.BoolOID
	default:
		return pgtype.TextOID
	}
}

var errRowType = errors.New("a row holds values of other types than were saved")

func readInt64(b []byte) (int64, error) {
	if len(b) != 8 {
		return 0, errRowType
	}
	return int64(binary.BigEndian.Uint64(b)), nil
}

func readInt32(b []byte) (int32, error) {
	if len(b) != 4 {
		return 0, errRowType
	}
	return int32(binary.BigEndian.Uint32(b)), nil
}

func readTime(b []byte) (time.Time, error) {
	n, err := readInt64(b)
	if err != nil || n == infinity {
		return time.Time{}, err
	}
	return time.UnixMicro(n + epoch).UTC(), nil
}
