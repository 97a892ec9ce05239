package exchange

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/checksum"
	"github.com/endpointcache/endpointcache/internal/compress"
	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/internal/ruined"
)

// ErrRuined is the fault of an entry that was found damaged before.
var ErrRuined = errors.New("it was found damaged before, and waits to be replaced or cleared")

// ErrSealed is the fault of an entry that cannot be looked into.
var ErrSealed = errors.New("it is sealed: without its keys, nobody can tell whether it is as it was saved")

// Examine yields the entries that are selected, whole, with what is wrong with each: as the store
// has them, below the layers that leave out what is damaged and put it out of the way. Payloads
// are decompressed, if that can be done. It changes nothing. What marks have made old counts
// by its own expiry.
func (t *Table) Examine(ctx context.Context, sel driver.Selection) iter.Seq2[driver.Examined, error] {
	sel.Parts = driver.Payload | driver.Meta | driver.Usage
	return func(yield func(driver.Examined, error) bool) {
		for found, err := range driver.Examine(ctx, t.x.records.keptIn(), t.base, t.Spec(), sel) {
			if err == nil && found.Fault == nil {
				found.Fault, err = t.examine(ctx, &found.Entry)
			}
			if err != nil {
				yield(driver.Examined{}, err)
				return
			}
			if !yield(found, nil) {
				return
			}
		}
	}
}

// examine tells what is wrong with an entry of the store, nil for nothing, and decompresses its
// payload.
func (t *Table) examine(ctx context.Context, e *driver.Entry) (fault, err error) {
	if ruined.Is(e) {
		return ErrRuined, nil
	}
	if e.Unreadable() { // that can be told without its keys
		return checksum.ErrType, nil
	}
	if head.IsSealed(e.Header) {
		return ErrSealed, nil
	}
	if !t.traits.Intact {
		if fault := checksum.Examine(e); fault != nil {
			return fault, nil
		}
	}
	fault, err = t.decoder().Decode(ctx, e)
	if fault != nil || err != nil {
		return fault, err
	}
	if _, err := head.Decode(e.Header); err != nil {
		return fmt.Errorf("the headers cannot be decoded: %w", err), nil
	}
	return nil, nil
}

// decoder decompresses entries that are examined.
func (t *Table) decoder() *compress.Decoder {
	t.decoding.Do(func() { t.decodes = compress.NewDecoder(t.Name, t.x.storedDictionaries) })
	return t.decodes
}

// storedDictionaries is the table of dictionaries as the store has it: what is damaged there stays
// as it is. It makes none.
func (x *Exchange) storedDictionaries(ctx context.Context) (driver.Table, error) {
	there, err := x.dictionaries.isThere(ctx)
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, compress.ErrNoDictionaries
	}
	return x.dictionaries.keptIn().OpenTable(ctx, x.dictionaries.spec)
}
