package driver

import "context"

// As returns the first T among a store and those that it stands before: s itself, what its
// Unwrap method returns, and so on. A store that stands before another one, such as one that
// encrypts or counts, has a method
//
//	Unwrap() driver.Store
//
// if what it hides can be used beside it. So a caller finds optional interfaces such as
// [Watcher] through any number of layers. A layer that changes what such an interface tells,
// as one that stores other keys does, has to implement it itself, or else to have no
// Unwrap.
//
// The abilities of tables, [PromptTable], [NearTable] and [KeepingTable], are not looked for below a table:
// a layer's table has those that it can keep, and implements them.
func As[T any](s Store) (T, bool) {
	for s != nil {
		if found, ok := s.(T); ok {
			return found, true
		}
		layer, ok := s.(interface{ Unwrap() Store })
		if !ok {
			break
		}
		s = layer.Unwrap()
	}
	var none T
	return none, false
}

// Change tells what may have changed in a store.
type Change struct {
	Table string // its name; empty: any table
	Keys  []Key  // nil: any entry of the table
}

// Watcher is a [Store] that can tell of what others change in it: other processes, and other
// Stores of this one.
type Watcher interface {
	Store

	// Watch calls changed for what others put, renew, delete, clear or drop, until ctx is done
	// or the store cannot tell of it any more: then Watch returns, never with nil, and the
	// caller has to take everything for changed. Beforehand it calls begun, once, when every
	// change that is committed from then on will be told.
	//
	// A change is told within 100 milliseconds after it was committed, if the machine and the
	// network are idle, and never before it can be read. It may be told more than once, and
	// for more keys or tables than have changed; so may changes of this Store itself. That
	// an entry was used is no change. begun and changed are called by one goroutine at a time;
	// they must neither call the store nor take long. The receiver owns the Change.
	//
	// Several Watches may run at once. Close of the store ends them with [ErrClosed]. Where
	// what the store is connected to cannot tell of changes, Watch does not begin and returns
	// [errors.ErrUnsupported], wrapped.
	Watch(ctx context.Context, begun func(), changed func(Change)) error
}

// Announcer is a [Store] that watches another one for its own ends, and lets others listen:
// that costs nothing more.
type Announcer interface {
	Store

	// OnChange has tell called for what others have changed, as [Watcher] has it; for a zero
	// Change, too, when the store has lost sight of it. It returns what ends that: when
	// stop returns, tell is not running and is not called any more. tell must neither take
	// long, nor call the store or stop, nor change the keys, which others are told as well.
	OnChange(tell func(Change)) (stop func())
}
