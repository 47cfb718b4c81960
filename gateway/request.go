package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"

	"github.com/labstack/echo/v4"

	"sluice/internal/idempotency"
	"sluice/internal/job"
	"sluice/internal/transaction"
)

// request is one request to a door beside tus, while it is answered.
type request struct {
	g      *Gateway
	c      echo.Context
	ctx    context.Context //nolint:containedctx // a request is no longer than its context
	tenant string
	route  string // method and pattern, with the id that the path names
	body   *body
	claim  *idempotency.Claim // of its Idempotency-Key; nil without one
}

// door gives a handler what the doors have in common: their limits, the
// Idempotency-Key, and the wording of what is wrong with a body. The body may
// be of most bytes; 0: any number.
func (g *Gateway) door(handle func(*request) error, most int64) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		ctx := c.Request().Context()
		r := &request{
			g: g, c: c, ctx: ctx, tenant: job.Tenant(ctx), route: c.Request().Method + " " + c.Path() + " " + c.Param("id"),
			body: newBody(c, most),
		}
		if p := r.body.problem(); p != nil { // it says itself that it is too large
			return p
		}
		if err := r.take(); err != nil {
			return err
		}
		if r.claim != nil {
			defer r.claim.Release(ctx)
		}
		if err := handle(r); err != nil {
			return r.explain(err)
		}
		return nil
	}
}

// take claims the request's Idempotency-Key, if it has one.
func (r *request) take() (err error) {
	key, err := idempotencyKey(r.c.Request())
	if err != nil || key == "" {
		return err
	}
	r.claim, err = r.g.cfg.Keys.Claim(r.ctx, r.tenant, key)
	if errors.Is(err, idempotency.ErrBusy) {
		return r.busy()
	}
	return err
}

// idempotencyKey returns the header's value, or "".
func idempotencyKey(r *http.Request) (string, error) {
	const header = "Idempotency-Key"
	values := r.Header.Values(header)
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	if len(values) > 1 || !idempotency.ValidKey(key) {
		return "", badField(header, "must be given once, as 1 to 255 visible characters of ASCII")
	}
	return key, nil
}

// busy is the answer while the key's first request is under way.
func (r *request) busy() error {
	r.c.Response().Header().Set("Retry-After", "1")
	return newProblem(http.StatusConflict, "A request with this Idempotency-Key is under way; ask again when it has ended.").typed("idempotency_key_in_use")
}

// repeats tells whether the key's first request was answered.
func (r *request) repeats() bool { return r.claim != nil && r.claim.First != nil }

// again gives the first answer again to who asks the same.
func (r *request) again(fingerprint [32]byte) error {
	first := r.claim.First
	if fingerprint != first.Fingerprint {
		return newProblem(http.StatusUnprocessableEntity, "This Idempotency-Key was used for a request of other content; use a new one for each request.").typed("idempotency_key_reused")
	}
	return writeBody(r.c, first.Status, []byte(first.Body))
}

// keep returns the step that keeps an answer for repeats. It outlives the client, as what it is part of does.
func (r *request) keep(fingerprint [32]byte, jobID string, status int, body []byte) idempotency.Step {
	return r.claim.Keep(context.WithoutCancel(r.ctx), idempotency.Answer{Fingerprint: fingerprint, JobID: jobID, Status: status, Body: string(body)})
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// explain words what went wrong, first of all with the body.
func (r *request) explain(err error) *problem {
	if p := r.body.problem(); p != nil {
		return p
	}
	if syntax, ok := errors.AsType[*transaction.SyntaxError](err); ok {
		return badField("body", "is not the JSON that it must be: "+syntax.Error()).typed("bad_json")
	}
	if errors.Is(err, idempotency.ErrBusy) {
		return problemOf(r.busy())
	}
	if p := problemOf(err); p.Status != http.StatusInternalServerError {
		return p
	}
	r.g.log.ErrorContext(r.ctx, "request failed", "route", r.c.Path(), "err", err)
	return problemOf(err)
}

// body is a request's body within its limits. It remembers how it ended, for
// what reads it may hide that.
type body struct {
	r    io.Reader
	size int64 // bytes that came
	err  error // nil before the end; io.EOF for a whole body
}

func newBody(c echo.Context, most int64) *body {
	b := &body{r: c.Request().Body}
	if most > 0 {
		b.r = http.MaxBytesReader(c.Response(), c.Request().Body, most)
		if c.Request().ContentLength > most {
			b.err = &http.MaxBytesError{Limit: most}
		}
	}
	return b
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.size += int64(n)
	if err != nil {
		b.err = err
	}
	return n, err
}

// problem says why the body was not read to its end, nil where that was not the body's fault.
func (b *body) problem() *problem {
	tooLarge := (*http.MaxBytesError)(nil)
	switch {
	case b.err == nil, errors.Is(b.err, io.EOF):
		return nil
	case errors.As(b.err, &tooLarge):
		return newProblem(http.StatusRequestEntityTooLarge, "The body is larger than the "+decimal(tooLarge.Limit)+" bytes that may come here.").typed("body_too_large")
	case errors.Is(b.err, os.ErrDeadlineExceeded):
		return newProblem(http.StatusRequestTimeout, "The body came too slowly; send the request again.").typed("body_stalled")
	}
	return newProblem(http.StatusBadRequest, "The body broke off before its end; send the request again.").typed("body_broken")
}
