package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/internal/audit"
	"sluice/internal/job/db"
	"sluice/internal/scope"
)

const (
	webhookPrefix  = "wh"
	deliveryPrefix = "msg"
	// maxWebhooks is how many a tenant may have: each costs every job's end a row.
	maxWebhooks = 100
	// rotationOverlap is how long a secret that was replaced signs beside the new one.
	rotationOverlap = 24 * time.Hour
)

// eventTypes are what a webhook can be told of, by the state that a job has ended in.
var eventTypes = map[State]string{JobComplete: "job_completed", Failed: "job_failed", Aborted: "job_aborted"}

// EventTypes returns the event types that a webhook can be told of, sorted.
func EventTypes() []string {
	var all []string
	for _, t := range eventTypes {
		all = append(all, t)
	}
	slices.Sort(all)
	return all
}

// Webhook is a URL that is told when jobs end. Its secret is shown by
// RegisterWebhook and RotateSecret alone.
type Webhook struct {
	ID, Tenant string
	URL        string
	EventTypes []string // of EventTypes
	JobID      string   // the one job that it is about; "": every job of the tenant's

	FailingSince   time.Time // first failure since the last success; zero: the last attempt was one
	DisabledAt     time.Time // zero: it is told
	DisabledReason string    // a clause, for its owner
	CreatedAt      time.Time
}

// RegisterWebhook adds a webhook with its Tenant, URL, EventTypes and JobID, which
// the caller has checked, and returns its id. One for a job that is another
// tenant's or nobody's is ErrNotFound; one for a job that has ended already is
// told of it.
func (s *Store) RegisterWebhook(ctx context.Context, w Webhook, secret string) (id string, err error) {
	err = s.InTx(ctx, scope.Tenant(w.Tenant), func(tx pgx.Tx) error {
		q, jobID := db.New(tx), (*string)(nil)
		if w.JobID != "" { // locked, so that it does not end between being looked at and being told of
			if _, err := s.lockOwn(ctx, tx, w.Tenant, w.JobID); err != nil {
				return err
			}
			jobID = &w.JobID
		}
		id, err = q.InsertWebhook(ctx, db.InsertWebhookParams{
			ID: newID(webhookPrefix), Tenant: w.Tenant, Url: w.URL, EventTypes: w.EventTypes, JobID: jobID, Secret: secret, Most: maxWebhooks,
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrWebhookLimit
		}
		if err != nil {
			return fmt.Errorf("insert webhook: %w", err)
		}
		if err := audit.Record(ctx, tx, audit.Act{Tenant: w.Tenant, Action: audit.WebhookCreate, Subject: id}); err != nil {
			return err
		}
		if jobID == nil {
			return nil
		}
		j, err := q.LockJob(ctx, w.JobID)
		if err != nil {
			return fmt.Errorf("lock job %s: %w", w.JobID, err)
		}
		if event := eventTypes[State(j.State)]; slices.Contains(w.EventTypes, event) {
			return s.deliver(ctx, tx, row(j), id)
		}
		return nil
	})
	return id, err
}

// Webhooks returns a tenant's webhooks, oldest first.
func (s *Store) Webhooks(ctx context.Context, tenant string) ([]Webhook, error) {
	rows, err := s.as(scope.Tenant(tenant)).ListWebhooks(ctx, tenant)
	if err != nil {
		return nil, fmt.Errorf("list webhooks: %w", err)
	}
	webhooks := make([]Webhook, len(rows))
	for i, r := range rows {
		webhooks[i] = Webhook{
			ID: r.ID, Tenant: tenant, URL: r.Url, EventTypes: r.EventTypes, JobID: deref(r.JobID),
			FailingSince: utc(r.FailingSince), DisabledAt: utc(r.DisabledAt), DisabledReason: r.DisabledReason, CreatedAt: r.CreatedAt.UTC(),
		}
	}
	return webhooks, nil
}

// DeleteWebhook removes a webhook with its deliveries. ErrWebhook: it is another
// tenant's or nobody's.
func (s *Store) DeleteWebhook(ctx context.Context, tenant, id string) error {
	return s.changeWebhook(ctx, tenant, id, audit.WebhookDelete, func(q *db.Queries) (int64, error) {
		return q.DeleteWebhook(ctx, db.DeleteWebhookParams{Tenant: tenant, ID: id})
	})
}

// EnableWebhook has a webhook told again that was disabled. Errors are
// DeleteWebhook's. What failed meanwhile is replayed one by one.
func (s *Store) EnableWebhook(ctx context.Context, tenant, id string) error {
	return s.changeWebhook(ctx, tenant, id, audit.WebhookEnable, func(q *db.Queries) (int64, error) {
		return q.EnableWebhook(ctx, db.EnableWebhookParams{Tenant: tenant, ID: id})
	})
}

// RotateSecret makes secret the one that signs. The one before signs too, until
// the time that is returned; an even older one no longer. Errors are DeleteWebhook's.
func (s *Store) RotateSecret(ctx context.Context, tenant, id, secret string) (previousUntil time.Time, err error) {
	err = s.changeWebhook(ctx, tenant, id, audit.WebhookRotate, func(q *db.Queries) (n int64, err error) {
		previousUntil, err = q.RotateSecret(ctx, db.RotateSecretParams{
			Tenant: tenant, ID: id, Secret: secret, Seconds: rotationOverlap.Seconds(),
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return 0, nil
		}
		return 1, err
	})
	return previousUntil.UTC(), err
}

// changeWebhook has do change one webhook, and records it. ErrWebhook: it changed none.
func (s *Store) changeWebhook(ctx context.Context, tenant, id string, action audit.Action, do func(*db.Queries) (int64, error)) error {
	if !validID(webhookPrefix, id) {
		return ErrWebhook
	}
	return s.InTx(ctx, scope.Tenant(tenant), func(tx pgx.Tx) error {
		n, err := do(db.New(tx))
		if err != nil {
			return fmt.Errorf("%s %s: %w", action, id, err)
		}
		if n == 0 {
			return ErrWebhook
		}
		return audit.Record(ctx, tx, audit.Act{Tenant: tenant, Action: action, Subject: id})
	})
}
