package worker

import (
	"context"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
)

const (
	// composeQueue is a queue of its own, so that composing takes no place from jobs.
	composeQueue = "compose"
	// composeAtOnce bounds what one round does; the next begins within a minute.
	composeAtOnce = 1000
	// composeTimeout bounds a round. What it breaks off begins afresh.
	composeTimeout = time.Hour
)

// Composer makes uploads in parts one object each. internal/upload's store is one.
type Composer interface {
	// Compose composes uploads whose jobs are complete, limit of them at most. It may be broken off at any time.
	Compose(ctx context.Context, limit int) (int, error)
}

// composeArgs announce a round of composing: River's args of kind "compose".
type composeArgs struct{}

// Kind names the args in River's table. It never changes.
func (composeArgs) Kind() string { return "compose" }

// compose is the River kind that makes the parts of processed files one object.
type compose struct {
	river.WorkerDefaults[composeArgs]

	composer Composer // nil: every round does nothing
	log      *slog.Logger
}

// Timeout bounds a round; what it does not reach the next one does.
func (w *compose) Timeout(*river.Job[composeArgs]) time.Duration { return composeTimeout }

// Work does one round.
func (w *compose) Work(ctx context.Context, _ *river.Job[composeArgs]) error {
	if w.composer == nil {
		return nil
	}
	n, err := w.composer.Compose(ctx, composeAtOnce)
	if n > 0 {
		w.log.InfoContext(ctx, "uploads composed", slog.Int("composed", n))
	}
	return err
}

// composePeriodically announces rounds, the first at once. A round that dies with its worker stands for none but its
// own period, so the next one comes.
func composePeriodically(every time.Duration) *river.PeriodicJob {
	return river.NewPeriodicJob(river.PeriodicInterval(every), func() (river.JobArgs, *river.InsertOpts) {
		return composeArgs{}, &river.InsertOpts{
			MaxAttempts: 1, Priority: 4, Queue: composeQueue, UniqueOpts: river.UniqueOpts{ByPeriod: every},
		}
	}, &river.PeriodicJobOpts{RunOnStart: true})
}
