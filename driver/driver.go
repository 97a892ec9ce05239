// Package driver is the contract between endpointcache and the stores that
// keep its data. Authors of a backend implement [Store] and [Table] and prove
// them with one call to drivertest.Run; users of the library need only the
// errors and the [State] of this package.
//
// # What every backend promises
//
//   - A table holds entries under a composite key of any number of columns of
//     string, integer and boolean kind, in their declared order. Two keys are
//     equal only if all their values are, to the byte: no case folding, no
//     trimming, no separator that a value could contain.
//   - Names and payloads come back byte for byte, empty and binary ones too,
//     headers as an equal JSON object; times come back to the microsecond and
//     in UTC, checksums and the encoding as they were given.
//   - An entry is live at an instant before its ExpiresAt and expired from
//     that instant on, to the microsecond, whatever clock or expiry the store
//     itself has. An entry without ExpiresAt is always live.
//   - A [Filter] selects by expiry, by the first values of keys, by what [Where]
//     says, or by all of these, and holds in every operation that takes one. What
//     it does not select stays as it is.
//   - An entry is written and read as a whole: no reader sees half of one.
//     What a call has saved or deleted is committed when the call returns.
//   - An operation touches its own table alone.
//   - Operations on many keys take a bounded number of statements or round
//     trips for each chunk of keys, never one for each key.
//   - A Store and its Tables may be used by many goroutines at once.
//   - A call whose context is done before its work begins changes nothing and
//     returns the context's error, wrapped. A call on no keys or entries does
//     nothing and succeeds, unless its context is done or its store closed.
//   - After Close every call returns [ErrClosed], wrapped.
//   - Every error of a store or table is an [OpError], or wraps one.
//
// Where a store cannot help being different, it says so in its [Traits].
package driver

import (
	"context"
	"iter"
	"time"
)

// Store is a database, folder or server that keeps tables of entries.
type Store interface {
	// Traits tells what kind of store this is and how it differs from others.
	Traits() Traits

	// OpenTable returns the table that spec describes and creates it where it
	// is absent. The caller guarantees that spec is valid (see
	// [TableSpec.Validate]). Where there is a table of that name whose key
	// columns differ in name, kind or order, or something of that name that
	// is no table of ours, OpenTable returns a [SchemaError] and changes
	// nothing; so it does where there is a table whose name differs in case
	// only, if the store cannot keep the two apart. Many goroutines and
	// processes may open one table at once.
	OpenTable(ctx context.Context, spec TableSpec) (Table, error)

	// Tables returns the tables that there are, whoever has created them, by
	// their names in byte order. What is no table of ours is left out.
	Tables(ctx context.Context) ([]TableSpec, error)

	// DropTable removes the table of that name with all its entries, and does
	// nothing if there is none. What is no table of ours stays, and is a
	// [SchemaError]. What calls on a Table that is open on it do afterwards is
	// up to the store, until OpenTable has made it anew; they touch no other
	// table. Many goroutines and processes may drop one table at once.
	DropTable(ctx context.Context, name string) error

	// Close waits for running operations, then releases what the store
	// holds. Closing twice is not an error.
	Close() error
}

// Traits are the honest differences between stores.
type Traits struct {
	// Kind is the store's kind in lower case, such as "sqlite". It begins the
	// store's errors.
	Kind string

	// SharesPayload is true where the payloads handed out are the stored
	// bytes themselves, which the receiver must not modify. Otherwise they
	// belong to the receiver.
	SharesPayload bool

	// Vanishes is true where entries may disappear by themselves before they
	// are cleared: expired ones, or those that a bounded store evicts.
	Vanishes bool

	// Intact is true where an entry cannot be damaged without the store's finding
	// out by itself, so that it needs no checksums.
	Intact bool

	// Lags is how long a change that another Store has made may go unseen by this
	// one's Gets; 0: they see it once it is committed. What goes by more than the key,
	// and what writes, sees it at once.
	Lags time.Duration

	// ReadOnly is true where the store was opened to be read: whatever changes it returns
	// [ErrReadOnly].
	ReadOnly bool
}

// Table holds the entries of one repository.
type Table interface {
	// Get calls visit for each i whose key is stored and selected (the caller
	// guarantees that Where is zero), and leaves
	// out the others; a key that is given twice is visited twice. The entry's
	// Key is not set. The order is the store's, and visit may be called from
	// several goroutines at once, never twice for one i; all calls have ended
	// when Get returns. visit must not call the store.
	//
	// The entries seen by one call need not stem from one instant.
	Get(ctx context.Context, keys []Key, sel Selection, visit func(i int, e Entry)) error

	// Put stores entries and replaces those that have the same key. Of two
	// entries with one key, the later wins. The caller guarantees that keys
	// fit the table's columns and that times are UTC and hold whole
	// microseconds; the table neither keeps nor changes keys and payloads.
	//
	// An entry that the store cannot hold is [ErrTooLarge]. Where Put fails,
	// each entry was either replaced as a whole or left as it was.
	Put(ctx context.Context, entries []Entry) error

	// PutIf stores those of the entries for which the condition holds, each in
	// one step with its check, and reports by index which it has stored. The
	// caller guarantees what Put asks for, and that no two entries have the same
	// key. Of several callers that put one key at a time if it is absent, or not
	// live, exactly one stores its entry, in this process and in others.
	//
	// An entry whose condition holds and that the store cannot hold is [ErrTooLarge];
	// an unknown precondition is an error, too. Where PutIf fails, it reports nothing,
	// and each entry was either stored as a whole or left as it was. It never reports
	// that an entry is not stored where nobody knows whether it is.
	PutIf(ctx context.Context, entries []Entry, c Condition) (stored []bool, err error)

	// Renew changes the times and headers of stored entries, each in one step with
	// the check that it is the one that was seen, and reports by index which it has
	// changed, even if to what they were. Keys without an entry are left out. It
	// neither reads nor sends payloads, as far as the store can help it. The caller
	// guarantees of keys, times and headers what Put asks for, and that no two renewals
	// have the same key.
	//
	// Headers for which an entry has no room are [ErrTooLarge]. Where Renew fails, it
	// reports nothing, and each entry was either renewed as a whole or left as it was.
	Renew(ctx context.Context, renewals []Renewal) (renewed []bool, err error)

	// Delete removes the entries with these keys, live or expired, and
	// returns how many it removed.
	Delete(ctx context.Context, keys []Key) (int, error)

	// Pop removes the entry with this key if the filter selects it, and returns
	// it, in one step: of several callers one gets it, and an entry that is
	// put meanwhile stays or is the one returned. ok is false for a miss.
	// The caller guarantees that Where is zero.
	Pop(ctx context.Context, key Key, f Filter) (e Entry, ok bool, err error)

	// Count returns how many entries the filter selects, without reading
	// their payloads.
	Count(ctx context.Context, f Filter) (int, error)

	// Clear removes the entries that the filter selects and returns how many
	// it removed.
	Clear(ctx context.Context, f Filter) (int, error)

	// Entries yields the selected entries, Key set, in the store's order.
	// An entry that stays unchanged from the first step to the last is
	// yielded exactly once; one that is written or deleted meanwhile may be
	// yielded or not. The loop's body may use the table freely: an iteration
	// blocks no writer and holds no lock while its body runs. An error ends
	// the sequence and is its last element.
	Entries(ctx context.Context, sel Selection) iter.Seq2[Entry, error]

	// List returns the first entries of a listing, Key set. See [Listing].
	List(ctx context.Context, l Listing) ([]Entry, error)

	// Use records that the entries with these keys were used at an instant: UTC,
	// whole microseconds. It changes their UsedAt, if that is earlier, and nothing
	// else. Keys without an entry are left out.
	Use(ctx context.Context, keys []Key, at time.Time) error

	// Size tells how much the table holds, without reading payloads.
	Size(ctx context.Context) (Size, error)
}

// Size is how much a table holds, live and expired.
type Size struct {
	Entries int
	Bytes   int64 // the sum of the entries' Size
}

// PromptTable is a [Table] whose Get waits for nothing but this machine's memory
// and disk, and ends soon after its context does. A caller that must not be held
// up may call it on its own goroutine; it watches the Get of any other table from
// another one. Tables of stores on a network are not prompt.
type PromptTable interface {
	Table
	GetsPromptly()
}

// NearTable is a [Table] that has some of its entries in this process's memory, and the others
// where Get has to wait for them.
type NearTable interface {
	Table

	// GetNear is Get of one key where that waits for nothing and nobody. found tells whether
	// the entry is there and selected. Where known is false, it cannot tell, and the caller
	// has to ask Get: so it is for a Selection with Usage, and once the store is closed.
	GetNear(key Key, sel Selection) (e Entry, found, known bool)
}

// KeepingTable is a [Table] in this process's memory that can keep payloads as they are,
// where Table's methods have to copy them.
type KeepingTable interface {
	Table

	// PutIfKept is PutIf for entries whose payloads the caller gives away: the table may keep
	// them, and nobody changes them any more. Others may go on reading them.
	PutIfKept(ctx context.Context, entries []Entry, c Condition) (stored []bool, err error)
}

// Entry is one stored response.
type Entry struct {
	Key       Key
	Name      string    // readable name taken from the payload; may be empty
	Status    int       // HTTP status
	Header    string    // response headers as a JSON object without \u0000, or empty
	Payload   []byte    // the body, as Encoding tells; nil and empty are one
	CachedAt  time.Time // the instant as of which it is known, such as when its request was sent
	ExpiresAt time.Time // the first instant at which it is expired; zero: never

	// Encoding is how the body stands in Payload, such as "zstd": a short word of
	// lower-case letters and digits. Empty: exactly as it came.
	Encoding string

	// PayloadSum and MetaSum are checksums of the parts, 0 for none. To a store they
	// are numbers that are kept. One that does not keep the other contents of a part
	// byte for byte returns 0, except for a header; so may one that has found them right.
	// Where there is something in a part that the store has not written, such as a text in
	// place of a number, that is empty here, and the sum is [WrongSum].
	PayloadSum, MetaSum uint32

	// UsedAt is when the entry was used last: its CachedAt when it is put and when it is
	// renewed, or what Use of its [Table] has recorded since. Size is about how many
	// bytes it takes in the store: those of its payload, name and key at least. The store
	// sets both.
	UsedAt time.Time
	Size   int64
}

// WrongSum is the checksum of a part of which a store cannot read all: no contents have it. So the entry is
// one that is damaged, and an operation that comes upon it goes on. An entry whose key cannot be read is left out by
// all reads but those of an [Examiner].
const WrongSum uint32 = 1<<32 - 1

// Unreadable reports whether the store could not read all of a part of e, see [WrongSum].
func (e Entry) Unreadable() bool { return e.MetaSum == WrongSum || e.PayloadSum == WrongSum }

// Live reports whether e is live at now.
func (e Entry) Live(now time.Time) bool {
	return e.ExpiresAt.IsZero() || now.Before(e.ExpiresAt)
}
