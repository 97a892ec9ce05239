package compress

import (
	"context"
	"errors"
	"fmt"

	"github.com/endpointcache/endpointcache/driver"
)

// Decoder decodes entries for whoever examines them: it neither reports nor leaves out those that
// cannot be decoded. Many goroutines may use it at once.
type Decoder struct{ table *table }

// NewDecoder returns one for the entries of a repository. Dictionaries is as in [Options], and
// returns ErrNoDictionaries where there is no such table.
func NewDecoder(repository string, dictionaries func(context.Context) (driver.Table, error)) *Decoder {
	return &Decoder{newTable(nil, Options{Repository: repository, Dictionaries: dictionaries})}
}

// ErrNoDictionaries means that there is no table of dictionaries.
var ErrNoDictionaries = errors.New("there is no table of dictionaries")

// Decode makes the payload of an entry what it was before it was compressed. The fault is that of
// an entry for which that cannot be done, err the store's.
func (d *Decoder) Decode(ctx context.Context, e *driver.Entry) (fault, err error) {
	if e.Encoding == "" {
		return nil, nil
	}
	fault = d.table.decode(e)
	if errors.Is(fault, errNoDictionary) {
		id, _, _ := dictionaryOf(e.Payload)
		if err := d.table.known.load(ctx, id); err != nil && !errors.Is(err, ErrNoDictionaries) {
			return nil, err
		}
		fault = d.table.decode(e)
	}
	if fault != nil {
		fault = fmt.Errorf("the body is kept as %q and cannot be decompressed: %w", e.Encoding, fault)
	}
	return fault, nil
}
