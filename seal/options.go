package seal

import (
	"errors"
	"fmt"
	"log/slog"
)

// Mode is what is done with entries.
type Mode uint8

const (
	// Encrypt keeps contents secret, and what is not as it was stored unused.
	Encrypt Mode = iota

	// Sign leaves contents readable, and what is not as it was stored unused.
	Sign
)

// Form is how a name or a value of a key column stands in the store below.
type Form uint8

const (
	// Sealed is encrypted with the other contents: nothing can be told from it, nor searched
	// for. It is for names.
	Sealed Form = iota

	// Digest is a keyed digest: entries can be found by the whole value, and whoever reads
	// the store can tell which ones have the same.
	Digest

	// Clear is as it is.
	Clear
)

// Options are the settings of a store. A nil *Options means the defaults.
type Options struct {
	// Mode is what is done with entries. The default is [Encrypt].
	Mode Mode

	// Names is how the names of entries are stored in mode Encrypt. The default is [Sealed].
	// In mode Sign they are in the clear.
	Names Form

	// KeyColumn tells how the values of a key column are stored: [Clear] or [Digest]. It is
	// asked when a table is opened, with the table's name and the column's; those are stored
	// as they are. Nil: all are in the clear. In mode Sign they have to be.
	//
	// The tables that a cache has for its own use are asked about, too. Their names begin
	// with "endpointcache_".
	KeyColumn func(table, column string) Form

	// DigestKey is what digests are made with: 32 random bytes or more. It is needed where
	// anything is a digest, and stays when other keys are rotated: entries are found by
	// their digests. A table with digests cannot be opened with another one.
	DigestKey []byte

	// Logger is told of entries that cannot be opened, of the first one of a table and reason
	// at once, then together at most once a minute. The default is [slog.Default].
	Logger *slog.Logger
}

func (o *Options) validate() (Options, error) {
	var opts Options
	if o != nil {
		opts = *o
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.Mode == Sign && opts.Names == Sealed {
		opts.Names = Clear
	}
	switch {
	case opts.Mode > Sign:
		return opts, fmt.Errorf("seal: unknown mode %d", opts.Mode)
	case opts.Names > Clear:
		return opts, fmt.Errorf("seal: unknown form %d of names", opts.Names)
	case opts.Mode == Sign && (opts.Names != Clear || opts.KeyColumn != nil):
		return opts, errors.New("seal: where entries are signed, names and key columns are in the clear")
	case len(opts.DigestKey) > 0 && len(opts.DigestKey) < minKey:
		return opts, fmt.Errorf("seal: DigestKey has %d bytes: it has %d random bytes at least", len(opts.DigestKey), minKey)
	case len(opts.DigestKey) == 0 && (opts.Names == Digest || opts.KeyColumn != nil):
		return opts, errors.New("seal: digests need a DigestKey")
	}
	return opts, nil
}
