package gateway

import (
	"net/http"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/trace"

	"sluice/internal/job"
	"sluice/internal/span"
)

// traced makes a span of each request that changes something, and hands it down.
// One for a job that is there is a part of the job's trace, another of the trace
// that its client names in traceparent, if it does. Others, of which pages and
// programs that wait send many, are not worth a span.
func (g *Gateway) traced(next echo.HandlerFunc) echo.HandlerFunc {
	if g.cfg.Tracer == nil {
		return next
	}
	return func(c echo.Context) error {
		r := c.Request()
		switch r.Method {
		case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		default:
			return next(c)
		}
		ctx, end := span.Root(r.Context(), g.cfg.Tracer, g.traceparent(c), r.Method+" "+c.Path(), trace.SpanKindServer)
		if id := c.Param("id"); job.ValidID(id) {
			span.Job(ctx, id)
		}
		c.SetRequest(r.WithContext(ctx))
		err := next(c)
		status := c.Response().Status
		if err != nil {
			status = problemOf(err).Status
		}
		span.Count(ctx, "http.response.status_code", int64(status))
		if status < http.StatusInternalServerError {
			end(nil)
		} else {
			end(echo.NewHTTPError(status))
		}
		return err
	}
}

// traceparent says which trace a request belongs to, or "" for one of its own.
func (g *Gateway) traceparent(c echo.Context) string {
	r := c.Request()
	if id := c.Param("id"); job.ValidID(id) {
		traceparent, err := g.cfg.Jobs.Traceparent(r.Context(), job.Tenant(r.Context()), id)
		if err != nil && r.Context().Err() == nil {
			g.log.WarnContext(r.Context(), "trace not found", "job_id", id, "err", err)
		}
		if traceparent != "" {
			return traceparent
		}
	}
	return r.Header.Get("Traceparent")
}
