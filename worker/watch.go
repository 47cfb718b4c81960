package worker

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	"sluice/internal/drop"
)

// watchTimeout bounds a round. What it breaks off the next one goes on with.
const watchTimeout = 10 * time.Minute

// watch is the River kind that looks for objects under watched prefixes.
type watch struct {
	river.WorkerDefaults[drop.RoundArgs]

	drops *drop.Store // nil: every round does nothing
}

// Timeout bounds a round.
func (w *watch) Timeout(*river.Job[drop.RoundArgs]) time.Duration { return watchTimeout }

// Work does one round.
func (w *watch) Work(ctx context.Context, _ *river.Job[drop.RoundArgs]) error {
	if w.drops == nil {
		return nil
	}
	return w.drops.Round(ctx)
}

// watchPeriodically announces rounds, the first at once. A listing is due half an
// interval after the last began, so that with a quarter until somebody sees it, and
// another to go through, no object lies unseen for longer than the interval.
func watchPeriodically(interval time.Duration) *river.PeriodicJob {
	every := max(interval/4, time.Second)
	return river.NewPeriodicJob(river.PeriodicInterval(every), func() (river.JobArgs, *river.InsertOpts) {
		return drop.RoundArgs{}, &river.InsertOpts{MaxAttempts: 1, Queue: drop.Queue, UniqueOpts: river.UniqueOpts{ByPeriod: every}}
	}, &river.PeriodicJobOpts{RunOnStart: true})
}
