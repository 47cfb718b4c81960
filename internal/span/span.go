// Package span marks what is done for a job as the spans of one trace
// (OpenTelemetry): its requests, its parts, its attempts.
//
// A span is begun below the one that ctx carries, by the provider that made that
// one. So only who begins a trace holds a provider, and where none was begun
// nothing is made and nothing allocated. It knows OpenTelemetry's API, and not where
// spans go.
//
// What a span says is for eyes that may see no file: counts, a job's id, and whether
// something failed; never a name, a key, or the text of an error.
package span

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// scope names the instrumentation, as OpenTelemetry wants it.
const scope = "sluice"

// header is W3C Trace Context's, in which one context is told to another process.
const header = "traceparent"

// Root begins the span of a request or an attempt, as a part of the trace that
// traceparent names, or of a new one where that is empty or no traceparent. The
// function it returns ends it. A nil provider makes nothing.
func Root(ctx context.Context, provider trace.TracerProvider, traceparent, name string, kind trace.SpanKind) (context.Context, func(error)) {
	if provider == nil {
		return ctx, none
	}
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{header: traceparent})
	ctx, s := provider.Tracer(scope).Start(ctx, name, trace.WithSpanKind(kind))
	return ctx, ender(s)
}

// Begin begins a span below ctx's. The function it returns ends it, and marks it
// as failed where its error is not nil.
func Begin(ctx context.Context, name string) (context.Context, func(error)) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, none
	}
	ctx, s := parent.TracerProvider().Tracer(scope).Start(ctx, name)
	return ctx, ender(s)
}

// Count gives the span of ctx a number.
func Count(ctx context.Context, key string, n int64) {
	if s := trace.SpanFromContext(ctx); s.IsRecording() {
		s.SetAttributes(attribute.Int64(key, n))
	}
}

// Job says which job the span of ctx is for.
func Job(ctx context.Context, id string) {
	if s := trace.SpanFromContext(ctx); s.IsRecording() {
		s.SetAttributes(attribute.String("sluice.job_id", id))
	}
}

// Traceparent returns what names the span of ctx to another process, or "" where
// there is none.
func Traceparent(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier[header]
}

func none(error) {}

func ender(s trace.Span) func(error) {
	return func(err error) {
		if err != nil {
			s.SetStatus(codes.Error, "") // its text may name what is a tenant's
		}
		s.End()
	}
}
