package driver

import "context"

// Diagnoser is a [Store] that can tell how it is set up, and what is not as it should be. Stores implement it as far as
// they have something to tell; layers do not hide it.
type Diagnoser interface {
	// Diagnose returns findings, those of one matter beside each other. It changes nothing, and
	// takes no longer than a few reads, unless thorough is true: then it also checks the whole
	// store as far as the store has a check for it. What a server does not tell this user is a
	// finding, too. The error is that of a store that cannot be asked at all.
	Diagnose(ctx context.Context, thorough bool) ([]Finding, error)
}

// Finding is a fact about a store, in words for people, which may change. It has no secrets and
// nothing of what is stored.
type Finding struct {
	Subject string // what it is about, in a few words: "journal mode"
	Value   string // what it is: "wal"
	Level   Level
	Advice  string // what to do about it; empty if Good, and only then
}

// Level is how bad a finding is.
type Level uint8

// The levels.
const (
	Good    Level = iota // as it should be, or to be known
	Warning              // works, but may not last, or is slow
	Fault                // does not work, or loses data
)

func (l Level) String() string {
	switch l {
	case Good:
		return "good"
	case Warning:
		return "warning"
	default:
		return "fault"
	}
}

// Compactor is a [Store] that can give space back which deleted entries have left.
type Compactor interface {
	// Compact gives back what it can, and returns how many bytes, about; 0 where that is not
	// known. It may take as long as writing the whole store anew; other calls go on meanwhile,
	// some more slowly. Entries stay as they are. The error wraps [ErrReadOnly] where the store
	// was opened to be read, and [errors.ErrUnsupported] where the server has nothing like it.
	Compact(ctx context.Context) (freed int64, err error)
}
