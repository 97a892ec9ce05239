package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// busyTimeout is how long SQLite itself waits for a lock. It is short, as that
// wait ignores the context; retryBusy goes on waiting.
const busyTimeout = 100 * time.Millisecond

// SQLite's result codes, see https://sqlite.org/rescode.html.
const (
	codeBusy   = 5
	codeLocked = 6
	codeTooBig = 18
)

func resultCode(err error) int {
	var coded interface{ Code() int }
	if errors.As(err, &coded) {
		return coded.Code() & 0xff // the low byte of an extended code
	}
	return driverCode(err)
}

// retryBusy does a step until no lock is in its way or the context is done.
func retryBusy(ctx context.Context, step func() error) error {
	for {
		err := step()
		if code := resultCode(err); code != codeBusy && code != codeLocked {
			return err
		}
		wait := time.NewTimer(time.Millisecond + rand.N(10*time.Millisecond))
		select {
		case <-ctx.Done():
			wait.Stop()
			return fmt.Errorf("waiting for another user of the database: %w", ctx.Err())
		case <-wait.C:
		}
	}
}
