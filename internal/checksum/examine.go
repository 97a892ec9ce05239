package checksum

import (
	"errors"

	"github.com/endpointcache/endpointcache/driver"
)

// The faults of entries.
var (
	ErrPayload = errors.New("the checksum of the body does not fit: it is not as it was saved")
	ErrMeta    = errors.New("the checksum of the headers, name and times does not fit: they are not as they were saved")
	ErrType    = errors.New("the store has something in it of another type than was saved")
)

// Examine tells what is wrong with an entry that was read with its payload and meta, and does
// nothing about it.
func Examine(e *driver.Entry) error {
	if e.Unreadable() {
		return ErrType
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	var meta, payload error
	if !s.metaIsRight(e.Key, e) {
		meta = ErrMeta
	}
	if !s.payloadIsRight(e.Key, e) {
		payload = ErrPayload
	}
	return errors.Join(meta, payload)
}
