package seal

import (
	"context"
	"errors"

	"github.com/endpointcache/endpointcache/driver"
)

// ErrNotSealed means that the entries of a store are not sealed.
var ErrNotSealed = errors.New("what is stored is not sealed")

// OptionsOf returns the options by which the entries of a store were sealed, for programs that have the keys and do
// not know them otherwise: the mode is that of an entry, and the forms of key columns are those of the tables. What
// stands in none of the two is the default; names are opened in any form. DigestKey and Logger are the caller's
// to set. The error is [ErrNotSealed] where there are entries, and none of the first ones of any table is sealed.
//
// The store is only read.
func OptionsOf(ctx context.Context, below driver.Store) (*Options, error) {
	if below == nil {
		return nil, errors.New("seal: there is no store")
	}
	specs, err := below.Tables(ctx)
	if err != nil {
		return nil, err
	}
	opts := &Options{}
	digests := make(map[string]*schema)
	entries, sealed := false, false
	for _, spec := range specs {
		if s := readSchema(spec); s.any {
			digests[s.spec.Name] = s
		}
		if !sealed {
			var some bool
			some, opts.Mode, sealed, err = modeOf(ctx, below, spec)
			if err != nil {
				return nil, err
			}
			entries = entries || some
		}
	}
	if entries && !sealed && len(digests) == 0 {
		return nil, ErrNotSealed
	}
	if len(digests) > 0 {
		opts.KeyColumn = func(table, column string) Form { return digests[table].form(column) }
	}
	return opts, nil
}

// form is how the values of a column are stored; a table that is not there, nil, has them in the clear.
func (s *schema) form(column string) Form {
	if s == nil {
		return Clear
	}
	for i, c := range s.spec.Key {
		if c.Name == column && s.digested[i] {
			return Digest
		}
	}
	return Clear
}

// looked is how many entries of a table are looked at for one that is sealed.
const looked = 100

// modeOf is the mode in which the entries of a table, of which there are some, are sealed.
func modeOf(ctx context.Context, below driver.Store, spec driver.TableSpec) (some bool, mode Mode, sealed bool, err error) {
	t, err := below.OpenTable(ctx, spec)
	if err != nil {
		return false, 0, false, err
	}
	n := 0
	for e, err := range t.Entries(ctx, driver.Selection{Parts: driver.Meta}) {
		if err != nil {
			return false, 0, false, err
		}
		if text, _, ok := cutSeal(e.Header); ok {
			switch box, _ := sealEncoding.DecodeString(text); {
			case len(box) > 0 && box[0] == formatEncrypted:
				return true, Encrypt, true, nil
			case len(box) > 0 && box[0] == formatSigned:
				return true, Sign, true, nil
			}
		}
		if n++; n == looked {
			break
		}
	}
	return n > 0, 0, false, nil
}
