package worker

import (
	"context"
	"errors"
	"log/slog"

	"sluice/internal/job"
)

// retainAtOnce bounds the jobs that are looked for at a time, and retainRounds how
// often one round of housekeeping looks: with a round a minute a million and a half
// a day are deleted.
const retainAtOnce, retainRounds = 100, 10

// retain deletes jobs that ended longer ago than their tenant's are kept, each in a
// transaction of its own.
func (w *sweep) retain(ctx context.Context) error {
	behind := true
	for round := 0; behind && round < retainRounds; round++ {
		ended, err := w.cfg.Jobs.Ended(ctx, w.cfg.Retention, retainAtOnce)
		if err != nil {
			return err
		}
		for _, j := range ended {
			if err := w.retire(ctx, j); err != nil {
				return err
			}
		}
		behind = len(ended) == retainAtOnce
	}
	w.metrics.behind.Set(0)
	if behind {
		w.metrics.behind.Set(1)
		w.log.WarnContext(ctx, "jobs past their retention are left to the next round")
	}
	return nil
}

func (w *sweep) retire(ctx context.Context, j job.Draft) error {
	err := w.cfg.Sweeper.Delete(ctx, j.Tenant, j.ID)
	if errors.Is(err, job.ErrNotFound) { // its user was faster
		return nil
	}
	if err != nil {
		return err
	}
	w.metrics.retired.Inc()
	w.log.InfoContext(ctx, "job is past its retention", slog.String("job_id", j.ID))
	return nil
}
