package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"sluice/internal/blob"
	"sluice/internal/job"
	"sluice/internal/pipeline"
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
)

// ingest is the River kind that turns one file into offers.
type ingest struct {
	river.WorkerDefaults[job.IngestArgs]

	cfg     Config
	metrics *metrics
}

// Timeout keeps River from ending a job: its lease is what ends it.
func (w *ingest) Timeout(*river.Job[job.IngestArgs]) time.Duration { return ingestTimeout }

// Work claims the job and brings it to an end, or back into the queue. River
// is told of a failure only when not even that could be done; recovery then
// finds the job by its lease.
func (w *ingest) Work(ctx context.Context, rj *river.Job[job.IngestArgs]) error {
	lease, j, err := w.cfg.Jobs.Claim(ctx, rj.Args, w.cfg.ID)
	if errors.Is(err, job.ErrLostLease) { // claimed, cancelled, deleted or enqueued anew meanwhile
		return nil
	}
	if err != nil {
		return fmt.Errorf("claim job %s: %w", rj.Args.JobID, err)
	}
	a := &attempt{
		cfg: w.cfg, lease: lease, job: j, began: time.Now(),
		objects: fmt.Sprintf("%s%d/", resultPrefix(j), lease.Fence),
	}
	held, drop := context.WithCancelCause(ctx)
	a.keeper = keepLease(held, drop, w.cfg, lease)
	err = a.run(held)
	a.keeper.stop()
	if cause := context.Cause(held); errors.Is(cause, job.ErrLostLease) {
		err = cause
	}
	drop(nil)
	return w.settle(ctx, a, err)
}

// settle ends the attempt according to what became of it.
func (w *ingest) settle(ctx context.Context, a *attempt, err error) error {
	stopping := ctx.Err() != nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	outcome, settled := "completed", error(nil)
	file := (*pipeline.Failure)(nil)
	switch {
	case err == nil:
	case errors.Is(err, job.ErrLostLease):
		outcome = "lost"
	case errors.As(err, &file):
		outcome, settled = "failed", a.fail(ctx, file)
	case stopping:
		outcome, settled = "released", w.cfg.Jobs.Release(ctx, a.lease, "its worker stops", 0)
	default:
		outcome, settled = "released", w.cfg.Jobs.Release(ctx, a.lease, err.Error(), backoff(a.job.Attempts))
		w.cfg.Logger.WarnContext(ctx, "job will be tried again", slog.String("job_id", a.lease.JobID), slog.Any("err", err))
	}
	if outcome != "completed" && outcome != "failed" || settled != nil {
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
func blame(err error) error {
	setting := (*pipeline.SettingError)(nil)
	switch {
	case errors.Is(err, blob.ErrChanged):
		return &pipeline.Failure{Code: codeSourceChanged, Message: "a stored object was changed while it was read; send the file again"}
	case errors.Is(err, blob.ErrNotFound):
		return &pipeline.Failure{Code: codeSourceChanged, Message: "a stored object of the file is gone; send the file again"}
	case errors.As(err, &setting):
		return &pipeline.Failure{Code: codeBadConfig, Message: setting.Error()}
	}
	return err
}

// resultPrefix is what the keys of all that a job's attempts write begin with.
func resultPrefix(j job.Job) string { return "results/" + j.Tenant + "/" + j.ID + "/" }
