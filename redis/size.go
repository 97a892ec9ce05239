package redis

import (
	"context"

	"github.com/redis/rueidis"

	"github.com/endpointcache/endpointcache/driver"
)

// overhead is about how many bytes a server takes for an entry besides its string and the
// name of that: for both of them, rounded up, and for the place in the index.
const overhead = 250

// size is how many bytes the entry at p takes whose string has so many.
func (p *place) size(value int) int64 { return int64(value + len(p.name) + overhead) }

// sizeFrom is the size of the entry at p, from the answer to one of strlens. That of what is no string is that of one
// that is gone.
func (p *place) sizeFrom(result rueidis.RedisResult) (int64, error) {
	n, err := result.AsInt64()
	if isNoString(err) {
		n, err = 0, nil
	}
	return p.size(int(n)), err
}

// strlens are commands that ask for the lengths of strings, 0 for one that is gone.
func (t *table) strlens(places []place) rueidis.Commands {
	commands := make(rueidis.Commands, len(places))
	for i := range places {
		commands[i] = resendable(t.store.client.B().Strlen().Key(places[i].name).Build())
	}
	return commands
}

// Size walks through the indexes and asks for the length of each string.
func (t *table) Size(ctx context.Context) (size driver.Size, err error) {
	err = t.run(ctx, "size of", func(ctx context.Context) error {
		for w := t.walk(driver.Filter{}); ; {
			places, err := w.next(ctx)
			if err != nil || len(places) == 0 {
				return err
			}
			for i, result := range t.store.client.DoMulti(ctx, t.strlens(places)...) {
				bytes, err := places[i].sizeFrom(result)
				if err != nil {
					return err
				}
				if bytes > places[i].size(0) { // or it has vanished
					size.Entries++
					size.Bytes += bytes
				}
			}
		}
	})
	if err != nil {
		return driver.Size{}, err
	}
	return size, nil
}
