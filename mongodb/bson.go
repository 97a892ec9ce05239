package mongodb

import (
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Documents are written in BSON as it stands, see https://bsonspec.org/spec.html:
// each value has a type, a name that ends with a zero byte, and its bytes.

// begin appends the length of a document, which end fills in.
func begin(b []byte) (start int, _ []byte) { return len(b), append(b, 0, 0, 0, 0) }

func end(b []byte, start int) []byte {
	b = append(b, 0)
	binary.LittleEndian.PutUint32(b[start:], uint32(len(b)-start))
	return b
}

func appendName(b []byte, t bson.Type, name string) []byte {
	return append(append(append(b, byte(t)), name...), 0)
}

func beginDocument(b []byte, name string) (start int, _ []byte) {
	return begin(appendName(b, bson.TypeEmbeddedDocument, name))
}

func beginArray(b []byte, name string) (start int, _ []byte) {
	return begin(appendName(b, bson.TypeArray, name))
}

// content is a string or a slice of bytes, so that neither needs to be copied.
type content interface{ ~string | ~[]byte }

func appendString[T content](b []byte, name string, s T) []byte {
	b = appendName(b, bson.TypeString, name)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(s)+1))
	return append(append(b, s...), 0)
}

// appendText appends a string where s is text, and binary data where it is not.
func appendText[T content](b []byte, name string, s T, isText bool) []byte {
	if isText {
		return appendString(b, name, s)
	}
	b = appendName(b, bson.TypeBinary, name)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(s)))
	return append(append(b, bson.TypeBinaryGeneric), s...)
}

func appendInt32(b []byte, name string, n int32) []byte {
	return binary.LittleEndian.AppendUint32(appendName(b, bson.TypeInt32, name), uint32(n))
}

func appendInt64(b []byte, name string, n int64) []byte {
	return binary.LittleEndian.AppendUint64(appendName(b, bson.TypeInt64, name), uint64(n))
}

// appendDate appends an instant to the millisecond.
func appendDate(b []byte, name string, t time.Time) []byte {
	return binary.LittleEndian.AppendUint64(appendName(b, bson.TypeDateTime, name), uint64(t.UnixMilli()))
}

func appendObjectID(b []byte, name string, id bson.ObjectID) []byte {
	return append(appendName(b, bson.TypeObjectID, name), id[:]...)
}

func appendBool(b []byte, name string, v bool) []byte {
	b = appendName(b, bson.TypeBoolean, name)
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// appendStrings appends an array.
func appendStrings(b []byte, name string, all []string) []byte {
	start, b := beginArray(b, name)
	var digits [20]byte
	for i, s := range all {
		b = append(b, byte(bson.TypeString))
		b = append(append(b, strconv.AppendInt(digits[:0], int64(i), 10)...), 0)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(s)+1))
		b = append(append(b, s...), 0)
	}
	return end(b, start)
}

// appendTexts appends an array of what appendText appends.
func appendTexts(b []byte, name string, all []string) []byte {
	start, b := beginArray(b, name)
	for i, s := range all {
		b = appendText(b, strconv.Itoa(i), s, isText(s))
	}
	return end(b, start)
}

var errDocument = errors.New("a document holds values of other types than were saved")

// text is the reverse of appendText. What it returns is the document's memory.
func text(v bson.RawValue) ([]byte, error) {
	switch v.Type {
	case bson.TypeString:
		if n := len(v.Value); n >= 5 {
			return v.Value[4 : n-1], nil
		}
	case bson.TypeBinary:
		if subtype, data, ok := v.BinaryOK(); ok && subtype == bson.TypeBinaryGeneric {
			return data, nil
		}
	default:
	}
	return nil, errDocument
}
