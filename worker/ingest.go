package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"syscall"
	"time"

	"github.com/aws/smithy-go"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/semaphore"

	"sluice/internal/blob"
	"sluice/internal/drop"
	"sluice/internal/job"
	"sluice/internal/pipeline"
	"sluice/internal/span"
)

// Codes of a job.Error, beside those of pipeline.Failure.
const (
	codeSourceChanged = "source_changed" // an object is not the one that was recorded
	codeBadConfig     = "bad_config"     // settings that were good once and that this build refuses
)

const (
	// settleTimeout bounds what is still done for a job whose worker is told
	// to stop: within it the job is back in the queue.
	settleTimeout = 5 * time.Second
	// backoffFirst and backoffMost bound the wait before a job is tried again
	// that failed for no fault of its file: doubled each time.
	backoffFirst = 2 * time.Second
	backoffMost  = 5 * time.Minute
	// newerSnooze is how long a job is left alone that this build is too old for.
	newerSnooze = 30 * time.Second
)

// ingest is the River kind that turns one file into offers.
type ingest struct {
	river.WorkerDefaults[job.IngestArgs]

	cfg     Config
	room    *semaphore.Weighted // of Config.Concurrency: a job takes one, or all to be alone
	metrics *metrics
	running running
}

func newIngest(cfg Config, m *metrics) *ingest {
	return &ingest{cfg: cfg, room: semaphore.NewWeighted(int64(cfg.Concurrency)), metrics: m}
}

// Timeout keeps River from ending a job: its lease is what ends it.
func (w *ingest) Timeout(*river.Job[job.IngestArgs]) time.Duration { return ingestTimeout }

// Work claims the job and brings it to an end, or back into the queue. River
// is told of a failure only when not even that could be done; recovery then
// finds the job by its lease.
func (w *ingest) Work(ctx context.Context, rj *river.Job[job.IngestArgs]) error {
	if rj.Args.Version > job.IngestVersion {
		return river.JobSnooze(newerSnooze) // a newer worker's: this one cannot know what it asks for
	}
	if !rj.Args.Alone {
		// Before the claim: while another job is alone here, recovery gives what
		// waits to another worker.
		if w.room.Acquire(ctx, 1) != nil {
			return river.JobSnooze(0)
		}
		defer w.room.Release(1)
	}
	lease, j, err := w.cfg.Jobs.Claim(ctx, rj.Args, w.cfg.ID)
	if errors.Is(err, job.ErrLostLease) { // claimed, cancelled, deleted or enqueued anew meanwhile
		return nil
	}
	if err != nil {
		return fmt.Errorf("claim job %s: %w", rj.Args.JobID, err)
	}
	ctx, end := span.Root(ctx, w.cfg.Tracer, j.Traceparent, "attempt", trace.SpanKindConsumer)
	span.Job(ctx, j.ID)
	err = w.attempt(ctx, lease, j, rj.Args.Alone)
	end(err)
	return err
}

// attempt has a go at the job that was claimed. Its error is that of settling it.
func (w *ingest) attempt(ctx context.Context, lease *job.Lease, j job.Job, alone bool) error {
	a := &attempt{
		cfg: w.cfg, lease: lease, job: j, began: time.Now(),
		objects: attemptPrefix(j.Tenant, j.ID, lease.Fence),
	}
	held, cancel := context.WithCancelCause(ctx)
	a.keeper = keepLease(held, cancel, w.cfg, lease)
	w.running.add(a.keeper)
	err := w.try(held, a, alone)
	w.running.remove(a.keeper)
	a.keeper.stop()
	// A heartbeat that meets the row of a job that has just been completed finds
	// no lease either: a run that succeeded lost nothing.
	if cause := context.Cause(held); err != nil && errors.Is(cause, job.ErrLostLease) {
		err = cause
	}
	cancel(nil)
	settled := w.settle(ctx, a, err)
	w.leave(ctx, a)
	return settled
}

// leave tells the door of the file that it was dealt with. If it cannot be told, or
// the worker dies before, it finds out by itself.
func (w *ingest) leave(ctx context.Context, a *attempt) {
	if w.cfg.Drops == nil || a.job.Channel != drop.Channel {
		return
	}
	if err := w.cfg.Drops.Ended(ctx, a.job.ID); err != nil && ctx.Err() == nil {
		w.cfg.Logger.WarnContext(ctx, "object left to the next round", slog.String("job_id", a.job.ID), slog.Any("err", err))
	}
}

// try runs the attempt, alone in this process where it must be.
func (w *ingest) try(ctx context.Context, a *attempt, alone bool) error {
	if alone {
		if err := w.room.Acquire(ctx, int64(w.cfg.Concurrency)); err != nil {
			return err
		}
		defer w.room.Release(int64(w.cfg.Concurrency))
		if err := w.cfg.Jobs.BeginAlone(ctx, a.lease); err != nil {
			return err
		}
	}
	return a.run(ctx)
}

// settle ends the attempt according to what became of it.
func (w *ingest) settle(ctx context.Context, a *attempt, err error) error {
	stopping := ctx.Err() != nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	outcome, settled := "completed", error(nil)
	file, fault := (*pipeline.Failure)(nil), (*panicked)(nil)
	switch {
	case err == nil:
	case errors.Is(err, job.ErrLostLease):
		outcome, settled = "lost", w.cfg.Jobs.Survived(ctx, a.lease)
	case errors.As(err, &file):
		outcome, settled = "failed", a.fail(ctx, file)
	case errors.As(err, &fault):
		w.cfg.Logger.ErrorContext(ctx, "job panicked", slog.String("job_id", a.lease.JobID), slog.Any("err", err), slog.String("stack", string(fault.stack)))
		outcome, settled = "died", w.cfg.Jobs.Died(ctx, a.lease)
	case stopping:
		outcome, settled = "released", w.cfg.Jobs.Release(ctx, a.lease, "its worker was stopped and another takes it", 0)
	default:
		w.cfg.Logger.WarnContext(ctx, "job will be tried again", slog.String("job_id", a.lease.JobID), slog.Any("err", err))
		outcome, settled = "released", w.cfg.Jobs.Release(ctx, a.lease, reason(err), backoff(a.job.Attempts))
	}
	if outcome == "released" && settled == nil {
		a.discard(ctx)
	}
	if errors.Is(settled, job.ErrLostLease) {
		outcome, settled = "lost", nil
	}
	w.metrics.ended(outcome, a)
	return settled
}

// backoff is how long a job waits after that many attempts.
func backoff(attempts int) time.Duration {
	return min(backoffFirst<<min(attempts-1, 16), backoffMost)
}

// blame makes the errors of the layers below that are the file's, or its
// storage's, a Failure.
func (a *attempt) blame(err error) error {
	setting := (*pipeline.SettingError)(nil)
	dropped := a.job.Channel == drop.Channel
	switch {
	case errors.Is(err, blob.ErrChanged) && dropped:
		return &pipeline.Failure{Code: codeSourceChanged, Message: "the object was replaced before it was read to its end; what replaced it has a job of its own"}
	case errors.Is(err, blob.ErrNotFound) && dropped:
		return &pipeline.Failure{Code: codeSourceChanged, Message: "the object was deleted from its bucket before it was read to its end"}
	case errors.Is(err, blob.ErrChanged):
		return &pipeline.Failure{Code: codeSourceChanged, Message: "a stored object was changed while it was read; send the file again"}
	case errors.Is(err, blob.ErrNotFound):
		return &pipeline.Failure{Code: codeSourceChanged, Message: "a stored object of the file is gone; send the file again"}
	case errors.As(err, &setting):
		return &pipeline.Failure{Code: codeBadConfig, Message: setting.Error()}
	}
	return err
}

// reason says why a job could not go on, in words for its user.
func reason(err error) string {
	connect, statement, store := (*pgconn.ConnectError)(nil), (*pgconn.PgError)(nil), (*smithy.OperationError)(nil)
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return "a disk of its worker was full; it is tried again"
	case errors.As(err, &store):
		return "the object store did not answer as it should; it is tried again"
	case errors.As(err, &connect), errors.As(err, &statement):
		return "the database did not answer as it should; it is tried again"
	}
	return "its last attempt was cut short, through no fault of the file; it is tried again"
}
