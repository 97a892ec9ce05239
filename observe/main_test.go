package observe_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/observe"
	"github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
	"github.com/endpointcache/endpointcache/transport"
)

func init() { exchange.DefaultStoreTimeout = waitfor.Limit }

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// telemetry is an SDK whose metrics and spans a test reads.
type telemetry struct {
	*testing.T
	reader   *metric.ManualReader
	spans    *tracetest.InMemoryExporter
	tracers  *trace.TracerProvider
	observer *observe.Observer
}

func newTelemetry(t *testing.T, own ...attribute.KeyValue) *telemetry {
	t.Helper()
	m := &telemetry{T: t, reader: metric.NewManualReader(), spans: tracetest.NewInMemoryExporter()}
	meters := metric.NewMeterProvider(metric.WithReader(m.reader))
	m.tracers = trace.NewTracerProvider(trace.WithSyncer(m.spans))
	t.Cleanup(func() {
		if err := errors.Join(meters.Shutdown(context.Background()), m.tracers.Shutdown(context.Background())); err != nil {
			t.Error(err)
		}
	})
	var err error
	m.observer, err = observe.New(&observe.Options{MeterProvider: meters, TracerProvider: m.tracers, Attributes: own})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// metrics are all that were recorded.
func (m *telemetry) metrics() []metricdata.Metrics {
	m.Helper()
	var data metricdata.ResourceMetrics
	if err := m.reader.Collect(context.Background(), &data); err != nil {
		m.Fatal(err)
	}
	var all []metricdata.Metrics
	for _, scope := range data.ScopeMetrics {
		if scope.Scope.Name != observe.ScopeName {
			m.Errorf("there are metrics of %q", scope.Scope.Name)
		}
		all = append(all, scope.Metrics...)
	}
	return all
}

// series are the values of a metric by their attributes, as "a=b c=d": sums, or of histograms
// how often something was recorded.
func (m *telemetry) series(name string) map[string]int64 {
	m.Helper()
	all := make(map[string]int64)
	for _, metric := range m.metrics() {
		if metric.Name != name {
			continue
		}
		switch data := metric.Data.(type) {
		case metricdata.Sum[int64]:
			for _, p := range data.DataPoints {
				all[describe(p.Attributes)] += p.Value
			}
		case metricdata.Histogram[int64]:
			for _, p := range data.DataPoints {
				all[describe(p.Attributes)] += int64(p.Count) //nolint:gosec // there are few
			}
		case metricdata.Histogram[float64]:
			for _, p := range data.DataPoints {
				all[describe(p.Attributes)] += int64(p.Count) //nolint:gosec // there are few
			}
		default:
			m.Errorf("%s is a %T", name, data)
		}
	}
	return all
}

func describe(set attribute.Set) string {
	var all []string
	for _, a := range set.ToSlice() {
		name := strings.TrimPrefix(string(a.Key), "endpointcache.")
		all = append(all, name+"="+a.Value.String())
	}
	return strings.Join(all, " ")
}

// sum is the sum of the series of a metric that have all of these attributes.
func (m *telemetry) sum(name string, with ...string) (sum int64) {
	m.Helper()
	for attributes, n := range m.series(name) {
		has := strings.Fields(attributes)
		if !slices.ContainsFunc(with, func(a string) bool { return !slices.Contains(has, a) }) {
			sum += n
		}
	}
	return sum
}

// want checks a sum.
func (m *telemetry) want(n int64, name string, with ...string) {
	m.Helper()
	if got := m.sum(name, with...); got != n {
		m.Errorf("%s of %v is %d, want %d: %v", name, with, got, n, m.series(name))
	}
}

type track struct {
	ID string `json:"id"`
}

// program is a cache of tracks that is observed, with every door.
type program struct {
	*telemetry
	cache  *cache.ResponseCache
	tracks *fetch.Fetcher[string, track]
	http   *http.Client
	api    *api
	later  atomic.Int64 // by which the clock is ahead, in nanoseconds
}

// api is an API of tracks.
type api struct {
	*httptest.Server
	answer atomic.Pointer[http.HandlerFunc]
}

func newAPI(t *testing.T) *api {
	a := new(api)
	a.serve(tracks)
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*a.answer.Load())(w, r) }))
	t.Cleanup(a.Close)
	return a
}

func (a *api) serve(h http.HandlerFunc) { a.answer.Store(&h) }

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// tracks answers with the track of the path, or with those of a batch, and confirms by a 304.
func tracks(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Etag", `"1"`)
	if r.Header.Get("If-None-Match") == `"1"` {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if ids := r.URL.Query().Get("ids"); ids != "" {
		var all []track
		for id := range strings.SplitSeq(ids, ",") {
			all = append(all, track{id})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"tracks": all})
		return
	}
	_ = json.NewEncoder(w).Encode(track{strings.TrimPrefix(r.URL.Path, "/tracks/")})
}

type ofTracks = settings.RepositorySettings[string, track]

func (m *telemetry) program(a *api, below driver.Store, change func(*cache.Options, *ofTracks)) *program {
	m.Helper()
	p := &program{telemetry: m, api: a}
	store, err := m.observer.Store(below)
	if err != nil {
		m.Fatal(err)
	}
	opts := cache.Options{
		Hooks: m.observer.Hooks(), Logger: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return time.Now().Add(time.Duration(p.later.Load())) },
	}
	declared := ofTracks{
		Name: "tracks", Endpoint: request.Pattern[string]("/tracks/{id}"), Payload: payload.JSON[track](),
		Batch: request.BatchPattern[string]("GET /tracks?ids={id}", 10, payload.SplitArrayBy("tracks", "id"), nil),
		Scope: settings.Shared, Expire: time.Hour,
	}
	if change != nil {
		change(&opts, &declared)
	}
	if p.cache, err = cache.New(store, &opts); err != nil {
		m.Fatal(err)
	}
	m.Cleanup(func() { p.cache.Close() })
	base := &http.Transport{}
	m.Cleanup(base.CloseIdleConnections)
	client, err := fetch.NewClient(&fetch.Options{
		BaseURL: a.URL, Client: &http.Client{Transport: base}, Retry: &origin.RetryOptions{Retries: 2, Wait: time.Millisecond},
	})
	if err != nil {
		m.Fatal(err)
	}
	m.Cleanup(func() { client.Close() })
	if p.tracks, err = fetch.Create(m.Context(), p.cache, client, declared, nil); err != nil {
		m.Fatal(err)
	}
	p.http = &http.Client{Transport: transport.New(p.cache, &transport.Options{Base: base})}
	return p
}

func inMemory(tb testing.TB) driver.Store {
	store, err := memory.New(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return store
}

func onDisk(tb testing.TB, path string) driver.Store {
	store, err := sqlite.Open(tb.Context(), path, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return store
}

// get makes a GET and reads the body.
func (p *program) get(ctx context.Context, path string) {
	p.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.api.URL+path, nil)
	if err != nil {
		p.Fatal(err)
	}
	resp, err := p.http.Do(req)
	if err != nil {
		p.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		p.Fatal(err)
	}
}

func keysTo(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprint("k", i)
	}
	return keys
}
