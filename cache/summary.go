package cache

import (
	"context"
	"errors"
	"time"
)

// Summary tells what a table of the store holds. Variants are not counted.
type Summary struct {
	Table

	Live    int   // entries that have not expired
	Expired int   // entries that have
	Absent  int   // entries of both kinds which say that the origin has nothing, a 404 or 410
	Bytes   int64 // as in Size

	// Oldest and Newest are when the first and the last of the entries were requested; zero
	// where there are none.
	Oldest, Newest time.Time
}

// Summaries returns what each table of the contents holds, by name in byte order. It reads no
// bodies, and changes nothing.
func (s *Contents) Summaries(ctx context.Context) ([]Summary, error) {
	return nil, errors.ErrUnsupported
}
