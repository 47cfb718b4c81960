package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"sluice/internal/job"
	"sluice/internal/webhook"
)

const (
	// deliverAtOnce is how many deliveries a worker makes at a time, deliverToOne how
	// many of them to one webhook: so it takes 32 that are slow to hold up the others.
	deliverAtOnce, deliverToOne = 128, 4
	// deliverTimeout is River's: a Sender's own is shorter.
	deliverTimeout = 5 * time.Minute
	// deliveriesKept is how long the log of ended deliveries goes back.
	deliveriesKept = 30 * 24 * time.Hour
)

// deliver is the River kind that makes one attempt at telling a webhook.
type deliver struct {
	river.WorkerDefaults[job.DeliverArgs]

	jobs    *job.Store
	sender  *webhook.Sender
	log     *slog.Logger
	metrics *metrics
	lanes   lanes
}

// Timeout is the last resort.
func (w *deliver) Timeout(*river.Job[job.DeliverArgs]) time.Duration { return deliverTimeout }

// Work makes the attempt, or puts it off while as many are under way to the same
// webhook as may be.
func (w *deliver) Work(ctx context.Context, rj *river.Job[job.DeliverArgs]) error {
	if rj.Args.Version > job.DeliverVersion {
		return river.JobSnooze(newerSnooze)
	}
	if later := w.lanes.enter(rj.Args.WebhookID, time.Now()); later > 0 {
		return river.JobSnooze(later)
	}
	began := time.Now()
	defer func() { w.lanes.leave(rj.Args.WebhookID, time.Since(began)) }()
	return w.attempt(ctx, rj.Args)
}

// attempt claims the delivery, sends it and records what became of it. Where it
// dies or fails in between, recovery has the attempt made again.
func (w *deliver) attempt(ctx context.Context, args job.DeliverArgs) error {
	d, err := w.jobs.ClaimDelivery(ctx, args)
	if errors.Is(err, job.ErrLostLease) {
		return nil
	}
	if err != nil {
		return err
	}
	began := time.Now()
	status, err := w.sender.Send(ctx, webhook.Message{ID: d.ID, URL: d.URL, Payload: d.Payload, Secrets: d.Secrets})
	if ctx.Err() != nil && err != nil {
		return fmt.Errorf("deliver %s: %w", d.ID, ctx.Err()) // cut short by this worker's end, not by the receiver
	}
	a := job.Attempt{Duration: time.Since(began), StatusCode: status}
	if err != nil {
		a.Error = err.Error()
	}
	// What was delivered is to be known, though the worker is told to stop.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	outcome, err := w.jobs.RecordAttempt(ctx, d, a)
	if errors.Is(err, job.ErrLostLease) {
		return nil
	}
	if err != nil {
		return err
	}
	w.metrics.deliveries.WithLabelValues(string(outcome)).Inc()
	if outcome == job.Disabled {
		w.log.WarnContext(ctx, "webhook disabled", slog.String("delivery_id", d.ID), slog.Int("status", status))
	}
	return nil
}
