package span_test

import (
	"context"
	"errors"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"sluice/internal/span"
)

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestTraceGoesOnInAnotherProcess(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewInMemoryExporter()
	provider := sdk.NewTracerProvider(sdk.WithSyncer(spans))
	ctx, endRequest := span.Root(t.Context(), provider, parent, "request", trace.SpanKindServer)
	below, endPart := span.Begin(ctx, "part")
	span.Count(below, "bytes", 7)
	endPart(errors.New("uploads/tenant/key"))
	told := span.Traceparent(ctx)
	endRequest(nil)
	_, endAttempt := span.Root(t.Context(), provider, told, "attempt", trace.SpanKindConsumer)
	endAttempt(nil)

	byName := map[string]tracetest.SpanStub{}
	for _, s := range spans.GetSpans() {
		byName[s.Name] = s
		if id := s.SpanContext.TraceID().String(); id != "4bf92f3577b34da6a3ce929d0e0e4736" {
			t.Errorf("%s is of the trace %s", s.Name, id)
		}
	}
	request := byName["request"].SpanContext.SpanID()
	if byName["part"].Parent.SpanID() != request || byName["attempt"].Parent.SpanID() != request {
		t.Errorf("part is below %v, attempt below %v, want %v", byName["part"].Parent.SpanID(), byName["attempt"].Parent.SpanID(), request)
	}
	if status := byName["part"].Status; status.Code.String() != "Error" || status.Description != "" {
		t.Errorf("the failed part has the status %+v", status)
	}
}

// What is no traceparent begins a trace of its own, whoever sent it.
func TestTraceparentIsNotTrusted(t *testing.T) {
	t.Parallel()
	provider := sdk.NewTracerProvider()
	for _, sent := range []string{"", "x", parent + parent, "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "ff" + parent[2:], parent[:40] + "\r\nX: y"} {
		ctx, end := span.Root(t.Context(), provider, sent, "request", trace.SpanKindServer)
		if got := span.Traceparent(ctx); len(got) != len(parent) || got[:35] == parent[:35] {
			t.Errorf("%q became %q", sent, got)
		}
		end(nil)
	}
}

// What is not sampled where the trace began is not sampled further down.
func TestNotSampled(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewInMemoryExporter()
	provider := sdk.NewTracerProvider(sdk.WithSyncer(spans), sdk.WithSampler(sdk.ParentBased(sdk.AlwaysSample())))
	ctx, end := span.Root(t.Context(), provider, parent[:len(parent)-1]+"0", "request", trace.SpanKindServer)
	_, endPart := span.Begin(ctx, "part")
	endPart(nil)
	end(nil)
	if told := span.Traceparent(ctx); told[:35] != parent[:35] || told[len(told)-2:] != "00" || len(spans.GetSpans()) != 0 {
		t.Errorf("told %q, and %d spans", told, len(spans.GetSpans()))
	}
}

// work is what an attempt does to be traced.
func work(ctx context.Context) {
	ctx, end := span.Root(ctx, nil, parent, "attempt", trace.SpanKindConsumer)
	span.Job(ctx, "job_x")
	below, endPart := span.Begin(ctx, "part")
	span.Count(below, "bytes", 7)
	_ = span.Traceparent(below)
	endPart(nil)
	end(nil)
}

func TestOffCostsNothing(t *testing.T) { // not parallel: it counts allocations
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() { work(ctx) }); n != 0 {
		t.Errorf("%v allocations while nothing is traced", n)
	}
}

func BenchmarkOff(b *testing.B) {
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		work(ctx)
	}
}
