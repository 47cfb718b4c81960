package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
)

// sweepAtOnce bounds what one run does, so that the next queue's turn comes.
const sweepAtOnce = 1000

// sweepArgs announce a round of housekeeping: River's args of kind "sweep".
type sweepArgs struct{}

// Kind names the args in River's table. It never changes.
func (sweepArgs) Kind() string { return "sweep" }

// InsertOpts makes one attempt enough: the next round comes by itself. A round
// that waits or runs stands for another.
func (sweepArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 1, Priority: 4, UniqueOpts: river.UniqueOpts{ByPeriod: sweepEvery}}
}

// sweep is the River kind that ends expired uploads and deletes what no
// manifest names.
type sweep struct {
	river.WorkerDefaults[sweepArgs]

	uploads Sweeper
	log     *slog.Logger
}

// Timeout bounds a round; what it does not reach the next one does.
func (w *sweep) Timeout(*river.Job[sweepArgs]) time.Duration { return 10 * time.Minute }

// Work does one round.
func (w *sweep) Work(ctx context.Context, _ *river.Job[sweepArgs]) error {
	expired, err := w.uploads.Expire(ctx, sweepAtOnce)
	swept, sweepErr := w.uploads.Sweep(ctx, sweepAtOnce)
	if expired > 0 || swept > 0 {
		w.log.InfoContext(ctx, "uploads swept", slog.Int("expired", expired), slog.Int("swept", swept))
	}
	return errors.Join(err, sweepErr)
}
