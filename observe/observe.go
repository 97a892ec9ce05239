// Package observe makes metrics and traces of OpenTelemetry of what caches do.
//
//	o, err := observe.New(nil)
//	store, err := o.Store(below)                              // operations on the store
//	c, err := cache.New(store, &cache.Options{Hooks: o.Hooks()}) // all else
//
// It uses OpenTelemetry's API alone: which SDK records, where to and how much of it is the
// program's choice, and without one nothing is recorded. A package that makes traces of an
// http.Client, such as otelhttp, goes below: its spans are children of those of this package.
//
// No metric or span has a key, a URL or the text of an error. docs/observe.md lists the metrics,
// and dashboard.json shows all of them in Grafana.
package observe

import (
	_ "embed"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/hooks"
)

// ScopeName is the name of the instrumentation scope of all metrics and spans.
const ScopeName = "github.com/endpointcache/endpointcache/observe"

// Dashboard is a dashboard for Grafana, to be imported, which asks a Prometheus for the metrics.
//
//go:embed dashboard.json
var Dashboard []byte

// Options are the settings of an observer. A nil *Options means the defaults.
type Options struct {
	// MeterProvider and TracerProvider say where metrics and spans go. The defaults are the
	// global providers of package otel, also if they are set later.
	MeterProvider  metric.MeterProvider
	TracerProvider trace.TracerProvider

	// Attributes are added to all metrics and spans, such as the name of one of a program's
	// several caches. Each combination of their values is a time series of its own.
	Attributes []attribute.KeyValue
}

// Observer records what caches do. Many caches and goroutines may use it at once. It needs no
// closing: what is not exported yet is the SDK's.
type Observer struct {
	*instruments
	tracer trace.Tracer
	own    []attribute.KeyValue

	ofAnswers    sets[hookLabels]
	ofOperations sets[operationLabels]
}

// New returns an observer. The error is that of a meter that cannot make an instrument.
func New(opts *Options) (*Observer, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.MeterProvider == nil {
		o.MeterProvider = otel.GetMeterProvider()
	}
	if o.TracerProvider == nil {
		o.TracerProvider = otel.GetTracerProvider()
	}
	made, err := newInstruments(o.MeterProvider.Meter(ScopeName, metric.WithSchemaURL(semconv.SchemaURL)))
	if err != nil {
		return nil, err
	}
	b := &Observer{
		instruments: made,
		tracer:      o.TracerProvider.Tracer(ScopeName, trace.WithSchemaURL(semconv.SchemaURL)),
		own:         o.Attributes,
	}
	b.ofAnswers.init(b.own, hookLabels.attributes)
	b.ofOperations.init(b.own, operationLabels.attributes)
	return b, nil
}

// Hooks are those that record what a cache does, for cache.Options. To have others called
// besides, see hooks.Join.
func (o *Observer) Hooks() hooks.Hooks {
	return hooks.Hooks{
		Answered:    o.answered,
		Requesting:  o.requesting,
		Renewing:    o.renewing,
		Evicted:     o.evicted,
		Damaged:     o.damaged,
		StoreFailed: o.storeFailed,
		StoreState:  o.storeState,
		Lease:       o.lease,
		Prefetching: o.prefetching,
	}
}

// Store returns below with its operations recorded, by the conventions for databases. The
// returned store is closed instead of below. See hooks.Store.
func (o *Observer) Store(below driver.Store) (driver.Store, error) {
	return hooks.Store(below, hooks.StoreHooks{Operation: o.operation})
}
