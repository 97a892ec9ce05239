package observe

import (
	"errors"

	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0/dbconv"
)

// instruments are made once, by the names that docs/observe.md lists.
type instruments struct {
	answers        metric.Int64Counter
	answerDuration metric.Float64Histogram

	requests        metric.Int64Counter
	requestDuration metric.Float64Histogram
	requestsActive  metric.Int64UpDownCounter
	batchSize       metric.Int64Histogram
	received        metric.Int64Counter

	renewals       metric.Int64Counter
	renewalsActive metric.Int64UpDownCounter

	evictions     metric.Int64Counter
	evictionSize  metric.Int64Counter
	damagedCount  metric.Int64Counter
	storeFailures metric.Int64Counter
	storeLeftOut  metric.Int64UpDownCounter

	leases       metric.Int64Counter
	leaseWaiting metric.Float64Histogram

	prefetchKeys     metric.Int64Counter
	prefetchReceived metric.Int64Counter
	prefetchPending  metric.Int64UpDownCounter
	prefetchActive   metric.Int64UpDownCounter

	operationDuration semconv.ClientOperationDuration
}

// The bounds of histograms' buckets. Those of databases are what the conventions advise, those
// of requests what they advise for HTTP clients.
var (
	answerBounds    = []float64{0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10}
	requestBounds   = []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}
	operationBounds = []float64{0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10}
	batchBounds     = []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000}
)

func newInstruments(m metric.Meter) (*instruments, error) {
	maker := maker{Meter: m}
	i := &instruments{
		answers:        maker.counter("endpointcache.answers", "{key}", "Keys that callers were answered, by the kind of the answer."),
		answerDuration: maker.seconds("endpointcache.answer.duration", answerBounds, "Time from a call to its answer."),

		requests:        maker.counter("endpointcache.origin.requests", "{request}", "Requests that were sent to origins, each attempt counted."),
		requestDuration: maker.seconds("endpointcache.origin.request.duration", requestBounds, "Time from a request to the end of its answer, with all attempts."),
		requestsActive:  maker.level("endpointcache.origin.active", "{request}", "Requests to origins that go on."),
		batchSize:       maker.histogram("endpointcache.origin.batch.size", "{key}", batchBounds, "Keys that one request to an origin is for."),
		received:        maker.counter("endpointcache.origin.received", "By", "Bodies that have come from origins."),

		renewals:       maker.counter("endpointcache.renewals", "{renewal}", "Renewals in the background that have ended."),
		renewalsActive: maker.level("endpointcache.renewal.active", "{renewal}", "Renewals in the background that go on."),

		evictions:     maker.counter("endpointcache.evictions", "{entry}", "Entries that were removed in the background."),
		evictionSize:  maker.counter("endpointcache.eviction.size", "By", "Size of the entries that were removed to keep a limit."),
		damagedCount:  maker.counter("endpointcache.damaged", "{entry}", "Entries that were not as they had been saved."),
		storeFailures: maker.counter("endpointcache.store.failures", "{operation}", "Operations on stores that failed, took too long or were not tried."),
		storeLeftOut:  maker.level("endpointcache.store.left_out", "{store}", "Stores that are left alone for a while, as they fail."),

		leases:       maker.counter("endpointcache.leases", "{key}", "Leases, by what has become of them."),
		leaseWaiting: maker.seconds("endpointcache.lease.wait.duration", requestBounds, "Time for which callers have waited for other processes."),

		prefetchKeys:     maker.counter("endpointcache.prefetch.keys", "{key}", "Keys that prefetches are done with, by what became of them."),
		prefetchReceived: maker.counter("endpointcache.prefetch.received", "By", "Bodies that prefetches have saved."),
		prefetchPending:  maker.level("endpointcache.prefetch.pending", "{key}", "Keys that prefetches have left to do, as far as their number is known."),
		prefetchActive:   maker.level("endpointcache.prefetch.active", "{run}", "Prefetches that go on."),
	}
	var err error
	i.operationDuration, err = semconv.NewClientOperationDuration(m, metric.WithExplicitBucketBoundaries(operationBounds...))
	return i, errors.Join(append(maker.errs, err)...)
}

// maker makes instruments and keeps the errors.
type maker struct {
	metric.Meter
	errs []error
}

func (m *maker) counter(name, unit, description string) metric.Int64Counter {
	c, err := m.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(description))
	m.errs = append(m.errs, err)
	return c
}

func (m *maker) level(name, unit, description string) metric.Int64UpDownCounter {
	c, err := m.Int64UpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
	m.errs = append(m.errs, err)
	return c
}

func (m *maker) histogram(name, unit string, bounds []float64, description string) metric.Int64Histogram {
	h, err := m.Int64Histogram(name, metric.WithUnit(unit), metric.WithDescription(description), metric.WithExplicitBucketBoundaries(bounds...))
	m.errs = append(m.errs, err)
	return h
}

func (m *maker) seconds(name string, bounds []float64, description string) metric.Float64Histogram {
	h, err := m.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description), metric.WithExplicitBucketBoundaries(bounds...))
	m.errs = append(m.errs, err)
	return h
}
