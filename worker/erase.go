package worker

import (
	"context"
	"time"

	"github.com/riverqueue/river"
)

const (
	// eraseQueue is a queue of its own: to erase much takes long, and nothing waits for it.
	eraseQueue = "erase"
	// eraseTimeout bounds a round. What it breaks off the next one goes on with.
	eraseTimeout = time.Hour
)

// Eraser ends all that a tenant has. internal/erasure has it.
type Eraser interface {
	// Round works on every erasure that is due. It may be broken off at any time.
	Round(ctx context.Context) error
}

// eraseArgs announce a round of erasing: River's args of kind "erase".
type eraseArgs struct{}

// Kind names the args in River's table. It never changes.
func (eraseArgs) Kind() string { return "erase" }

// erase is the River kind that ends what tenants have.
type erase struct {
	river.WorkerDefaults[eraseArgs]

	eraser Eraser // nil: every round does nothing
}

// Timeout bounds a round.
func (w *erase) Timeout(*river.Job[eraseArgs]) time.Duration { return eraseTimeout }

// Work does one round.
func (w *erase) Work(ctx context.Context, _ *river.Job[eraseArgs]) error {
	if w.eraser == nil {
		return nil
	}
	return w.eraser.Round(ctx)
}

// erasePeriodically announces rounds, the first at once. A round that dies with its worker stands for none but its own
// period, so the next one comes.
func erasePeriodically(every time.Duration) *river.PeriodicJob {
	return river.NewPeriodicJob(river.PeriodicInterval(every), func() (river.JobArgs, *river.InsertOpts) {
		return eraseArgs{}, &river.InsertOpts{MaxAttempts: 1, Queue: eraseQueue, UniqueOpts: river.UniqueOpts{ByPeriod: every}}
	}, &river.PeriodicJobOpts{RunOnStart: true})
}
