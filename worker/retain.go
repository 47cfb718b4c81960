package worker

import (
	"context"
	"errors"
	"log/slog"

	"sluice/internal/job"
)

// retainAtOnce bounds the jobs that one round of housekeeping deletes: with a
// round a minute that is 144,000 a day.
const retainAtOnce = 100

// retain deletes jobs that ended longer ago than they are kept, each in a
// transaction of its own.
func (w *sweep) retain(ctx context.Context) error {
	if w.cfg.Retention == 0 {
		return nil
	}
	ended, err := w.cfg.Jobs.Ended(ctx, w.cfg.Retention, retainAtOnce)
	if err != nil {
		return err
	}
	for _, j := range ended {
		err := w.cfg.Sweeper.Delete(ctx, j.Tenant, j.ID)
		if errors.Is(err, job.ErrNotFound) { // its user was faster
			continue
		}
		if err != nil {
			return err
		}
		w.metrics.retired.Inc()
		w.log.InfoContext(ctx, "job is past its retention", slog.String("job_id", j.ID))
	}
	return nil
}
