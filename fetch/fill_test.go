package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/memuse"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/repository"
)

// direct is a client without a network: it answers by the handler's function, and counts.
type direct struct {
	answer   func(req *http.Request, h http.Header) (status int, body string)
	requests atomic.Int64
	bodies   atomic.Int64
}

func (d *direct) Do(req *http.Request) (*http.Response, error) {
	d.requests.Add(1)
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	header := make(http.Header)
	status, body := d.answer(req, header)
	if body != "" {
		d.bodies.Add(1)
	}
	return &http.Response{
		StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)),
		ContentLength: int64(len(body)), Request: req, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

// tagged answers tracks with an ETag, or 304 to a request that has it.
func tagged(req *http.Request, h http.Header) (int, string) {
	h.Set("ETag", `"1"`)
	if req.Header.Get("If-None-Match") == `"1"` {
		return http.StatusNotModified, ""
	}
	return http.StatusOK, trackBody(path.Base(req.URL.Path))
}

// directly is a fetcher in front of a client without a network.
func directly(t testing.TB, client fetch.Doer, store driver.Store, s ofTracks, opts *fetch.FetcherOptions) *fetcher {
	t.Helper()
	c := clientOf(t, fetch.Options{BaseURL: "http://localhost", Client: client})
	f, err := fetch.New(c, repositoryIn(t, store, s), opts)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// filled counts what became of keys.
type filled map[fetch.Status]int

func (f filled) String() string {
	var parts []string
	for status, n := range f {
		parts = append(parts, fmt.Sprintf("%d %v", n, status))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// fill fills keys and counts. It ends the test where a key is reported twice, or never.
func fill(ctx context.Context, t *testing.T, f *fetcher, keys []string, opts *fetch.FillOptions) (filled, error) {
	t.Helper()
	counts, seen := make(filled), make(map[string]bool, len(keys))
	err := f.Fill(ctx, slices.Values(keys), opts, func(one fetch.Filled[string]) {
		if seen[one.Key] {
			t.Errorf("%s is reported twice", one.Key)
		}
		seen[one.Key] = true
		counts[one.Status]++
		if (one.Status == fetch.Failed) != (one.Err != nil) {
			t.Errorf("%s, %v, has the error %v", one.Key, one.Status, one.Err)
		}
	})
	if err == nil && len(seen) != len(keys) {
		t.Errorf("%d keys are reported, of %d", len(seen), len(keys))
	}
	return counts, err
}

func refreshing(opts fetch.FillOptions) *fetch.FillOptions {
	opts.Fetch = append(opts.Fetch, fetch.Refresh())
	return &opts
}

func wantFilled(t *testing.T, f *fetcher, keys []string, opts *fetch.FillOptions, want string) {
	t.Helper()
	got, err := fill(t.Context(), t, f, keys, opts)
	if err != nil || got.String() != want {
		t.Errorf("%v, %v; want %s", got, err, want)
	}
}

func TestFillFetchesInBulkAndOnce(t *testing.T) {
	o := newOrigin(t, answering)
	store := &wrapped{Store: inMemory(t)}
	e := fetcherIn(t, o, repositoryIn(t, store, settingsOf(byID, batchOf(50))), nil)
	keys := append(numbered(3000), "gone")
	var traffic fetch.Traffic
	wantFilled(t, e, keys, &fetch.FillOptions{Concurrency: 3, Traffic: &traffic}, "1 absent, 3000 fetched")
	if n := o.total(); n != 61 || o.most > 3 || traffic.Requests() != 61 || traffic.InFlight() != 0 {
		t.Errorf("%d requests, %d at once; %d are told of", n, o.most, traffic.Requests())
	}
	if n := store.puts.Load(); n > 61 {
		t.Errorf("%d saves", n)
	}
	wantFilled(t, e, keys[:3000], nil, "3000 cached")
	if n := o.total(); n != 61 {
		t.Errorf("%d requests after the second run", n)
	}
	if got, err := e.Fetch(t.Context(), keys[7]); err != nil || got != titled(keys[7]) {
		t.Error(got, err)
	}
}

// A run does not end later than its last answer comes, for it gathers what more is to be
// saved with that. Before, it does gather.
func TestFillSavesWhatCameLastAtOnce(t *testing.T) {
	for _, batch := range []int{1, 20} {
		synctest.Test(t, func(t *testing.T) {
			store := &wrapped{Store: inMemory(t)}
			client := &direct{answer: func(req *http.Request, _ http.Header) (int, string) {
				time.Sleep(time.Millisecond)
				answer := httptest.NewRecorder()
				answering(answer, req)
				return answer.Code, answer.Body.String()
			}}
			s := settingsOf(byID, nil)
			if batch > 1 {
				s = settingsOf(byID, batchOf(batch))
			}
			f := directly(t, client, store, s, nil)
			begun := time.Now()
			wantFilled(t, f, numbered(20), &fetch.FillOptions{Concurrency: 20 / batch}, "20 fetched")
			if took := time.Since(begun); took != time.Millisecond {
				t.Errorf("a run of a millisecond's requests, %d keys each, takes %v", batch, took)
			}
			if n := store.puts.Load(); n > 1 {
				t.Errorf("%d saves", n)
			}
		})
	}
}

// A refresh of what has validators moves no body, and costs few statements.
func TestFillRefreshesByConditions(t *testing.T) {
	client := &direct{answer: tagged}
	store := &wrapped{Store: inMemory(t)}
	e := directly(t, client, store, settingsOf(byID, nil), nil)
	keys := numbered(10_000)
	wantFilled(t, e, keys, nil, "10000 fetched")
	if n := store.entries.Load(); n != 10_000 || store.puts.Load() > 10_000/50 || store.gets.Load() > 10_000/50 {
		t.Errorf("%d entries are put with %d statements, after %d lookups", n, store.puts.Load(), store.gets.Load())
	}
	before, _, err := e.Repository().GetEntry(t.Context(), keys[5])
	if err != nil {
		t.Fatal(err)
	}
	client.requests.Store(0)
	client.bodies.Store(0)
	store.gets.Store(0)
	store.entries.Store(0)
	wantFilled(t, e, keys, refreshing(fetch.FillOptions{}), "10000 confirmed")
	if client.requests.Load() != 10_000 || client.bodies.Load() != 0 {
		t.Errorf("%d requests, %d bodies", client.requests.Load(), client.bodies.Load())
	}
	if store.entries.Load() != 0 || store.renews.Load() > 10_000/50 || store.gets.Load() > 10_000/50 {
		t.Errorf("%d entries are put, %d renewals and %d lookups", store.entries.Load(), store.renews.Load(), store.gets.Load())
	}
	after, ok, err := e.Repository().GetEntry(t.Context(), keys[5])
	if err != nil || !ok || !after.ExpiresAt.After(before.ExpiresAt) || string(after.Payload) != string(before.Payload) {
		t.Errorf("%+v, %t, %v; before %+v", after, ok, err, before)
	}
}

// A gateway that answers 404 for everything removes nothing.
func TestFillDoubtsThatAllIsGone(t *testing.T) {
	var down atomic.Bool
	for name, s := range map[string]ofTracks{"one by one": settingsOf(byID, nil), "remembered": settingsOf(byID, nil)} {
		t.Run(name, func(t *testing.T) {
			if name == "remembered" {
				s.ExpireAbsent = time.Hour
			}
			client := &direct{answer: func(req *http.Request, h http.Header) (int, string) {
				if down.Load() {
					return http.StatusNotFound, ""
				}
				return tagged(req, h)
			}}
			e := directly(t, client, inMemory(t), s, nil)
			keys := numbered(200)
			down.Store(false)
			wantFilled(t, e, keys, nil, "200 fetched")
			down.Store(true)
			got, err := fill(t.Context(), t, e, keys, refreshing(fetch.FillOptions{}))
			if !errors.Is(err, fetch.ErrAllAbsent) || got[fetch.Absent] < 10 || got[fetch.Failed] != 0 {
				t.Errorf("%v, %v", got, err)
			}
			live := func() int {
				values, err := e.Repository().GetMany(t.Context(), keys)
				if err != nil {
					t.Fatal(err)
				}
				return len(values)
			}
			if n := live(); n != 200 {
				t.Errorf("%d are left", n)
			}
			wantFilled(t, e, keys, refreshing(fetch.FillOptions{BelieveAbsent: true}), "200 absent")
			if n := live(); n != 0 {
				t.Errorf("%d are left of what is gone", n)
			}
		})
	}
}

// Once there are values, absences are believed, also those that came before.
func TestFillRemovesWhatIsGoneAmongValues(t *testing.T) {
	var some atomic.Bool
	client := &direct{answer: func(req *http.Request, h http.Header) (int, string) {
		if some.Load() && strings.HasSuffix(req.URL.Path, "7") {
			return http.StatusGone, ""
		}
		return tagged(req, h)
	}}
	e := directly(t, client, inMemory(t), settingsOf(byID, nil), &fetch.FetcherOptions{Concurrency: 1})
	keys := numbered(100)
	keys[0], keys[7] = keys[7], keys[0]
	wantFilled(t, e, keys, nil, "100 fetched")
	some.Store(true)
	wantFilled(t, e, keys, refreshing(fetch.FillOptions{}), "10 absent, 90 confirmed")
	if n, err := e.Repository().Count(t.Context(), repository.All); n != 90 || err != nil {
		t.Errorf("%d are left, %v", n, err)
	}
}

func TestFillThatIsCancelled(t *testing.T) {
	for name, end := range map[string]func(*fetcher, context.CancelFunc){
		"context": func(_ *fetcher, cancel context.CancelFunc) { cancel() },
		"client":  func(e *fetcher, _ context.CancelFunc) { go e.Client().Close() },
	} {
		t.Run(name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			came := make(chan struct{}, 1000)
			client := does(func(req *http.Request) (*http.Response, error) {
				if path.Base(req.URL.Path) >= "t000100" {
					came <- struct{}{}
					<-req.Context().Done()
					return nil, req.Context().Err()
				}
				return (&direct{answer: tagged}).Do(req)
			})
			e := directly(t, client, inMemory(t), settingsOf(byID, nil), nil)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				<-came
				waitfor.True(t, "what came before is saved", func() bool {
					n, err := e.Repository().Count(t.Context(), repository.Live)
					return err == nil && n == 100
				})
				end(e, cancel)
			}()
			got, err := fill(ctx, t, e, numbered(1000), nil)
			want := map[string]error{"context": context.Canceled, "client": fetch.ErrClosed}[name]
			if !errors.Is(err, want) || got.String() != "100 fetched, 900 cancelled" {
				t.Errorf("%v, %v", got, err)
			}
			if n, err := e.Repository().Count(t.Context(), repository.All); n != 100 || err != nil {
				t.Errorf("%d are saved, %v", n, err)
			}
			e.Client().Close()
			if err := goleak.Find(before); err != nil {
				t.Error(err)
			}
		})
	}
}

// A slow function holds up the run, though nothing is fetched.
func TestFillThatIsReportedSlowly(t *testing.T) {
	e := directly(t, &direct{answer: tagged}, inMemory(t), settingsOf(byID, nil), nil)
	keys := numbered(20_000)
	wantFilled(t, e, keys, nil, "20000 fetched")
	var taken atomic.Int64
	sequence := func(yield func(string) bool) {
		for _, key := range keys {
			taken.Add(1)
			if !yield(key) {
				return
			}
		}
	}
	held, reported := make(chan struct{}), 0
	var once sync.Once
	ended := make(chan error, 1)
	go func() {
		ended <- e.Fill(t.Context(), sequence, nil, func(fetch.Filled[string]) {
			once.Do(func() { <-held })
			reported++
		})
	}()
	last := int64(-1)
	for stable := 0; stable < 20; time.Sleep(5 * time.Millisecond) { // it has come to a standstill
		if n := taken.Load(); n == last && n > 0 {
			stable++
		} else {
			last, stable = n, 0
		}
	}
	if n := taken.Load(); n > 10_000 {
		t.Errorf("%d keys are taken while the first is being reported", n)
	}
	close(held)
	if err := <-ended; err != nil || reported != len(keys) {
		t.Errorf("%d keys are reported, %v", reported, err)
	}
}

func TestFillWhoseSequenceOrFunctionPanics(t *testing.T) {
	e := directly(t, &direct{answer: tagged}, inMemory(t), settingsOf(byID, nil), nil)
	sequence := func(panics bool) iter.Seq[string] {
		return func(yield func(string) bool) {
			for i, key := range numbered(5000) {
				if i == 3000 && panics {
					panic("oops")
				}
				if !yield(key) {
					return
				}
			}
		}
	}
	for name, each := range map[string]func(fetch.Filled[string]){
		"sequence": func(fetch.Filled[string]) {},
		"function": func(one fetch.Filled[string]) {
			if one.Key == "t001000" {
				panic("oops")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if p := recover(); p != "oops" {
					t.Errorf("recovered %v", p)
				}
				if flights, callers := e.Pending(); flights+callers != 0 {
					t.Errorf("%d flights and %d callers are left", flights, callers)
				}
			}()
			err := e.Fill(t.Context(), sequence(name == "sequence"), nil, each)
			t.Errorf("no panic, %v", err)
		})
	}
}

// A panic of the settings is that of the run.
func TestFillWhoseSettingsPanic(t *testing.T) {
	for _, in := range []string{"Decode", "NameOf", "Split", "Group"} {
		t.Run(in, func(t *testing.T) {
			o := newOrigin(t, nil)
			e := fetcherOf(t, o, panicking(in), nil)
			defer func() {
				if p := recover(); p != "oops" {
					t.Errorf("recovered %v", p)
				}
			}()
			err := e.Fill(t.Context(), slices.Values([]string{"a", "b", "oops", "c"}), nil, func(fetch.Filled[string]) {})
			t.Errorf("no panic, %v", err)
		})
	}
}

func TestFillIntoAStoreThatFails(t *testing.T) {
	for _, op := range []string{"get", "put"} {
		t.Run(op, func(t *testing.T) {
			store := &wrapped{Store: inMemory(t)}
			if op == "get" {
				store.get = func(context.Context) error { return errDisk }
			} else {
				store.put = func(context.Context, []driver.Entry) error { return errDisk }
			}
			client := &direct{answer: tagged}
			e := directly(t, client, store, settingsOf(byID, nil), nil)
			got, err := fill(t.Context(), t, e, numbered(5000), nil)
			if !errors.Is(err, errDisk) || client.requests.Load() == 5000 {
				t.Errorf("%v, %v, after %d requests", got, err, client.requests.Load())
			}
			client.requests.Store(0)
			got, err = fill(t.Context(), t, e, numbered(5000), &fetch.FillOptions{Unsaved: true})
			if err != nil || client.requests.Load() != 5000 {
				t.Errorf("%v, %v, after %d requests", got, err, client.requests.Load())
			}
		})
	}
}

// Only the key whose entry the store cannot hold fails.
func TestFillOfAnEntryThatIsTooLarge(t *testing.T) {
	store := &wrapped{Store: inMemory(t)}
	store.put = func(_ context.Context, entries []driver.Entry) error {
		if slices.ContainsFunc(entries, func(e driver.Entry) bool { return e.Key[0] == "large" }) {
			return driver.ErrTooLarge
		}
		return nil
	}
	e := directly(t, &direct{answer: tagged}, store, settingsOf(byID, nil), nil)
	wantFilled(t, e, append(numbered(500), "large"), nil, "1 failed, 500 fetched")
	wantFilled(t, e, numbered(500), nil, "500 cached")
}

// Keys that have been filled are not remembered.
func TestFillNeedsNoMemoryForKeysThatAreDone(t *testing.T) {
	n := 200_000
	if testing.Short() {
		n = 20_000
	}
	client := &direct{answer: func(*http.Request, http.Header) (int, string) { return http.StatusOK, "" }}
	s := plain(byID)
	s.Policy = policy.Policy{Expire: policy.DoNotCache()}
	c := clientOf(t, fetch.Options{BaseURL: "http://localhost", Client: client})
	e, err := fetch.New(c, repositoryOf(t, s), nil)
	if err != nil {
		t.Fatal(err)
	}
	var early int64
	reported := 0
	err = e.Fill(t.Context(), func(yield func(string) bool) {
		for i := range n {
			if !yield(fmt.Sprintf("t%06d", i)) {
				return
			}
		}
	}, nil, func(fetch.Filled[string]) {
		switch reported++; reported {
		case n / 10:
			early = memuse.Held()
		case n - n/20:
			if late := memuse.Held(); late-early > 16<<20 {
				t.Errorf("the heap grows from %d to %d bytes", early, late)
			}
		}
	})
	if err != nil || reported != n {
		t.Errorf("%d keys, %v", reported, err)
	}
}

func TestFillRefusesWhatCannotBe(t *testing.T) {
	o := newOrigin(t, nil)
	e := fetcherOf(t, o, settingsOf(byID, nil), nil)
	uncached, err := fetch.Uncached(clientOf(t, fetch.Options{BaseURL: o.URL}), settingsOf(byID, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	keys, each := slices.Values([]string{"a"}), func(fetch.Filled[string]) {}
	for name, err := range map[string]error{
		"no repository": uncached.Fill(t.Context(), keys, nil, each),
		"no keys":       e.Fill(t.Context(), nil, nil, each),
		"no function":   e.Fill(t.Context(), keys, nil, nil),
		"Concurrency":   e.Fill(t.Context(), keys, &fetch.FillOptions{Concurrency: -1}, each),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if o.total() != 0 {
		t.Errorf("%d requests", o.total())
	}
}
