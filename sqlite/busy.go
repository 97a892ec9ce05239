package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// busyTimeout is how long SQLite itself waits for a lock. It is short, as that
// wait ignores the context; waitBusy goes on waiting.
const busyTimeout = 100 * time.Millisecond

// SQLite's result codes, see https://sqlite.org/rescode.html.
const (
	codeError        = 1 // of a statement, such as one about what is not there
	codeBusy         = 5
	codeLocked       = 6
	codeReadOnly     = 8
	codeCorrupt      = 11
	codeFull         = 13
	codeProtocol     = 15
	codeTooBig       = 18
	codeNotADatabase = 26

	// An extended code, whose low byte is that of any I/O error.
	codeShortRead = 522 // of a log that is shorter than the shared memory says
)

func resultCode(err error) int { return extendedCode(err) & 0xff }

func extendedCode(err error) int {
	var coded interface{ Code() int }
	if errors.As(err, &coded) {
		return coded.Code()
	}
	return driverCode(err)
}

// isBusy reports whether err is of a lock in the way.
func isBusy(err error) bool {
	if err == nil {
		return false
	}
	code := resultCode(err)
	return code == codeBusy || code == codeLocked ||
		code == codeProtocol // of a log that others use so much that a reader did not find its place
}

// waitBusy waits a little for a lock, unless the context is done.
func waitBusy(ctx context.Context) error {
	wait := time.NewTimer(time.Millisecond + rand.N(10*time.Millisecond))
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("waiting for another user of the database: %w", ctx.Err())
	case <-wait.C:
		return nil
	}
}

// retryBusy does a step until no lock is in its way or the context is done.
func retryBusy(ctx context.Context, step func() error) error {
	err := step()
	for isBusy(err) {
		if err = waitBusy(ctx); err != nil {
			return err
		}
		err = step()
	}
	return err
}
