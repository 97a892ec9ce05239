package observe

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/endpointcache/endpointcache/hooks"
)

// operationLabels are what the attributes of an operation on a store are made of.
type operationLabels struct{ store, table, operation, errorType string }

// attributes are those of the conventions for databases,
// https://opentelemetry.io/docs/specs/semconv/db/database-metrics/.
func (l operationLabels) attributes() []attribute.KeyValue {
	all := []attribute.KeyValue{systemOf(l.store), semconv.DBOperationName(l.operation)}
	if l.table != "" {
		all = append(all, semconv.DBCollectionName(l.table))
	}
	if l.errorType != "" {
		all = append(all, errorType(l.errorType))
	}
	return all
}

// systemOf is the name that the conventions have for a kind of store, or else the kind.
func systemOf(store string) attribute.KeyValue {
	switch store {
	case "sqlite":
		return semconv.DBSystemNameSQLite
	case "postgres":
		return semconv.DBSystemNamePostgreSQL
	case "redis":
		return semconv.DBSystemNameRedis
	case "mongodb":
		return semconv.DBSystemNameMongoDB
	case "dynamodb":
		return semconv.DBSystemNameAWSDynamoDB
	}
	return semconv.DBSystemNameKey.String(store)
}

// nameOf is the name of an operation: with several keys or entries it is a batch, whose name
// begins so by the conventions.
func nameOf(op *hooks.StoreOperation) string {
	if op.Entries > 1 {
		return "BATCH " + op.Operation
	}
	return op.Operation
}

func (o *Observer) operation(ctx context.Context, op hooks.StoreOperation) (context.Context, func(hooks.StoreEnd)) {
	name := nameOf(&op)
	spanName := name
	if op.Table != "" {
		spanName += " " + op.Table
	}
	labels := operationLabels{op.Store, op.Table, name, ""}
	ctx, span := o.start(ctx, spanName, trace.SpanKindClient, op.Background)
	if span.IsRecording() {
		all := o.ofOperations.of(labels)
		span.SetAttributes(all.attributes.ToSlice()...)
		if op.Entries > 1 {
			span.SetAttributes(semconv.DBOperationBatchSize(op.Entries))
		}
	}
	return ctx, func(e hooks.StoreEnd) {
		if span.IsRecording() {
			endOperation(span, &op, &e)
		}
		span.End()
		labels.errorType = e.ErrorType
		o.operationDuration.Inst().Record(ctx, e.Duration.Seconds(), o.ofOperations.of(labels).record...)
	}
}

func endOperation(span trace.Span, op *hooks.StoreOperation, e *hooks.StoreEnd) {
	switch op.Operation {
	case "get", "pop", "list", "entries":
		span.SetAttributes(semconv.DBResponseReturnedRows(e.Entries))
	}
	if e.ErrorType != "" {
		span.SetAttributes(errorType(e.ErrorType))
		span.SetStatus(codes.Error, "")
	}
}
