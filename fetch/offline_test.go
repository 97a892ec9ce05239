package fetch_test

import (
	"errors"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/fetch"
	polite "github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
)

// offlineClient would wait for an hour before a retry.
func offlineClient(t *testing.T, o *origin) *fetch.Client {
	return clientOf(t, fetch.Options{
		BaseURL: o.URL,
		Retry:   &polite.RetryOptions{Wait: time.Hour, MaxWait: time.Hour},
		Offline: true,
	})
}

// What is stored is there, also expired if that will do, and all else is ErrOffline at
// once.
func TestOffline(t *testing.T) {
	for name, batch := range map[string]request.Batch[string]{"single": nil, "batch": batchOf(10)} {
		t.Run(name, func(t *testing.T) {
			o := newOrigin(t, nil)
			s := settingsOf(byID, batch)
			s.ExpireAbsent = time.Hour
			repo := repositoryOf(t, s)
			e, err := fetch.New(offlineClient(t, o), repo, nil)
			if err != nil {
				t.Fatal(err)
			}
			save := func(key string, opts ...repository.SaveOption) error {
				return repo.Save(t.Context(), key, titled(key), opts...)
			}
			absence, err := repository.NewEntry(404, repository.Head{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = errors.Join(save("cached"), save("expired", repository.ExpireAt(time.Now().Add(-time.Hour))),
				repo.SaveEntry(t.Context(), "absent", absence))
			if err != nil {
				t.Fatal(err)
			}
			keys := []string{"cached", "expired", "absent", "missing", "missing too"}
			for _, test := range []struct {
				opts     []fetch.Option
				errs     []error
				statuses string
			}{
				{nil, []error{nil, fetch.ErrOffline, fetch.ErrAbsent, fetch.ErrOffline, fetch.ErrOffline}, "CA FA AB FA FA"},
				{[]fetch.Option{fetch.With(policy.Policy{StaleIfError: 2 * time.Hour})}, []error{nil, nil, fetch.ErrAbsent, fetch.ErrOffline, fetch.ErrOffline}, "CA ST AB FA FA"},
				{[]fetch.Option{fetch.Refresh()}, []error{fetch.ErrOffline, fetch.ErrOffline, fetch.ErrOffline, fetch.ErrOffline, fetch.ErrOffline}, "FA FA FA FA FA"},
			} {
				for i, want := range test.errs {
					got, err := e.Fetch(t.Context(), keys[i], test.opts...)
					if !errors.Is(err, want) || err == nil && got != titled(keys[i]) {
						t.Errorf("Fetch of %s: %+v, %v; want %v", keys[i], got, err, want)
					}
					if _, _, err := e.FetchEntry(t.Context(), keys[i], test.opts...); !errors.Is(err, want) {
						t.Errorf("FetchEntry of %s: %v; want %v", keys[i], err, want)
					}
				}
				results := fetchMany(t, e, keys, test.opts...)
				if got := statuses(results); got != test.statuses {
					t.Errorf("FetchMany: %s, want %s", got, test.statuses)
				}
				for _, r := range results {
					if (r.Status == fetch.Failed || r.Status == fetch.Stale) != errors.Is(r.Err, fetch.ErrOffline) {
						t.Errorf("%s, %v: %v", r.Key, r.Status, r.Err)
					}
				}
			}
			if n := e.Requests(); n != 0 || o.total() != 0 {
				t.Errorf("%d requests are counted, %d were made", n, o.total())
			}
		})
	}
}

func TestOfflineSource(t *testing.T) {
	o := newOrigin(t, nil)
	client := offlineClient(t, o)
	for _, source := range []*fetch.Source[string]{
		sourceOf(t, client, settingsOf(byID, nil)),
		sourceOf(t, client, settingsOf(byID, batchOf(3))),
		sourceOf(t, client, settingsOf(nil, batchOf(3))),
	} {
		source = source.Limited(1)
		for _, a := range answers(t, source, numbered(7)...) {
			var failed *fetch.RequestError
			if !errors.Is(a.Err, fetch.ErrOffline) || errors.As(a.Err, &failed) {
				t.Error(a.Err)
			}
		}
		if n := source.Requests(); n != 0 || o.total() != 0 {
			t.Errorf("%d requests are counted, %d were made", n, o.total())
		}
	}
}
