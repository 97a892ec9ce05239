package inspector_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/hooks"
	"github.com/endpointcache/endpointcache/inspector"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/memory"
)

type livePage struct {
	Recorded bool
	Figures  []struct{ Label, Value string }
	Plots    []struct {
		ID     string
		Series []struct {
			Name   string
			Values []*float64
		}
	}
	Repositories []struct {
		Repository                          string
		Answers, Failed, Requests, Received int64
		HitRate                             float64
	}
	Prefetching, Prefetched []struct {
		Repository  string
		Done, Total int
	}
	Totals []struct {
		Name  string
		Count int64
	}
}

func (l *livePage) figure(label string) string {
	for _, f := range l.Figures {
		if f.Label == label {
			return f.Value
		}
	}
	return "absent"
}

func answer(h hooks.Hooks, repository string, r hooks.Result, keys int, d time.Duration) {
	h.Answered(context.Background(), hooks.Answer{Repository: repository, Result: r, Keys: keys, Duration: d})
}

func TestLive(t *testing.T) {
	recorder := new(inspector.Recorder)
	p := newPages(t, inspector.Options{Recorder: recorder})
	h := recorder.Hooks()
	if empty := getJSON[livePage](p, "/live"); empty.figure("hit rate") != "–" || !empty.Recorded {
		t.Errorf("%+v", empty.Figures)
	}
	has(t, p.get(200, "/live"), "nothing was recorded")
	answer(h, "tracks", hooks.Fresh, 6, time.Millisecond)
	answer(h, "tracks", hooks.Fetched, 2, 100*time.Millisecond)
	answer(h, "albums", hooks.Failed, 1, 0)
	answer(h, "albums", hooks.Bypassed, 5, 0) // neither a hit nor a miss
	_, end := h.Requesting(t.Context(), hooks.Request{Repository: "tracks"})
	_, ended := h.Requesting(t.Context(), hooks.Request{Repository: "tracks"})
	ended(hooks.RequestEnd{Status: 200, Attempts: 1, Bytes: 2048, Duration: 90 * time.Millisecond})
	got := getJSON[livePage](p, "/live?window=1h")
	for label, want := range map[string]string{
		"hit rate": "66.7 %", "answers": "9", "origin requests": "1", "under way now": "1", "received": "2.0 KiB",
	} {
		if got.figure(label) != want {
			t.Errorf("%s is %q, want %q", label, got.figure(label), want)
		}
	}
	end(hooks.RequestEnd{ErrorType: "timeout"})
	got = getJSON[livePage](p, "/live")
	if got.figure("under way now") != "0" || got.figure("origin requests") != "2" {
		t.Errorf("%+v", got.Figures)
	}
	if r := got.Repositories; len(r) != 2 || r[0].Repository != "albums" || r[0].Failed != 1 || r[1].HitRate != 0.75 || r[1].Requests != 2 || r[1].Received != 2048 {
		t.Errorf("%+v", r)
	}
	page := p.get(200, "/live")
	has(t, page, `<svg role="img" aria-label="Answers, keys a second.`, "<caption>Answers", "Hit rate", "10 minutes", `<path class="p-a" d="M`)
	for _, plot := range got.Plots {
		if len(plot.Series) == 0 || len(plot.Series[0].Values) != 120 {
			t.Errorf("%s: %+v", plot.ID, plot.Series)
		}
	}
	p.get(http.StatusBadRequest, "/live?window=2y")
}

// No hit at all, and no response, are numbers as others are.
func TestPlotsOfZeros(t *testing.T) {
	recorder := new(inspector.Recorder)
	p := newPages(t, inspector.Options{Recorder: recorder})
	answer(recorder.Hooks(), "tracks", hooks.Fetched, 3, time.Millisecond)
	waitfor.True(t, "the size of the store is known", func() bool {
		for _, plot := range getJSON[livePage](p, "/live").Plots {
			if values := plot.Series[0].Values; plot.ID == "entries" && values[len(values)-1] != nil {
				return true
			}
		}
		return false
	})
	page := p.get(200, "/live")
	has(t, page, "Hit rate, percent. Last: answers from the store 0 %. At most 0 %.", "<caption>Hit rate, percent",
		"Stored responses, responses. Last: responses 0. At most 0.", "Stored, bytes. Last: size of the store 0 B.", "Received from the origin: nothing was recorded.")
	hasNot(t, page, "NaN", "Inf")
}

func TestLiveWithoutARecorder(t *testing.T) {
	p := newPages(t, inspector.Options{})
	has(t, p.get(200, "/live"), "There is no recorder", "new(inspector.Recorder)", "<dt>Hits</dt><dd>0</dd>")
	if got := getJSON[livePage](p, "/live"); got.Recorded || len(got.Totals) != 2 {
		t.Errorf("%+v", got)
	}
}

func TestPrefetchesAreShown(t *testing.T) {
	recorder := new(inspector.Recorder)
	p := newPages(t, inspector.Options{Recorder: recorder})
	tell := recorder.Hooks().Prefetching(t.Context(), hooks.Prefetch{Repository: "tracks"})
	tell(hooks.Progress{Done: 40, Total: 100, Fetched: 40, Rate: 10, Left: 6 * time.Second})
	has(t, p.get(200, "/live"), `<progress max="100" value="40" aria-label="Prefetch of tracks">`, "10 a second", "6s left")
	got := getJSON[livePage](p, "/live")
	if len(got.Prefetching) != 1 || got.Prefetching[0].Done != 40 || len(got.Prefetched) != 0 {
		t.Errorf("%+v", got)
	}
	tell(hooks.Progress{Done: 100, Total: 100, Fetched: 100, Ended: true})
	got = getJSON[livePage](p, "/live")
	if len(got.Prefetching) != 0 || len(got.Prefetched) != 1 || got.Prefetched[0].Done != 100 {
		t.Errorf("%+v", got)
	}
	// However many there are, the page shows some.
	for i := range 200 {
		if tell := recorder.Hooks().Prefetching(t.Context(), hooks.Prefetch{Repository: fmt.Sprint(i)}); tell != nil {
			defer tell(hooks.Progress{Ended: true})
		}
	}
	if got := getJSON[livePage](p, "/live"); len(got.Prefetching) != 50 {
		t.Errorf("%d runs are shown", len(got.Prefetching))
	}
}

func TestTheSizeOfTheStoreIsRecorded(t *testing.T) {
	recorder := new(inspector.Recorder)
	p := newPages(t, inspector.Options{Recorder: recorder})
	waitfor.True(t, "the first size", func() bool {
		for _, plot := range getJSON[livePage](p, "/live").Plots {
			values := plot.Series[0].Values
			if plot.ID == "entries" && (values[len(values)-1] != nil || values[len(values)-2] != nil) {
				return true
			}
		}
		return false
	})
}

func TestManyGoroutinesRecordAtOnce(t *testing.T) {
	recorder := new(inspector.Recorder)
	p := newPages(t, inspector.Options{Recorder: recorder})
	var group sync.WaitGroup
	h := recorder.Hooks()
	for range 8 {
		group.Go(func() {
			for n := range 500 {
				answer(h, "tracks", hooks.Fresh, 1, time.Microsecond)
				_, end := h.Requesting(context.Background(), hooks.Request{})
				end(hooks.RequestEnd{Status: http.StatusNotModified, Attempts: 1})
				if n%100 == 0 {
					_ = p.get(200, "/live")
				}
			}
		})
	}
	group.Wait()
	if got := getJSON[livePage](p, "/live?window=24h"); got.figure("answers") != "4,000" {
		t.Errorf("%+v", got.Figures)
	}
}

// A count that does not end keeps no page waiting, and is begun only once.
func TestALongCountKeepsNoPageWaiting(t *testing.T) {
	below, err := memory.New(nil)
	check(t, err)
	release := make(chan struct{})
	var mu sync.Mutex
	counting := 0
	hold := false
	store, err := hooks.Store(below, hooks.StoreHooks{Operation: func(ctx context.Context, op hooks.StoreOperation) (context.Context, func(hooks.StoreEnd)) {
		mu.Lock()
		held := hold && op.Table == "tracks" && op.Operation != "open_table"
		if held {
			counting++
		}
		mu.Unlock()
		if held {
			<-release
		}
		return ctx, nil
	}})
	check(t, err)
	p := newPagesOf(t, store, inspector.Options{})
	p.save("a", 200, nil, "x", time.Hour)
	mu.Lock()
	hold = true
	mu.Unlock()
	for range 3 {
		page := p.get(200, "/")
		has(t, page, "Counting what the store holds", `data-refresh="2"`, ">tracks<", "…")
	}
	mu.Lock()
	if counting != 1 {
		t.Errorf("%d counts were begun", counting)
	}
	hold = false
	mu.Unlock()
	close(release)
	waitfor.True(t, "the end of the count", func() bool { return strings.Contains(p.get(200, "/"), "<strong>1</strong> live") })
}
