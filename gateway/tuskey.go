package gateway

import (
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"sluice/internal/idempotency"
	"sluice/internal/job"
	"sluice/internal/upload"
)

// keyed honours an Idempotency-Key on a creation: a repeat is answered with the
// upload that the first has made, and where that stands. Bytes that come with a
// repeat are left alone, for a client goes on at the offset that it is told.
func (f *files) keyed(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx := c.Request().Context()
		r := &request{g: f.gateway, c: c, ctx: ctx, tenant: job.Tenant(ctx), route: "POST " + filesPath}
		if err := r.take(); err != nil {
			return err
		}
		if r.claim == nil {
			return next(c)
		}
		defer r.claim.Release(ctx)
		h := c.Request().Header
		asked := idempotency.Fingerprint(r.route, h.Get("Upload-Length"), h.Get("Upload-Defer-Length"), h.Get("Upload-Concat"), h.Get("Upload-Metadata"))
		if r.repeats() {
			return f.createdBefore(r, asked)
		}
		c.SetRequest(c.Request().WithContext(upload.WithAlso(ctx, func(id string) idempotency.Step {
			return r.keep(asked, id, http.StatusCreated, nil)
		})))
		return next(c)
	}
}

// createdBefore answers a repeat.
func (f *files) createdBefore(r *request, asked [32]byte) error {
	first := r.claim.First
	if asked != first.Fingerprint {
		return r.again(asked) // refuses
	}
	info, err := f.info(r.ctx, first.JobID)
	if err != nil {
		return err
	}
	h := r.c.Response().Header()
	h.Set("Location", f.location(first.JobID))
	h.Set("Upload-Offset", strconv.FormatInt(info.OffsetBytes, 10))
	setExpiry(h, info)
	return r.c.NoContent(first.Status)
}
