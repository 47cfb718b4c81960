// Package worker runs the jobs that the gateway enqueues: River kinds, one file
// each, and the recovery of jobs whose worker died.
//
// It knows jobs, objects and the pipeline. It knows nothing of HTTP, tus or how
// a file came in: a job's source is a list of objects.
package worker

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"go.opentelemetry.io/otel/trace"

	"sluice/internal/blob"
	"sluice/internal/drop"
	"sluice/internal/job"
	"sluice/internal/webhook"
)

// The clocks of a worker. River's own time-outs are the last resort and must
// never act first: jobs are fenced and recovered by their leases (30 s).
const (
	ingestTimeout  = 24 * time.Hour  // longer than any job
	rescueAfter    = 25 * time.Hour  // River wants it above the timeout
	recoverMost    = 5 * time.Second // between recoveries: a lease of 30 s is recovered within 35 s
	startEvery     = time.Second     // between attempts to start River without Postgres
	recoverAtOnce  = 100             // jobs per sweep, so that one transaction stays short
	fetchCooldown  = 10 * time.Millisecond
	fetchPoll      = 250 * time.Millisecond // when a notification is lost
	defaultWorkers = 2
	defaultSweep   = time.Minute
	defaultStop    = 10 * time.Second
)

// Sweeper removes what uploads left behind. internal/upload's store is one.
type Sweeper interface {
	// Expire aborts uploads past their expiry and removes their parts, limit at most.
	Expire(ctx context.Context, limit int) (int, error)
	// Sweep deletes the stray objects of ended uploads, limit of them at most.
	Sweep(ctx context.Context, limit int) (int, error)
	// Delete removes a job with all that belongs to it; an unknown one is job.ErrNotFound.
	Delete(ctx context.Context, tenant, id string) error
}

// Config is what a Worker needs; Pool, Jobs, Bucket and Sweeper are required.
type Config struct {
	Pool    *pgxpool.Pool // River's; not closed by the Worker
	Jobs    *job.Store
	Bucket  *blob.Bucket
	Sweeper Sweeper
	// Drops are the objects that partners write under watched prefixes. Nil: no worker of this kind.
	Drops *drop.Store
	// Composer makes the parts of processed files one object each. Nil: they stay in parts.
	Composer Composer
	// Eraser ends all that a tenant has, for who asked for it. Nil: no worker of this kind.
	Eraser Eraser
	// Sender tells webhooks. Nil: one that reaches public addresses only.
	Sender *webhook.Sender

	Concurrency    int           // jobs at once, 1 to 1000; 0 means 2
	SweepEvery     time.Duration // between rounds of housekeeping, of all workers together; 0 means 1 minute
	Retention      time.Duration // how long ended jobs are kept, with their files and results, of tenants without a retention of their own; 0: for ever
	SoftStop       time.Duration // what running jobs get to end by themselves at shutdown; 0 means 10 s
	JobMemoryBytes int64         // what the sums of one job may take before they go to nameless files; 0: no limit
	TempDir        string        // where these go; "": os.TempDir()

	Tracer     trace.TracerProvider // of the spans of attempts; nil: none are made
	ID         string               // names this process in leases; "" means a random one
	Logger     *slog.Logger         // nil: slog.Default
	Registerer prometheus.Registerer
}

// Worker takes jobs from the queue until its context ends.
type Worker struct {
	cfg     Config
	client  *river.Client[pgx.Tx]
	ingest  *ingest
	kinds   *kinds
	log     *slog.Logger
	metrics *metrics
}

// New checks cfg and builds a Worker; nothing runs before Run.
func New(cfg Config) (*Worker, error) {
	if cfg.Pool == nil || cfg.Jobs == nil || cfg.Bucket == nil || cfg.Sweeper == nil {
		return nil, errors.New("worker: Pool, Jobs, Bucket and Sweeper are required")
	}
	if cfg.Concurrency == 0 {
		cfg.Concurrency = defaultWorkers
	}
	cfg.SweepEvery = cmp.Or(cfg.SweepEvery, defaultSweep)
	cfg.SoftStop = cmp.Or(cfg.SoftStop, defaultStop)
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Sender == nil {
		cfg.Sender = webhook.NewSender(webhook.Config{})
	}
	if cfg.ID == "" {
		cfg.ID = "worker-" + rand.Text()
	}
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	w := &Worker{cfg: cfg, ingest: newIngest(cfg, m), kinds: newKinds(), log: cfg.Logger, metrics: m}
	if err := w.registerAll(); err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	client, err := river.NewClient(riverpgxv5.New(cfg.Pool), w.riverConfig())
	if err != nil {
		return nil, fmt.Errorf("worker: configure river: %w", err)
	}
	w.client = client
	return w, nil
}

// registerAll registers every kind: the leader discards kinds it does not know.
func (w *Worker) registerAll() error {
	return errors.Join(
		register(w.kinds, w.ingest),
		register(w.kinds, &sweep{cfg: w.cfg, log: w.log, metrics: w.metrics}),
		register(w.kinds, &deliver{jobs: w.cfg.Jobs, sender: w.cfg.Sender, log: w.log, metrics: w.metrics}),
		register(w.kinds, &compose{composer: w.cfg.Composer, log: w.log}),
		register(w.kinds, &watch{drops: w.cfg.Drops}),
		register(w.kinds, &erase{eraser: w.cfg.Eraser}),
	)
}

func (w *Worker) riverConfig() *river.Config {
	periodic := []*river.PeriodicJob{river.NewPeriodicJob(river.PeriodicInterval(w.cfg.SweepEvery),
		func() (river.JobArgs, *river.InsertOpts) { return sweepArgs{}, sweepOnce(w.cfg.SweepEvery) }, nil)}
	if w.cfg.Composer != nil {
		periodic = append(periodic, composePeriodically(w.cfg.SweepEvery))
	}
	if w.cfg.Drops != nil {
		periodic = append(periodic, watchPeriodically(w.cfg.Drops.Interval()))
	}
	if w.cfg.Eraser != nil {
		periodic = append(periodic, erasePeriodically(w.cfg.SweepEvery))
	}
	return &river.Config{
		ID:      w.cfg.ID,
		Logger:  w.log,
		Workers: w.kinds.workers,
		Queues: map[string]river.QueueConfig{
			river.QueueDefault: {MaxWorkers: w.cfg.Concurrency}, composeQueue: {MaxWorkers: 1},
			job.DeliverQueue: {MaxWorkers: deliverAtOnce}, drop.Queue: {MaxWorkers: 1}, sweepQueue: {MaxWorkers: 1}, eraseQueue: {MaxWorkers: 1},
		},
		JobTimeout:           ingestTimeout,
		RescueStuckJobsAfter: rescueAfter,
		// Indexes are their owner's to rebuild, and the queue's role owns nothing.
		ReindexerSchedule: river.NeverSchedule(),
		FetchCooldown:     fetchCooldown,
		FetchPollInterval: fetchPoll,
		SoftStopTimeout:   w.cfg.SoftStop,
		PeriodicJobs:      periodic,
	}
}

// Run works until ctx ends, then lets running jobs end for SoftStop and hands the
// others back to the queue. It returns nil after a clean stop, also while it starts.
func (w *Worker) Run(ctx context.Context) error {
	if !w.begin(ctx) {
		return nil
	}
	var listener sync.WaitGroup
	listener.Go(func() { w.ingest.running.listen(ctx, w.cfg) })
	w.recoverJobs(ctx)
	<-w.client.Stopped()
	listener.Wait()
	return nil
}

// begin starts River, and again where Postgres is lost meanwhile: a process that
// serves, as the gateway in which a worker runs does, is not to end of what it would
// survive a moment later. It is false where ctx ended first.
func (w *Worker) begin(ctx context.Context) bool {
	tick := time.NewTicker(startEvery)
	defer tick.Stop()
	for {
		err := w.client.Start(ctx)
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		w.log.WarnContext(ctx, "start river", "err", err)
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// recoverJobs puts jobs whose lease ran out back into the queue until ctx ends,
// and admits what waited for its tenant's cap or its time.
// It is a goroutine of every worker and not a River job: River's slots may be
// full, and its row of a dead worker stays running.
func (w *Worker) recoverJobs(ctx context.Context) {
	tick := time.NewTicker(min(recoverMost, w.cfg.Jobs.LeaseExpiry()/6))
	defer tick.Stop()
	var away time.Time // when Postgres last did not answer
	for {
		ids, err := w.recoverSome(ctx, away)
		if err != nil && ctx.Err() == nil {
			away = time.Now()
			w.log.WarnContext(ctx, "recover jobs", "err", err)
		}
		w.metrics.recovered.Add(float64(len(ids)))
		if err := w.cfg.Jobs.Level(ctx); err != nil && ctx.Err() == nil {
			w.log.WarnContext(ctx, "level tenants' slots", "err", err)
		}
		if _, err := w.cfg.Jobs.RecoverDeliveries(ctx, recoverAtOnce); err != nil && ctx.Err() == nil {
			w.log.WarnContext(ctx, "recover deliveries", "err", err)
		}
		for _, id := range ids {
			w.log.WarnContext(ctx, "job recovered from a lost worker", "job_id", id)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// recoverSome takes leases for lost only where their holders had a lease's life
// to renew them since Postgres was last away.
func (w *Worker) recoverSome(ctx context.Context, away time.Time) ([]string, error) {
	up, err := w.cfg.Jobs.Uptime(ctx)
	if err != nil {
		return nil, err
	}
	return w.cfg.Jobs.Recover(ctx, recoverAtOnce, min(up, time.Since(away)) >= w.cfg.Jobs.LeaseExpiry())
}
