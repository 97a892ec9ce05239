package mongodb

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/gate"
)

// maxConflicts is how often a save is done again that was in another's way.
const maxConflicts = 10

// repeat does what may be done twice. It does it again, once, where the connection
// was lost: the driver does that for reads, and for writes to a replica set alone. It
// also does it again where another call has just inserted the same document.
func repeat(ctx context.Context, do func() error) error {
	lost := false
	for conflicts := 0; ; {
		err := do()
		switch {
		case err == nil || ctx.Err() != nil:
			return err
		case mongo.IsDuplicateKeyError(err) && conflicts < maxConflicts:
			conflicts++
			if err := wait(ctx, rand.N(time.Duration(conflicts)*5*time.Millisecond)); err != nil {
				return err
			}
		case isLost(err) && !lost:
			lost = true
		default:
			return err
		}
	}
}

// isLost reports whether a call's connection was lost, or closed with others of which
// one was, before anything was sent.
func isLost(err error) bool {
	var unsent interface{ Retryable() bool }
	return mongo.IsNetworkError(err) || errors.As(err, &unsent) && unsent.Retryable()
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// The server's codes of errors, see
// https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml.
const (
	codeUnauthorized   = 13
	codeIndexOptions   = 85
	codeObjectTooLarge = 10334
	codeDuplicateKey   = 11000
	codeKeyTooLong     = 17280
	codeUpdateTooLarge = 17419
)

// explain adds to err what a caller can act on.
func explain(ctx context.Context, err error) error {
	done := gate.Usable(ctx)
	switch {
	case done != nil && !errors.Is(err, done):
		return fmt.Errorf("%w: %w", done, err)
	case hasCode(err, codeObjectTooLarge) || hasCode(err, codeUpdateTooLarge) || hasCode(err, codeKeyTooLong):
		return fmt.Errorf("%w: %w", driver.ErrTooLarge, err)
	}
	return err
}

// isAnswer reports whether a server has answered that it does not do what it was asked.
func isAnswer(err error) bool {
	var e mongo.CommandError
	return errors.As(err, &e) && !isLost(err)
}

func hasCode(err error, code int) bool {
	var e mongo.ServerError
	return errors.As(err, &e) && e.HasErrorCode(code)
}
