package outage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
)

const (
	slack      = waitfor.Limit // that a call may take beyond its deadline on a busy machine
	unhurried  = waitfor.Limit // a deadline that is not met where something hangs
	everything = driver.Payload | driver.Meta
)

var all = driver.Selection{Parts: everything}

// Entries tell in each of their parts which key and version they are of, so that
// parts of two of them show.

func key(owner, i int) driver.Key { return driver.Key{fmt.Sprintf("owner %d", owner), int64(i)} }

func entry(k driver.Key, version, size int) driver.Entry {
	text := fmt.Sprintf("%v version %d;", k, version)
	return driver.Entry{
		Key:      k,
		Name:     text,
		Status:   version,
		Header:   fmt.Sprintf(`{"Etag":[%q]}`, text),
		Payload:  bytes.Repeat([]byte(text), 1+size/len(text)),
		CachedAt: time.Unix(int64(version), 0).UTC(),
	}
}

func entries(owner, n, version, size int) (es []driver.Entry) {
	for i := range n {
		es = append(es, entry(key(owner, i), version, size))
	}
	return es
}

func keys(owner, n int) (ks []driver.Key) {
	for i := range n {
		ks = append(ks, key(owner, i))
	}
	return ks
}

// check returns an error unless e is one entry of k as a whole.
func check(k driver.Key, e driver.Entry, size int) error {
	want := entry(k, e.Status, size)
	switch {
	case e.Name != want.Name:
		return fmt.Errorf("the name of %v is %q, not %q", k, e.Name, want.Name)
	case !e.CachedAt.Equal(want.CachedAt):
		return fmt.Errorf("%v has version %d, saved at %v", k, e.Status, e.CachedAt)
	case !bytes.Contains([]byte(e.Header), fmt.Appendf(nil, "%q", want.Name)):
		return fmt.Errorf("the header of %v, version %d, is %s", k, e.Status, e.Header)
	case !bytes.Equal(e.Payload, want.Payload):
		return fmt.Errorf("the payload of %v, version %d, is another: %d bytes of %d", k, e.Status, len(e.Payload), len(want.Payload))
	}
	return nil
}

// versions reads an owner's entries, which must be whole, and returns the version
// of each by its number.
func versions(ctx context.Context, table driver.Table, owner, n, size int) (map[int]int, error) {
	found := make(map[int]int)
	var wrong error
	var order = make(chan struct{}, 1) // visits may come at once
	ks := keys(owner, n)
	err := table.Get(ctx, ks, all, func(i int, e driver.Entry) {
		order <- struct{}{}
		defer func() { <-order }()
		if _, twice := found[i]; twice {
			wrong = errors.Join(wrong, fmt.Errorf("%v is found twice", ks[i]))
		}
		found[i] = e.Status
		wrong = errors.Join(wrong, check(ks[i], e, size))
	})
	if wrong != nil {
		return nil, wrongError{wrong}
	}
	return found, err
}

// wrongError is a defect, while other errors are those of an outage.
type wrongError struct{ error }

// inTime calls do with a deadline and returns its error. Where do comes back late,
// or its error is not of the kind that an outage causes, that is a wrongError.
func inTime(timeout time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	begin := time.Now()
	err := do(ctx)
	took := time.Since(begin)
	var operation *driver.OpError
	switch {
	case errors.As(err, new(wrongError)):
		return err
	case took > timeout+slack:
		return wrongError{fmt.Errorf("a call with %v took %v: %w", timeout, took, errOr(err))}
	case err == nil:
		return nil
	case !errors.As(err, &operation) || operation.Store != "postgres" || operation.Table != spec.Name:
		return wrongError{fmt.Errorf("no OpError of the table: %w", err)}
	case ctx.Err() != nil && !errors.Is(err, context.DeadlineExceeded):
		return wrongError{fmt.Errorf("after its deadline, a call does not say so: %w", err)}
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		return wrongError{fmt.Errorf("after %v of %v a call tells of a deadline: %w", took, timeout, err)}
	case errors.Is(err, driver.ErrClosed) || errors.Is(err, driver.ErrTooLarge) || errors.Is(err, driver.ErrSchema):
		return wrongError{fmt.Errorf("another error than that of an outage: %w", err)}
	}
	return err
}

func errOr(err error) error {
	if err == nil {
		return errors.New("it succeeded")
	}
	return err
}
