package filesystem

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/endpointcache/endpointcache/internal/filelock"
)

// stripes is how many locks a table has. An entry belongs to the one of the first
// digit of its folder.
const stripes = 16

// stripe is one of a table's locks. A process has it through turn, and all
// processes through a file.
type stripe struct{ turn chan struct{} }

// lock waits for a stripe as long as ctx lets it. While it is held, nobody else
// replaces an entry of the stripe.
func (t *table) lock(ctx context.Context, f *folder, n int) (unlock func(), err error) {
	turn := t.stripes[n].turn
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	held, err := lockFile(ctx, f.root, fmt.Sprintf("%s%x", lockPrefix, n))
	if err != nil {
		<-turn
		return nil, err
	}
	return func() {
		_ = held.Close() // which unlocks it
		<-turn
	}, nil
}

// lockToRemove is lock for who removes entries. done unlocks it, and before tells those who
// watch if something was removed. What it returns is about that.
func (t *table) lockToRemove(ctx context.Context, f *folder, n int) (done func(removed bool) error, err error) {
	// Who has a number is missed if it dies in between. On a full disk, there is no room for
	// one more file until something was removed.
	_, _ = f.writer(ctx)
	unlock, err := t.lock(ctx, f, n)
	if err != nil {
		return nil, err
	}
	return func(removed bool) error {
		defer unlock()
		if !removed {
			return nil
		}
		w, err := f.writer(context.WithoutCancel(ctx))
		if err != nil {
			return err
		}
		return w.mark()
	}, nil
}

// lockFile creates a file where it is absent and locks it until it is closed.
func lockFile(ctx context.Context, root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, writing(err)
	}
	if err := filelock.Lock(ctx, f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
