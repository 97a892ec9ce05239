package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/waitfor"
)

// Callers come and go in any way, and nothing is left of it.
func TestManyCallersAtOnce(t *testing.T) {
	for _, gather := range []time.Duration{0, 2 * time.Millisecond} {
		t.Run(gather.String(), func(t *testing.T) {
			o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(time.Duration(rand.N(3)) * time.Millisecond)
				answering(w, r)
			})
			store := &wrapped{Store: inMemory(t)}
			e := fetcherIn(t, o, repositoryIn(t, store, settingsOf(byID, batchOf(7))), &fetch.FetcherOptions{Gather: gather})
			var callers sync.WaitGroup
			for range 16 {
				callers.Go(func() {
					for range 60 {
						call(t, e)
					}
				})
			}
			callers.Wait()
			waitfor.True(t, "nothing is pending", func() bool {
				flights, _ := e.Pending()
				return flights == 0
			})
			fetchMany(t, e, []string{"k1", "k2", "gone", "bad"})
		})
	}
}

// call makes one call of any kind, which may give up early.
func call(t *testing.T, e *fetcher) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.N(12))*time.Millisecond)
	defer cancel()
	keys := make([]string, 1+rand.N(20))
	for i := range keys {
		keys[i] = fmt.Sprint("k", rand.N(200))
		switch rand.N(20) {
		case 0:
			keys[i] = "gone"
		case 1:
			keys[i] = "bad"
		}
	}
	var opts []fetch.Option
	if rand.N(4) == 0 {
		opts = append(opts, fetch.Refresh())
	}
	if rand.N(2) == 0 {
		results, err := e.FetchMany(ctx, keys, opts...)
		wellFormed(t, keys, results)
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		return
	}
	value, err := e.Fetch(ctx, keys[0], opts...)
	isNone := keys[0] == "gone" || keys[0] == "bad"
	if err == nil && value != titled(keys[0]) || err != nil && !isNone && !errors.Is(err, context.DeadlineExceeded) {
		t.Error(keys[0], value, err)
	}
}
