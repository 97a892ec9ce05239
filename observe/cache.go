package observe

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/endpointcache/endpointcache/hooks"
)

// The attributes of metrics and spans that are not the conventions'.
const (
	RepositoryKey  = attribute.Key("endpointcache.repository")
	StoreKey       = attribute.Key("endpointcache.store")  // the kind of the cache's store, such as "sqlite"
	ResultKey      = attribute.Key("endpointcache.result") // what became of what is counted
	BatchSizeKey   = attribute.Key("endpointcache.batch.size")
	ConditionalKey = attribute.Key("endpointcache.conditional")
	BackgroundKey  = attribute.Key("endpointcache.background")
)

// hookLabels are what the attributes of a cache's metrics are made of. Empty ones are left out.
type hookLabels struct{ repository, store, result, errorType string }

func (l hookLabels) attributes() []attribute.KeyValue {
	var all []attribute.KeyValue
	for _, a := range []attribute.KeyValue{RepositoryKey.String(l.repository), StoreKey.String(l.store), ResultKey.String(l.result)} {
		if a.Value.AsString() != "" {
			all = append(all, a)
		}
	}
	if l.errorType != "" {
		all = append(all, errorType(l.errorType))
	}
	return all
}

// errorType is the kind of an error as the conventions have it.
func errorType(kind string) attribute.KeyValue {
	if kind == "other" {
		return semconv.ErrorTypeOther
	}
	return semconv.ErrorTypeKey.String(kind)
}

func (o *Observer) answered(ctx context.Context, a hooks.Answer) {
	s := o.ofAnswers.of(hookLabels{repository: a.Repository, store: a.Store, result: a.Result.String()})
	o.answers.Add(ctx, int64(a.Keys), s.add...)
	if a.Duration > 0 {
		o.answerDuration.Record(ctx, a.Duration.Seconds(), s.record...)
	}
}

func (o *Observer) requesting(ctx context.Context, r hooks.Request) (context.Context, func(hooks.RequestEnd)) {
	all := o.ofAnswers.of(hookLabels{repository: r.Repository, store: r.Store})
	o.requestsActive.Add(ctx, 1, all.add...)
	o.batchSize.Record(ctx, int64(r.Keys), all.record...)
	ctx, span := o.start(ctx, "fetch "+r.Repository, trace.SpanKindInternal, r.Background)
	if span.IsRecording() {
		span.SetAttributes(all.attributes.ToSlice()...)
		span.SetAttributes(
			semconv.HTTPRequestMethodKey.String(r.Method),
			BatchSizeKey.Int(r.Keys), ConditionalKey.Bool(r.Conditional), BackgroundKey.Bool(r.Background),
		)
	}
	return ctx, func(e hooks.RequestEnd) {
		result := resultOf(&e)
		if span.IsRecording() {
			endRequest(span, &e, result)
		}
		span.End()
		labels := hookLabels{repository: r.Repository, store: r.Store, result: result}
		if result == failed {
			labels.errorType = e.ErrorType
		}
		s := o.ofAnswers.of(labels)
		o.requestsActive.Add(ctx, -1, all.add...)
		o.requests.Add(ctx, int64(e.Attempts), s.add...)
		o.requestDuration.Record(ctx, e.Duration.Seconds(), s.record...)
		o.received.Add(ctx, e.Bytes, all.add...)
	}
}

// start starts a span. Work in the background is not a part of what the caller does, which may
// have ended: its span begins a trace of its own, with a link to the caller's.
func (o *Observer) start(ctx context.Context, name string, kind trace.SpanKind, background bool) (context.Context, trace.Span) {
	if !background {
		return o.tracer.Start(ctx, name, trace.WithSpanKind(kind))
	}
	opts := []trace.SpanStartOption{trace.WithSpanKind(kind), trace.WithNewRoot()}
	if link := trace.LinkFromContext(ctx); link.SpanContext.IsValid() {
		opts = append(opts, trace.WithLinks(link))
	}
	return o.tracer.Start(ctx, name, opts...)
}

const failed = "failed"

// resultOf is what became of a request.
func resultOf(e *hooks.RequestEnd) string {
	switch {
	case e.Status == http.StatusNotModified:
		return "confirmed"
	case e.Status == http.StatusNotFound, e.Status == http.StatusGone:
		return "absent"
	case e.ErrorType != "":
		return failed
	}
	return "fetched"
}

func endRequest(span trace.Span, e *hooks.RequestEnd, result string) {
	if e.Status > 0 {
		span.SetAttributes(semconv.HTTPResponseStatusCode(e.Status))
	}
	if e.Attempts > 1 {
		span.SetAttributes(semconv.HTTPRequestResendCount(e.Attempts - 1))
	}
	span.SetAttributes(ResultKey.String(result), semconv.HTTPResponseBodySize(int(e.Bytes)))
	if result == failed {
		span.SetAttributes(errorType(e.ErrorType))
		span.SetStatus(codes.Error, "")
	}
}

func (o *Observer) renewing(ctx context.Context, r hooks.Renewal) {
	all := o.ofAnswers.of(hookLabels{repository: r.Repository, store: r.Store})
	if r.Outcome == hooks.RenewalBegun {
		o.renewalsActive.Add(ctx, 1, all.add...)
		return
	}
	o.renewalsActive.Add(ctx, -1, all.add...)
	o.renewals.Add(ctx, 1, o.ofAnswers.of(hookLabels{repository: r.Repository, store: r.Store, result: r.Outcome.String()}).add...)
}

func (o *Observer) evicted(ctx context.Context, e hooks.Eviction) {
	s := o.ofAnswers.of(hookLabels{repository: e.Repository, store: e.Store, result: e.Reason.String()})
	o.evictions.Add(ctx, int64(e.Entries), s.add...)
	if e.Bytes > 0 {
		o.evictionSize.Add(ctx, e.Bytes, s.add...)
	}
}

func (o *Observer) damaged(ctx context.Context, d hooks.Damage) {
	o.damagedCount.Add(ctx, int64(d.Entries), o.ofAnswers.of(hookLabels{repository: d.Repository, store: d.Store}).add...)
}

func (o *Observer) storeFailed(ctx context.Context, f hooks.StoreFailure) {
	l := hookLabels{repository: f.Repository, store: f.Store, result: failed, errorType: f.ErrorType}
	if f.Skipped {
		l.result, l.errorType = "skipped", ""
	}
	o.storeFailures.Add(ctx, 1, o.ofAnswers.of(l).add...)
}

func (o *Observer) storeState(ctx context.Context, s hooks.StoreState) {
	n := int64(-1)
	if s.LeftOut {
		n = 1
	}
	o.storeLeftOut.Add(ctx, n, o.ofAnswers.of(hookLabels{store: s.Store}).add...)
}

func (o *Observer) lease(ctx context.Context, l hooks.LeaseEvent) {
	s := o.ofAnswers.of(hookLabels{repository: l.Repository, store: l.Store, result: l.Outcome.String()})
	o.leases.Add(ctx, int64(l.Keys), s.add...)
	if l.Waited > 0 {
		o.leaseWaiting.Record(ctx, l.Waited.Seconds(), s.record...)
	}
}

func (o *Observer) prefetching(ctx context.Context, p hooks.Prefetch) func(hooks.Progress) {
	all := o.ofAnswers.of(hookLabels{repository: p.Repository, store: p.Store})
	o.prefetchActive.Add(ctx, 1, all.add...)
	var before hooks.Progress
	pending := 0
	return func(now hooks.Progress) {
		for _, kind := range []struct {
			name        string
			now, before int
		}{
			{"cached", now.Cached, before.Cached},
			{"fetched", now.Fetched, before.Fetched},
			{"confirmed", now.Confirmed, before.Confirmed},
			{"stale", now.Stale, before.Stale},
			{"absent", now.Absent, before.Absent},
			{failed, now.Failed, before.Failed},
			{"cancelled", now.Cancelled, before.Cancelled},
		} {
			if kind.now > kind.before {
				s := o.ofAnswers.of(hookLabels{repository: p.Repository, store: p.Store, result: kind.name})
				o.prefetchKeys.Add(ctx, int64(kind.now-kind.before), s.add...)
			}
		}
		o.prefetchReceived.Add(ctx, now.Bytes-before.Bytes, all.add...)
		left := max(0, now.Total-now.Done) // 0 where the total is not known
		if now.Ended {
			left = 0
			o.prefetchActive.Add(ctx, -1, all.add...)
		}
		o.prefetchPending.Add(ctx, int64(left-pending), all.add...)
		before, pending = now, left
	}
}
