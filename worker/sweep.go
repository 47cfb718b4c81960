package worker

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/riverqueue/river"

	"sluice/internal/job"
)

// sweepAtOnce bounds what one run does, so that the next queue's turn comes.
const sweepAtOnce = 1000

const sweepTimeout = 10 * time.Minute

// sweepQueue is the queue of housekeeping: a backlog of files does not put it off,
// nor does a pause of theirs.
const sweepQueue = "sweep"

// sweepArgs announce a round of housekeeping: River's args of kind "sweep".
type sweepArgs struct{}

// Kind names the args in River's table. It never changes.
func (sweepArgs) Kind() string { return "sweep" }

// sweepOnce makes one attempt enough: the next round comes by itself. A round
// that waits or runs stands for another.
func sweepOnce(every time.Duration) *river.InsertOpts {
	return &river.InsertOpts{MaxAttempts: 1, Queue: sweepQueue, UniqueOpts: river.UniqueOpts{ByPeriod: every}}
}

// sweep is the River kind that ends expired uploads, jobs that were kept long
// enough, and objects that no manifest and no result names.
type sweep struct {
	river.WorkerDefaults[sweepArgs]

	cfg     Config
	log     *slog.Logger
	metrics *metrics
}

// Timeout bounds a round; what it does not reach the next one does.
func (w *sweep) Timeout(*river.Job[sweepArgs]) time.Duration { return sweepTimeout }

// Work does one round.
func (w *sweep) Work(ctx context.Context, _ *river.Job[sweepArgs]) error {
	expired, err := w.cfg.Sweeper.Expire(ctx, sweepAtOnce)
	swept, sweepErr := w.cfg.Sweeper.Sweep(ctx, sweepAtOnce)
	if expired > 0 || swept > 0 {
		w.log.InfoContext(ctx, "uploads swept", slog.Int("expired", expired), slog.Int("swept", swept))
	}
	return errors.Join(err, sweepErr, w.retain(ctx), w.strays(ctx), w.cfg.Jobs.ForgetDeliveries(ctx, deliveriesKept, sweepAtOnce))
}

// strays deletes what lost attempts wrote.
func (w *sweep) strays(ctx context.Context) error {
	for range sweepAtOnce {
		stray, err := w.cfg.Jobs.ClaimStray(ctx)
		if err != nil || stray == nil {
			return err
		}
		if err := w.stray(ctx, stray); err != nil {
			return err
		}
	}
	return nil
}

func (w *sweep) stray(ctx context.Context, stray *job.Stray) error {
	var keys []string
	for o, err := range w.cfg.Bucket.List(ctx, job.ResultPrefix(stray.Tenant, stray.JobID)) {
		if err != nil {
			return err
		}
		keys = append(keys, o.Key)
	}
	if err := w.cfg.Jobs.Load(ctx, stray); err != nil {
		return err
	}
	if keys = slices.DeleteFunc(keys, stray.Names); len(keys) > 0 {
		if err := w.cfg.Bucket.Delete(ctx, keys...); err != nil {
			return err
		}
		w.metrics.orphans.Add(float64(len(keys)))
		w.log.InfoContext(ctx, "objects of lost attempts deleted", slog.String("job_id", stray.JobID), slog.Int("object_keys", len(keys)))
	}
	if err := w.abandon(ctx, stray); err != nil {
		return err
	}
	return w.cfg.Jobs.Swept(ctx, stray)
}

// abandon ends the multipart uploads of lost attempts. A result names none of their
// keys, unless it is there whole.
func (w *sweep) abandon(ctx context.Context, stray *job.Stray) error {
	for _, fence := range stray.Lost() {
		prefix := attemptPrefix(stray.Tenant, stray.JobID, fence)
		for _, name := range []string{aggregatesName, rejectsName} {
			if err := w.cfg.Bucket.Abandon(ctx, prefix+name); err != nil {
				return err
			}
		}
	}
	return nil
}
