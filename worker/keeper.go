package worker

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"sluice/internal/job"
	"sluice/internal/pipeline"
)

// progressEvery is how often users are shown how far a job is.
const progressEvery = time.Second

// keeper keeps a lease alive while its job is worked on, and shows progress.
// It is a goroutine of its own: the work may be in one long statement.
type keeper struct {
	cfg   Config
	lease *job.Lease
	drop  context.CancelCauseFunc // ends the work, when the lease is lost
	look  chan struct{}           // has the lease looked at now; of one
	quit  chan struct{}
	once  sync.Once // closes quit
	done  chan struct{}

	mu    sync.Mutex
	now   job.Progress
	shown job.Progress
}

// keepLease starts a keeper. It ends with stop, or with ctx.
func keepLease(ctx context.Context, drop context.CancelCauseFunc, cfg Config, lease *job.Lease) *keeper {
	k := &keeper{cfg: cfg, lease: lease, drop: drop, look: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	k.now.Stage, k.shown.Stage = job.Parsing, job.Parsing
	go k.run(ctx)
	return k
}

// stop ends the keeper, if it has not ended, and returns when it has.
func (k *keeper) stop() {
	k.once.Do(func() { close(k.quit) })
	<-k.done
}

// lookNow has the keeper find out whether the lease is lost.
func (k *keeper) lookNow() {
	select {
	case k.look <- struct{}{}:
	default: // it is about to
	}
}

// report is pipeline.Sinks.Progress.
func (k *keeper) report(p pipeline.Progress) {
	k.set(job.Progress{
		Stage: job.Stage(p.Stage), ProcessedBytes: p.Bytes,
		RowsAccepted: p.Accepted, RowsRejected: p.Rejected, RejectsByReason: byReason(p.ByReason),
	})
}

// enter says that the work is in another stage.
func (k *keeper) enter(s job.Stage) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now.Stage = s
}

func (k *keeper) set(p job.Progress) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now = p
}

func (k *keeper) run(ctx context.Context) {
	defer close(k.done)
	progress, heartbeat := time.NewTicker(progressEvery), time.NewTicker(k.cfg.Jobs.LeaseHeartbeat())
	defer progress.Stop()
	defer heartbeat.Stop()
	for {
		var err error
		select {
		case <-k.quit:
			return
		case <-ctx.Done():
			return
		case <-k.look:
			err = k.cfg.Jobs.Extend(ctx, k.lease)
		case <-heartbeat.C:
			err = k.cfg.Jobs.Extend(ctx, k.lease)
		case <-progress.C:
			err = k.show(ctx)
		}
		if errors.Is(err, job.ErrLostLease) {
			k.drop(job.ErrLostLease)
			return
		}
		if err != nil && ctx.Err() == nil { // two heartbeats may be lost without harm
			k.cfg.Logger.WarnContext(ctx, "lease not renewed", slog.String("job_id", k.lease.JobID), slog.Any("err", err))
		}
	}
}

// show saves the progress, if there is any.
func (k *keeper) show(ctx context.Context) error {
	k.mu.Lock()
	now := k.now
	k.mu.Unlock()
	if reflect.DeepEqual(now, k.shown) {
		return nil
	}
	if err := k.cfg.Jobs.Progress(ctx, k.lease, now); err != nil {
		return err
	}
	k.shown = now
	return nil
}
