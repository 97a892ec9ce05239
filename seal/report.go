package seal

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/internal/spell"
)

// reports tells of entries that cannot be opened, by table and reason.
type reports struct {
	failed atomic.Uint64
	spells spell.Spells[cause]
}

type cause struct{ table, reason string }

func (r *reports) init(log *slog.Logger) {
	r.spells.Tell = func(c cause, n int) {
		log.Warn("endpointcache: sealed entries are not used", "table", c.table, "reason", c.reason, "entries", n)
	}
}

// reason is a cause without what it may hold of keys or contents.
func reason(err error) string {
	for _, known := range []error{errUnsealed, errUnknown, errMalformed} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return errMismatch.Error()
}

func (r *reports) found(table string, err error) {
	r.failed.Add(1)
	r.spells.Found(cause{table, reason(err)}, 1, time.Now())
}

// tellAll tells what was not told yet.
func (r *reports) tellAll() { r.spells.TellAll() }
