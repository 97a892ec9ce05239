package observe_test

import (
	"context"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/observe"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/settings"
)

// onEveryStore runs a test on a store in memory and one on disk.
func onEveryStore(t *testing.T, test func(t *testing.T, kind string, below driver.Store)) {
	t.Run("memory", func(t *testing.T) { test(t, "memory", inMemory(t)) })
	t.Run("sqlite", func(t *testing.T) { test(t, "sqlite", onDisk(t, filepath.Join(t.TempDir(), "cache.db"))) })
}

// answersByEveryDoor asks by the transport, by Fetch and FetchMany, and by a prefetch.
func answersByEveryDoor(p *program, kind string) {
	ctx := p.Context()
	p.get(ctx, "/tracks/k0") // fetched
	p.get(ctx, "/tracks/k0")
	p.get(ctx, "/albums/1")
	if _, err := p.tracks.Fetch(ctx, "k0", fetch.Refresh()); err != nil { // confirmed by a 304
		p.Fatal(err)
	}
	if _, err := p.tracks.FetchMany(ctx, keysTo(21)); err != nil { // 20 in two batches
		p.Fatal(err)
	}
	if _, err := prefetch.Run(ctx, p.tracks, slices.Values(keysTo(31)), nil); err != nil { // 10 in one batch
		p.Fatal(err)
	}
	p.api.serve(status(http.StatusServiceUnavailable))
	if _, err := p.tracks.Fetch(ctx, "failing"); err == nil {
		p.Fatal("no error")
	}
	p.api.serve(tracks)

	ours := []string{"repository=tracks", "store=" + kind}
	with := func(more ...string) []string { return append(slices.Clone(ours), more...) }
	p.want(31, "endpointcache.answers", with("result=fetched")...)
	p.want(1+1+21, "endpointcache.answers", with("result=fresh")...)
	p.want(1, "endpointcache.answers", with("result=revalidated")...)
	p.want(1, "endpointcache.answers", with("result=failed")...)
	p.want(1, "endpointcache.answers", "store="+kind, "result=bypassed")
	p.want(1+1, "endpointcache.answer.duration", with("result=fetched")...)
	p.want(1+2+1, "endpointcache.origin.requests", with("result=fetched")...)
	p.want(1, "endpointcache.origin.requests", with("result=confirmed")...)
	p.want(3, "endpointcache.origin.requests", with("result=failed", "error.type=503")...)
	p.want(1, "endpointcache.origin.request.duration", with("result=failed", "error.type=503")...)
	p.want(6, "endpointcache.origin.batch.size", ours...)
	p.want(0, "endpointcache.origin.active", ours...)
	p.want(10, "endpointcache.prefetch.keys", with("result=fetched")...)
	p.want(21, "endpointcache.prefetch.keys", with("result=cached")...)
	p.want(0, "endpointcache.prefetch.active", ours...)
	p.want(0, "endpointcache.prefetch.pending", ours...)
	if p.sum("endpointcache.origin.received", ours...) < 31*int64(len(`{"id":"k1"}`)) || p.sum("endpointcache.prefetch.received", ours...) < 10 {
		p.Errorf("bytes: %v, %v", p.series("endpointcache.origin.received"), p.series("endpointcache.prefetch.received"))
	}
}

func TestAnswersAndRequestsOfEveryDoorAreCounted(t *testing.T) {
	onEveryStore(t, func(t *testing.T, kind string, below driver.Store) {
		p := newTelemetry(t).program(newAPI(t), below, nil)
		answersByEveryDoor(p, kind)
	})
}

// operationsAreTimed is about the metric of the conventions.
func operationsAreTimed(p *program, kind, system string) {
	const duration = "db.client.operation.duration"
	p.want(1, duration, "db.system.name="+system, "db.operation.name=open_table", "db.collection.name=tracks")
	if p.sum(duration, "db.system.name="+system, "db.operation.name=get", "db.collection.name=tracks") == 0 ||
		p.sum(duration, "db.operation.name=put_if", "db.collection.name=tracks") == 0 {
		p.Errorf("the operations of %s are %v", kind, p.series(duration))
	}
	var batches int64
	for attributes, n := range p.series(duration) {
		if strings.Contains(attributes, "db.operation.name=BATCH get") {
			batches += n
		}
	}
	if batches == 0 {
		p.Errorf("there are no batches: %v", p.series(duration))
	}
	for _, m := range p.metrics() {
		if m.Name != duration {
			continue
		}
		if d := cmp.Diff([]float64{0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10}, m.Data.(metricdata.Histogram[float64]).DataPoints[0].Bounds); d != "" || m.Unit != "s" {
			p.Errorf("the unit is %q, the bounds differ:\n%s", m.Unit, d)
		}
	}
}

func TestOperationsOnTheStoreAreTimed(t *testing.T) {
	onEveryStore(t, func(t *testing.T, kind string, below driver.Store) {
		p := newTelemetry(t).program(newAPI(t), below, nil)
		answersByEveryDoor(p, kind)
		operationsAreTimed(p, kind, kind)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.tracks.Repository().Save(ended, "a", track{"a"}); err == nil {
			t.Error("no error")
		}
		p.want(1, "db.client.operation.duration", "db.operation.name=put", "db.collection.name=tracks", "error.type=cancelled")
	})
}

func renewals(p *program) {
	if _, err := p.tracks.Fetch(p.Context(), "renewed"); err != nil {
		p.Fatal(err)
	}
	p.later.Store(int64(2 * time.Hour))
	defer p.later.Store(0)
	if _, err := p.tracks.Fetch(p.Context(), "renewed", fetch.With(policy.Policy{StaleWhileRevalidate: 24 * time.Hour})); err != nil {
		p.Fatal(err)
	}
	waitfor.True(p, "the renewal is counted", func() bool {
		return p.sum("endpointcache.renewals", "repository=tracks", "result=fetched") == 1 && p.sum("endpointcache.renewal.active") == 0
	})
	p.want(1, "endpointcache.answers", "result=stale")
}

func TestRenewalsAreCounted(t *testing.T) {
	onEveryStore(t, func(t *testing.T, _ string, below driver.Store) {
		renewals(newTelemetry(t).program(newAPI(t), below, nil))
	})
}

// limited bounds the tracks of a program.
func limited(o *cache.Options, s *ofTracks) { s.Limit = settings.Limit{Entries: 100} }

func evictions(p *program) {
	values := make(map[string]track)
	for _, key := range keysTo(300) {
		values[key] = track{key}
	}
	if err := p.tracks.Repository().SaveMany(p.Context(), values); err != nil {
		p.Fatal(err)
	}
	waitfor.True(p, "evictions are counted", func() bool {
		return p.sum("endpointcache.evictions", "repository=tracks", "result=limit") >= 200 && p.sum("endpointcache.eviction.size", "result=limit") > 0
	})
}

func TestEvictionsAreCounted(t *testing.T) {
	onEveryStore(t, func(t *testing.T, _ string, below driver.Store) {
		evictions(newTelemetry(t).program(newAPI(t), below, limited))
	})
}

// damages damages an entry of a file of SQLite, which is then found.
func damages(p *program, path string) {
	ctx := p.Context()
	if _, err := p.tracks.Fetch(ctx, "damaged"); err != nil {
		p.Fatal(err)
	}
	other := onDisk(p, path)
	defer other.Close()
	table, err := other.OpenTable(ctx, driver.TableSpec{Name: "tracks", Key: []driver.Column{{Name: "key", Kind: driver.String}}})
	if err != nil {
		p.Fatal(err)
	}
	var all []driver.Entry
	for e, err := range table.Entries(ctx, driver.Selection{Parts: driver.Payload | driver.Meta}) {
		if err != nil {
			p.Fatal(err)
		}
		if e.Key[0] == "damaged" {
			e.Payload = []byte(`{"id":"another"}`)
			all = append(all, e)
		}
	}
	if err := table.Put(ctx, all); err != nil || len(all) != 1 {
		p.Fatal(len(all), err)
	}
	if got, err := p.tracks.Fetch(ctx, "damaged"); err != nil || got.ID != "damaged" {
		p.Fatal(got, err)
	}
	p.want(1, "endpointcache.damaged", "repository=tracks", "store=sqlite")
}

func TestDamagedEntriesAreCounted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache.db")
	damages(newTelemetry(t).program(newAPI(t), onDisk(t, path), nil), path)
}

func TestAStoreThatFailsIsCounted(t *testing.T) {
	store := &broken{Store: inMemory(t)}
	p := newTelemetry(t).program(newAPI(t), store, nil)
	brokenStore(p, store)
}

// broken is a store whose gets take no connection while it is told so.
type broken struct {
	driver.Store
	fails atomic.Bool
}

type brokenTable struct {
	driver.Table
	of *broken
}

func (s *broken) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	t, err := s.Store.OpenTable(ctx, spec)
	return brokenTable{t, s}, err
}

func (t brokenTable) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	if t.of.fails.Load() {
		return context.DeadlineExceeded
	}
	return t.Table.Get(ctx, keys, sel, visit)
}

func brokenStore(p *program, store *broken) {
	store.fails.Store(true)
	for range 5 {
		if _, err := p.tracks.Fetch(p.Context(), "a", fetch.With(policy.Policy{Use: policy.Reload})); err != nil {
			p.Fatal(err)
		}
	}
	p.want(3, "endpointcache.store.failures", "repository=tracks", "result=failed", "error.type=timeout")
	if p.sum("endpointcache.store.failures", "result=skipped") == 0 {
		p.Errorf("none was skipped: %v", p.series("endpointcache.store.failures"))
	}
	p.want(1, "endpointcache.store.left_out")
	store.fails.Store(false)
	waitfor.True(p, "the store is used again", func() bool {
		_, err := p.tracks.Fetch(p.Context(), "a")
		return err == nil && p.sum("endpointcache.store.left_out") == 0
	})
}

// leases has two caches on one file ask for a key.
func leases(t *testing.T, m *telemetry) {
	path := filepath.Join(t.TempDir(), "cache.db")
	leased := func(_ *cache.Options, s *ofTracks) { s.Policy.Lease, s.Batch = time.Minute, nil }
	a := newAPI(t)
	first, second := m.program(a, onDisk(t, path), leased), m.program(a, onDisk(t, path), leased)
	arrived, goOn := make(chan struct{}), make(chan struct{})
	a.serve(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-goOn
		tracks(w, r)
	})
	var wg sync.WaitGroup
	fetched := func(p *program) {
		if got, err := p.tracks.Fetch(p.Context(), "leased"); err != nil || got.ID != "leased" {
			p.Error(got, err)
		}
	}
	wg.Go(func() { fetched(first) })
	<-arrived
	wg.Go(func() { fetched(second) })
	waitfor.True(t, "the second looks for what becomes of the lease", func() bool {
		return m.sum("db.client.operation.duration", "db.collection.name=endpointcache_leases", "db.operation.name=get") > 0
	})
	close(goOn)
	wg.Wait()
	m.want(1, "endpointcache.leases", "repository=tracks", "store=sqlite", "result=acquired")
	m.want(1, "endpointcache.leases", "repository=tracks", "store=sqlite", "result=awaited")
	m.want(1, "endpointcache.lease.wait.duration", "result=awaited")
}

func TestLeasesAreCounted(t *testing.T) { leases(t, newTelemetry(t)) }

// everything makes a telemetry in which every metric was recorded.
func everything(t *testing.T) *telemetry {
	m := newTelemetry(t)
	p := m.program(newAPI(t), inMemory(t), limited)
	answersByEveryDoor(p, "memory")
	renewals(p)
	evictions(p)
	path := filepath.Join(t.TempDir(), "cache.db")
	damages(m.program(newAPI(t), onDisk(t, path), nil), path)
	store := &broken{Store: inMemory(t)}
	brokenStore(m.program(newAPI(t), store, nil), store)
	leases(t, m)
	return m
}

func TestNoAttributeTellsOfAKeyOrURL(t *testing.T) {
	m := everything(t)
	known := map[string]bool{
		"repository": true, "store": true, "result": true, "error.type": true,
		"db.system.name": true, "db.operation.name": true, "db.collection.name": true,
	}
	for _, metric := range m.metrics() {
		for attributes := range m.series(metric.Name) {
			attributes = strings.ReplaceAll(attributes, "BATCH ", "BATCH-")
			for _, a := range strings.Fields(attributes) {
				name, value, _ := strings.Cut(a, "=")
				if !known[name] || strings.Contains(value, "/") || strings.HasPrefix(value, "k1") {
					t.Errorf("%s has %s", metric.Name, a)
				}
			}
		}
	}
}

func TestOwnAttributesAreAdded(t *testing.T) {
	p := newTelemetry(t, attribute.String("cache", "music")).program(newAPI(t), inMemory(t), nil)
	answersByEveryDoor(p, "memory")
	for _, metric := range p.metrics() {
		for attributes := range p.series(metric.Name) {
			if !strings.Contains(attributes, "cache=music") {
				t.Errorf("%s of %s lacks it", metric.Name, attributes)
			}
		}
	}
}

func TestTheGlobalProvidersAreTheDefault(t *testing.T) {
	m := &telemetry{T: t, reader: metric.NewManualReader()}
	provider := metric.NewMeterProvider(metric.WithReader(m.reader))
	defer provider.Shutdown(context.Background())
	otel.SetMeterProvider(provider)
	defer otel.SetMeterProvider(noop.NewMeterProvider())
	var err error
	if m.observer, err = observe.New(nil); err != nil {
		t.Fatal(err)
	}
	p := m.program(newAPI(t), inMemory(t), nil)
	p.get(t.Context(), "/tracks/a")
	p.want(1, "endpointcache.answers", "result=fetched")
	if _, err := m.observer.Store(nil); err == nil {
		t.Error("a nil store is no error")
	}
}

// traced asks for a track within a span of the caller's, and returns the spans by their names.
func (p *program) traced(ask func(context.Context)) (caller tracetest.SpanStub, others map[string]tracetest.SpanStub) {
	p.Helper()
	p.spans.Reset()
	ctx, span := p.tracers.Tracer("test").Start(p.Context(), "caller")
	ask(ctx)
	span.End()
	others = make(map[string]tracetest.SpanStub)
	for _, s := range p.spans.GetSpans() {
		if s.Name == "caller" {
			caller = s
		} else {
			others[s.Name] = s
		}
	}
	return caller, others
}

func attributesOf(s *tracetest.SpanStub) map[string]string {
	all := make(map[string]string)
	for _, a := range s.Attributes {
		all[string(a.Key)] = a.Value.String()
	}
	return all
}

func TestSpansJoinThoseOfTheCaller(t *testing.T) {
	onEveryStore(t, func(t *testing.T, kind string, below driver.Store) {
		p := newTelemetry(t).program(newAPI(t), below, nil)
		for door, ask := range map[string]func(context.Context){
			"transport": func(ctx context.Context) { p.get(ctx, "/tracks/a") },
			"fetch": func(ctx context.Context) {
				if _, err := p.tracks.Fetch(ctx, "b"); err != nil {
					t.Error(err)
				}
			},
			"many": func(ctx context.Context) {
				if _, err := p.tracks.FetchMany(ctx, keysTo(5)); err != nil {
					t.Error(err)
				}
			},
		} {
			caller, others := p.traced(ask)
			request, ok := others["fetch tracks"]
			if !ok {
				t.Fatalf("%s: there is no request among %v", door, others)
			}
			if request.Parent.SpanID() != caller.SpanContext.SpanID() || request.SpanKind != trace.SpanKindInternal {
				t.Errorf("%s: the request is a %v of %v", door, request.SpanKind, request.Parent)
			}
			want := map[string]string{
				"endpointcache.repository": "tracks", "endpointcache.store": kind, "http.request.method": "GET",
				"endpointcache.batch.size": "1", "endpointcache.conditional": "false", "endpointcache.background": "false",
				"http.response.status_code": "200", "endpointcache.result": "fetched",
			}
			if door == "many" {
				want["endpointcache.batch.size"] = "5"
			}
			got := attributesOf(&request)
			delete(got, "http.response.body.size")
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s: the request's attributes differ:\n%s", door, d)
			}
			get := others["get tracks"]
			if door == "many" {
				get = others["BATCH get tracks"]
			}
			if get.Parent.SpanID() != caller.SpanContext.SpanID() || get.SpanKind != trace.SpanKindClient {
				t.Errorf("%s: the get is a %v of %v", door, get.SpanKind, get.Parent)
			}
			want = map[string]string{
				"db.system.name": kind, "db.operation.name": "get", "db.collection.name": "tracks", "db.response.returned_rows": "0",
			}
			if door == "many" {
				want["db.operation.name"], want["db.operation.batch.size"] = "BATCH get", "5"
			}
			if d := cmp.Diff(want, attributesOf(&get)); d != "" {
				t.Errorf("%s: the get's attributes differ:\n%s", door, d)
			}
		}
		p.api.serve(status(http.StatusInternalServerError))
		_, others := p.traced(func(ctx context.Context) { _, _ = p.tracks.Fetch(ctx, "c") })
		request := others["fetch tracks"]
		if got := attributesOf(&request); request.Status.Code != codes.Error || got["error.type"] != "500" || got["http.request.resend_count"] != "2" {
			t.Errorf("a failed request has %v, %v", request.Status, got)
		}
	})
}

func TestARenewalIsLinkedToTheCallerItIsNoPartOf(t *testing.T) {
	p := newTelemetry(t).program(newAPI(t), inMemory(t), nil)
	ask := func(ctx context.Context) {
		if _, err := p.tracks.Fetch(ctx, "a", fetch.With(policy.Policy{StaleWhileRevalidate: 24 * time.Hour})); err != nil {
			t.Error(err)
		}
	}
	ask(t.Context())
	p.later.Store(int64(2 * time.Hour))
	caller, _ := p.traced(ask)
	waitfor.True(t, "the renewal has been saved", func() bool {
		return slices.ContainsFunc(p.spans.GetSpans(), func(s tracetest.SpanStub) bool { return s.Name == "put_if tracks" })
	})
	found := 0
	for _, s := range p.spans.GetSpans() {
		switch s.Name {
		case "fetch tracks", "put_if tracks":
			found++
			if s.SpanContext.TraceID() == caller.SpanContext.TraceID() {
				t.Errorf("%s is a part of the caller's trace", s.Name)
			}
			if len(s.Links) != 1 || s.Links[0].SpanContext.SpanID() != caller.SpanContext.SpanID() {
				t.Errorf("%s has the links %v", s.Name, s.Links)
			}
		case "get tracks":
			if s.Parent.SpanID() != caller.SpanContext.SpanID() {
				t.Error("the caller's get is not a part of its trace")
			}
		}
	}
	if found != 2 {
		t.Errorf("%d of 2 spans of the renewal were found", found)
	}
}
