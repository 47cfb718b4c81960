package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"sluice/internal/audit"
	"sluice/internal/job/db"
	"sluice/internal/scope"
	"sluice/internal/secret"
)

// DeliverQueue is the queue of deliveries: a slow receiver takes no place from
// jobs.
const DeliverQueue = "webhook"

// DeliverVersion is the version of DeliverArgs that this build writes, and the
// newest that it can work.
const DeliverVersion = 1

// deliverLease is how long a worker has from the claim of a delivery to its
// record; behind it another makes the attempt again. A Sender takes 15 s.
const deliverLease = time.Minute

// deliverWaits are the waits behind each failed attempt, of Standard Webhooks'
// own schedule: three days in all. Each is lengthened by up to a tenth, so that
// what failed together does not come back together.
var deliverWaits = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// disableAfter is how long a webhook may fail without one success.
const disableAfter = 5 * 24 * time.Hour

// gone is the status by which a receiver asks for no more (Standard Webhooks).
const gone = 410

// DeliverArgs announce one attempt at a delivery: River's args of kind
// "deliver". Retries are River jobs of their own, due later.
type DeliverArgs struct {
	Version    int    `json:"version"` // of this structure: 1
	DeliveryID string `json:"delivery_id"`
	// WebhookID is whom it is for, so that a worker can tell before its claim how many
	// are under way to there.
	WebhookID string `json:"webhook_id"`
	Fence     int64  `json:"fence"` // the delivery's when it was enqueued
}

// Kind names the args in River's table. It never changes.
func (DeliverArgs) Kind() string { return "deliver" }

// InsertOpts leaves one attempt to River.
func (DeliverArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 1, Queue: DeliverQueue}
}

// Delivery is an attempt that a worker has claimed: what to send, and where.
type Delivery struct {
	ID, URL string
	Payload []byte
	Secrets []secret.Text // the one that signs, then the one before while it does

	webhook, tenant string
	fence           int64
	attempts        int
}

// Attempt is what became of a delivery.
type Attempt struct {
	At         time.Time
	Duration   time.Duration
	StatusCode int    // 0: there was no answer
	Error      string // "": it was delivered
}

// announce has the webhooks told that want to know of the end of a job. It is
// part of the step's transaction: who is told, and that he will be, is as sure
// as the step itself.
func (s *Store) announce(ctx context.Context, tx pgx.Tx, j row) error {
	ids, err := db.New(tx).MatchWebhooks(ctx, db.MatchWebhooksParams{Tenant: j.Tenant, JobID: &j.ID, EventType: eventTypes[State(j.State)]})
	if err != nil {
		return fmt.Errorf("match webhooks: %w", err)
	}
	for _, id := range ids {
		if err := s.deliver(ctx, tx, j, id); err != nil {
			return err
		}
	}
	return nil
}

// deliver enqueues the end of a job for one webhook.
func (s *Store) deliver(ctx context.Context, tx pgx.Tx, j row, webhook string) error {
	payload, err := payloadOf(j)
	if err != nil {
		return fmt.Errorf("encode event of job %s: %w", j.ID, err)
	}
	d := db.InsertDeliveryParams{
		ID: newID(deliveryPrefix), Tenant: j.Tenant, WebhookID: webhook, JobID: j.ID, EventType: eventTypes[State(j.State)], Payload: payload,
	}
	if d.RiverJobID, err = s.enqueueDelivery(ctx, tx, d.ID, webhook, 1, 0); err != nil {
		return err
	}
	if err := db.New(tx).InsertDelivery(ctx, d); err != nil {
		return fmt.Errorf("insert delivery: %w", err)
	}
	return nil
}

// payloadOf is the event as the receiver gets it: what its status says of a job
// that has ended. Paths are relative: who receives it knows the server.
func payloadOf(j row) (string, error) {
	type data struct {
		JobID       string    `json:"job_id"`
		State       string    `json:"state"`
		Status      string    `json:"status"`
		Accepted    int64     `json:"rows_accepted"`
		Rejected    int64     `json:"rows_rejected"`
		Error       *string   `json:"error"`
		ErrorCode   *string   `json:"error_code"`
		CanRetry    bool      `json:"can_retry"`
		CompletedAt time.Time `json:"completed_at"`
		StatusURL   string    `json:"status_url"`
	}
	text, err := json.Marshal(struct {
		Type      string    `json:"type"`
		Timestamp time.Time `json:"timestamp"`
		Data      data      `json:"data"`
	}{eventTypes[State(j.State)], utc(j.CompletedAt), data{
		JobID: j.ID, State: j.State, Status: State(j.State).Status(), Accepted: j.RowsAccepted, Rejected: j.RowsRejected,
		Error: j.ErrorMessage, ErrorCode: j.ErrorCode, CanRetry: j.CanRetry, CompletedAt: utc(j.CompletedAt),
		StatusURL: "/api/jobs/" + j.ID + "/status/",
	}})
	return string(text), err
}

func (s *Store) enqueueDelivery(ctx context.Context, tx pgx.Tx, id, webhook string, fence int64, wait time.Duration) (*int64, error) {
	opts := river.InsertOpts{}
	if wait > 0 {
		opts.ScheduledAt = time.Now().Add(wait)
	}
	res, err := s.river.InsertTx(ctx, tx, DeliverArgs{Version: DeliverVersion, DeliveryID: id, WebhookID: webhook, Fence: fence}, &opts)
	if err != nil {
		return nil, fmt.Errorf("insert river job for delivery %s: %w", id, err)
	}
	return &res.Job.ID, nil
}

// ClaimDelivery takes the attempt that args announce. It returns ErrLostLease
// when it was made, replayed or deleted meanwhile, or its webhook is disabled.
func (s *Store) ClaimDelivery(ctx context.Context, args DeliverArgs) (*Delivery, error) {
	r, err := s.as(scope.System).ClaimDelivery(ctx, db.ClaimDeliveryParams{ID: args.DeliveryID, Fence: args.Fence, Seconds: deliverLease.Seconds()})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrLostLease
	}
	if err != nil {
		return nil, fmt.Errorf("claim delivery %s: %w", args.DeliveryID, err)
	}
	d := &Delivery{
		ID: r.ID, URL: r.Url, Payload: []byte(r.Payload), Secrets: []secret.Text{secret.Text(r.Secret)},
		webhook: r.WebhookID, tenant: r.Tenant, fence: r.Fence, attempts: int(r.Attempts),
	}
	if r.PreviousSecret != "" {
		d.Secrets = append(d.Secrets, secret.Text(r.PreviousSecret))
	}
	return d, nil
}

// Outcome is what a recorded attempt came to.
type Outcome string

// The outcomes of an attempt.
const (
	Delivered Outcome = "delivered"
	Again     Outcome = "again"    // it is tried again later
	GivenUp   Outcome = "given_up" // it was the last attempt
	Disabled  Outcome = "disabled" // and the webhook is told no more
)

// RecordAttempt says what became of a claimed delivery and, where it failed,
// enqueues the next attempt, in one transaction. A worker that dies before it has
// the attempt made again, with the same id. ErrLostLease: another's claim stands.
func (s *Store) RecordAttempt(ctx context.Context, d *Delivery, a Attempt) (outcome Outcome, err error) {
	err = s.InTx(ctx, scope.Worker(d.tenant), func(tx pgx.Tx) error {
		q := db.New(tx)
		hook, err := q.LockWebhook(ctx, db.LockWebhookParams{ID: d.webhook, Tenant: d.tenant, Seconds: disableAfter.Seconds()})
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrLostLease
		}
		if err != nil {
			return fmt.Errorf("lock webhook: %w", err)
		}
		outcome = d.outcome(a, hook)
		if err := s.saveDelivery(ctx, tx, d, a, outcome); err != nil {
			return err
		}
		switch outcome {
		case Delivered:
			err = q.Succeeded(ctx, db.SucceededParams{ID: d.webhook, Tenant: d.tenant})
		case Disabled:
			if err = q.DisableWebhook(ctx, db.DisableWebhookParams{ID: d.webhook, Tenant: d.tenant, Reason: disabledReason(a)}); err == nil {
				err = audit.Record(ctx, tx, audit.Act{Tenant: d.tenant, Action: audit.WebhookDisable, Subject: d.webhook})
			}
		default:
			err = q.Failing(ctx, db.FailingParams{ID: d.webhook, Tenant: d.tenant})
		}
		if err != nil {
			return fmt.Errorf("save webhook: %w", err)
		}
		return nil
	})
	return outcome, err
}

func (d *Delivery) outcome(a Attempt, hook db.LockWebhookRow) Outcome {
	switch {
	case a.Error == "":
		return Delivered
	case hook.Disabled:
		return GivenUp
	case a.StatusCode == gone, hook.FailingLong:
		return Disabled
	case d.attempts > len(deliverWaits):
		return GivenUp
	}
	return Again
}

func disabledReason(a Attempt) string {
	if a.StatusCode == gone {
		return "its receiver answered 410 Gone"
	}
	return fmt.Sprintf("no delivery has succeeded for %d days; at the last %s", int(disableAfter.Hours()/24), a.Error)
}

// saveDelivery ends the delivery or enqueues its next attempt, and keeps the one
// that was made.
func (s *Store) saveDelivery(ctx context.Context, tx pgx.Tx, d *Delivery, a Attempt, outcome Outcome) (err error) {
	save := db.SaveDeliveryParams{ID: d.ID, Tenant: d.tenant, Fence: d.fence, State: "failed"}
	switch outcome {
	case Delivered:
		save.State = "delivered"
	case Again:
		wait := deliverWaits[d.attempts-1]
		wait += rand.N(wait/10 + 1) //nolint:gosec // it spreads load and guards nothing
		save.State, save.Seconds = "pending", wait.Seconds()
		if save.RiverJobID, err = s.enqueueDelivery(ctx, tx, d.ID, d.webhook, d.fence, wait); err != nil {
			return err
		}
	}
	q := db.New(tx)
	n, err := q.SaveDelivery(ctx, save)
	if err == nil && n == 0 {
		return ErrLostLease
	}
	if err != nil {
		return fmt.Errorf("save delivery %s: %w", d.ID, err)
	}
	err = q.InsertAttempt(ctx, db.InsertAttemptParams{
		DeliveryID: d.ID, Fence: d.fence, Tenant: d.tenant, Seconds: a.Duration.Seconds(), DurationMs: a.Duration.Milliseconds(),
		StatusCode: int32(a.StatusCode), Error: a.Error,
	})
	if err != nil {
		return fmt.Errorf("keep attempt at delivery %s: %w", d.ID, err)
	}
	return nil
}
