package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"sluice/internal/job"
	"sluice/internal/webhook"
)

const (
	webhooksPath    = "/api/jobs/webhooks"
	maxWebhookBytes = 16 << 10 // of a registration
	maxDeliveries   = 200      // per page
)

// mountWebhooks adds the routes of webhooks. They are below a job's, whose ids
// are never "webhooks".
func (g *Gateway) mountWebhooks(e *echo.Echo) {
	e.POST(webhooksPath+"/register", g.registerWebhook)
	get(e, webhooksPath+"/list", g.listWebhooks)
	e.DELETE(webhooksPath+"/:id", g.changeWebhook(g.cfg.Jobs.DeleteWebhook))
	e.POST(webhooksPath+"/:id/enable", g.changeWebhook(g.cfg.Jobs.EnableWebhook))
	e.POST(webhooksPath+"/:id/rotate", g.rotateSecret)
	get(e, webhooksPath+"/:id/deliveries", g.deliveries)
	e.POST(webhooksPath+"/:id/deliveries/:delivery/replay", g.replay)
}

type registration struct {
	URL        string   `json:"webhook_url"`
	EventTypes []string `json:"event_types"`
	JobID      *string  `json:"job_id"`
}

// registerWebhook answers with the secret, this once.
func (g *Gateway) registerWebhook(c echo.Context) error {
	var r registration
	if err := readJSON(c, &r, maxWebhookBytes); err != nil {
		return err
	}
	if err := r.check(); err != nil {
		return err
	}
	ctx := c.Request().Context()
	w := job.Webhook{Tenant: job.Tenant(ctx), URL: r.URL, EventTypes: r.EventTypes}
	if r.JobID != nil {
		w.JobID = *r.JobID
	}
	secret := webhook.NewSecret()
	id, err := g.cfg.Jobs.RegisterWebhook(ctx, w, secret)
	if errors.Is(err, job.ErrWebhookLimit) {
		return newProblem(http.StatusConflict, "There are as many webhooks as there may be; delete one first.").typed("webhook_limit")
	}
	if err != nil {
		return err
	}
	return writeStatusJSON(c, http.StatusCreated, map[string]string{"id": id, "secret": secret})
}

func (r registration) check() error {
	if err := webhook.CheckURL(r.URL); err != nil {
		return badField("webhook_url", err.Error())
	}
	known := job.EventTypes()
	ok := len(r.EventTypes) > 0 && len(r.EventTypes) <= len(known)
	for _, t := range r.EventTypes {
		ok = ok && slices.Contains(known, t)
	}
	if !ok {
		return badField("event_types", "must be a list of "+strings.Join(known, ", ")+", at least one and each once")
	}
	if r.JobID != nil && !job.ValidID(*r.JobID) {
		return job.ErrNotFound
	}
	return nil
}

// readJSON reads a body of one JSON object, without keys that v does not have.
func readJSON(c echo.Context, v any, most int64) error {
	d := json.NewDecoder(http.MaxBytesReader(c.Response(), c.Request().Body, most))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
	}
	if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
		return newProblem(http.StatusRequestEntityTooLarge, "The body is too long.")
	}
	return newProblem(http.StatusBadRequest, "The body must be one JSON object with the documented keys.")
}

type webhookJSON struct {
	ID             string     `json:"id"`
	URL            string     `json:"webhook_url"`
	EventTypes     []string   `json:"event_types"`
	JobID          *string    `json:"job_id"`
	Enabled        bool       `json:"enabled"`
	FailingSince   *time.Time `json:"failing_since"`
	DisabledAt     *time.Time `json:"disabled_at"`
	DisabledReason *string    `json:"disabled_reason"`
	CreatedAt      *time.Time `json:"created_at"`
}

func (g *Gateway) listWebhooks(c echo.Context) error {
	ctx := c.Request().Context()
	webhooks, err := g.cfg.Jobs.Webhooks(ctx, job.Tenant(ctx))
	if err != nil {
		return err
	}
	list := make([]webhookJSON, len(webhooks))
	for i, w := range webhooks {
		list[i] = webhookJSON{
			ID: w.ID, URL: w.URL, EventTypes: w.EventTypes, JobID: given(w.JobID), Enabled: w.DisabledAt.IsZero(),
			FailingSince: timestamp(w.FailingSince), DisabledAt: timestamp(w.DisabledAt), DisabledReason: given(w.DisabledReason),
			CreatedAt: timestamp(w.CreatedAt),
		}
	}
	return writeJSON(c, map[string]any{"webhooks": list})
}

// given returns nil for "".
func given(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func (g *Gateway) changeWebhook(do func(ctx context.Context, tenant, id string) error) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx := c.Request().Context()
		if err := do(ctx, job.Tenant(ctx), c.Param("id")); err != nil {
			return err
		}
		return c.NoContent(http.StatusNoContent)
	}
}

// rotateSecret answers with the new secret, this once.
func (g *Gateway) rotateSecret(c echo.Context) error {
	ctx, id, secret := c.Request().Context(), c.Param("id"), webhook.NewSecret()
	until, err := g.cfg.Jobs.RotateSecret(ctx, job.Tenant(ctx), id, secret)
	if err != nil {
		return err
	}
	return writeJSON(c, map[string]any{"id": id, "secret": secret, "previous_secret_signs_until": until})
}

type deliveryJSON struct {
	ID        string        `json:"id"`
	JobID     string        `json:"job_id"`
	EventType string        `json:"event_type"`
	State     string        `json:"state"`
	NextAt    *time.Time    `json:"next_attempt_at"`
	CreatedAt *time.Time    `json:"created_at"`
	Attempts  []attemptJSON `json:"attempts"`
}

type attemptJSON struct {
	At         *time.Time  `json:"at"`
	Duration   json.Number `json:"duration_seconds"`
	StatusCode *int        `json:"status_code"` // null: there was no answer
	Error      *string     `json:"error"`
}

// deliveryPosition is a place in the log of a webhook.
type deliveryPosition struct {
	ID string `json:"id"`
}

func (g *Gateway) deliveries(c echo.Context) error {
	most, err := limit(c, maxDeliveries)
	if err != nil {
		return err
	}
	after, err := decodeCursor[deliveryPosition](c)
	if err != nil {
		return err
	}
	var before string
	if after != nil {
		before = after.ID
	}
	ctx := c.Request().Context()
	logs, err := g.cfg.Jobs.Deliveries(ctx, job.Tenant(ctx), c.Param("id"), before, most+1)
	if err != nil {
		return err
	}
	logs, more := cut(logs, most)
	answer := struct {
		Deliveries []deliveryJSON `json:"deliveries"`
		NextCursor *string        `json:"next_cursor"`
	}{Deliveries: make([]deliveryJSON, len(logs))}
	for i, d := range logs {
		answer.Deliveries[i] = deliveryOf(d)
	}
	if more {
		answer.NextCursor = encodeCursor(deliveryPosition{ID: logs[most-1].ID})
	}
	return writeJSON(c, answer)
}

func deliveryOf(d job.DeliveryLog) deliveryJSON {
	out := deliveryJSON{
		ID: d.ID, JobID: d.JobID, EventType: d.EventType, State: d.State,
		NextAt: timestamp(d.NextAt), CreatedAt: timestamp(d.CreatedAt), Attempts: make([]attemptJSON, len(d.Attempts)),
	}
	for i, a := range d.Attempts {
		out.Attempts[i] = attemptJSON{At: timestamp(a.At), Duration: seconds(a.Duration), Error: given(a.Error)}
		if a.StatusCode != 0 {
			out.Attempts[i].StatusCode = &a.StatusCode
		}
	}
	return out
}

// replay answers 202 once the delivery is enqueued again.
func (g *Gateway) replay(c echo.Context) error {
	ctx := c.Request().Context()
	if err := g.cfg.Jobs.Replay(ctx, job.Tenant(ctx), c.Param("id"), c.Param("delivery")); err != nil {
		return err
	}
	return c.NoContent(http.StatusAccepted)
}
