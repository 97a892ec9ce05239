package driver

import (
	"context"
	"iter"
)

// Examined is an entry with what is wrong with it.
type Examined struct {
	Entry       // as far as it can be read: without a Key where not even that can be
	Fault error // without contents of the entry; nil for nothing
}

// Examiner is a [Store] that leaves out by itself what it finds damaged, as far as it does: see Intact of
// [Traits] and [WrongSum]. It can tell of it.
type Examiner interface {
	Store

	// Examine yields the entries of the table that spec describes which are selected, with those
	// that reads leave out, and what is wrong with these. One of which not enough can be read to
	// tell whether it is selected is yielded. The caller guarantees that there is such a table.
	// Examine changes nothing: neither does it put out of the way what is damaged, nor does it
	// tell of it otherwise. Apart from that, it is as Entries of a [Table].
	Examine(ctx context.Context, spec TableSpec, sel Selection) iter.Seq2[Examined, error]
}

// Examine is Examine of the store if it is an [Examiner], and otherwise Entries of its table t: of
// a store that does not leave out what is damaged, the entries are as they are.
func Examine(ctx context.Context, s Store, t Table, spec TableSpec, sel Selection) iter.Seq2[Examined, error] {
	if examiner, ok := As[Examiner](s); ok {
		return examiner.Examine(ctx, spec, sel)
	}
	return func(yield func(Examined, error) bool) {
		for e, err := range t.Entries(ctx, sel) {
			if !yield(Examined{Entry: e}, err) || err != nil {
				return
			}
		}
	}
}
