package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"os"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"sluice/gateway"
	"sluice/internal/audit"
	"sluice/internal/erasure"
	"sluice/internal/webhook"
	"sluice/worker"
)

// sweepEvery is how often strays are looked for, unless their grace is shorter.
const sweepEvery = time.Minute

// readingBytes is what the heap of a worker may be over the memory for its jobs'
// sums before garbage is collected more often: for files that are read, results
// that are written, and the process itself.
const readingBytes = 64 << 20

// opsTimeout is for a whole request to a worker, which has no body.
const opsTimeout = 10 * time.Second

// sumSettings say where the sums of a job are.
type sumSettings struct {
	JobMemoryBytes byteCount `group:"Worker" default:"256MiB" env:"SLUICE_JOB_MEMORY_BYTES" help:"Memory for the sums of one job; what is more goes to nameless files. 0: no limit."`
	TempDir        string    `group:"Worker" env:"SLUICE_TEMP_DIR" placeholder:"DIR" help:"Where these files go, on a disk. Empty: the system's folder."`
}

func (s sumSettings) check() error {
	if s.TempDir == "" {
		return nil
	}
	if info, err := os.Stat(s.TempDir); err != nil || !info.IsDir() {
		return fmt.Errorf("--temp-dir (SLUICE_TEMP_DIR): %q is not a folder", s.TempDir)
	}
	return nil
}

// workerSettings say how much a worker does at once.
type workerSettings struct {
	WorkerConcurrency int            `group:"Worker" default:"2" env:"SLUICE_WORKER_CONCURRENCY" help:"Jobs at once, 1 to 1000."`
	WorkerCompose     bool           `group:"Worker" default:"true" negatable:"" env:"SLUICE_WORKER_COMPOSE" help:"Make the parts of a processed file one object in S3."`
	WebhookAllow      []netip.Prefix `group:"Worker" env:"SLUICE_WEBHOOK_ALLOW" placeholder:"CIDR,…" help:"Networks that webhooks may lead to although they are private or loopback, such as 10.1.0.0/16, at any port. Others are told at public addresses and ports 80, 443, 8080 and 8443 only."`
	sumSettings
}

func (s workerSettings) check() error {
	if s.WorkerConcurrency < 1 || s.WorkerConcurrency > 1000 {
		return errors.New("--worker-concurrency (SLUICE_WORKER_CONCURRENCY): from 1 to 1000")
	}
	return s.sumSettings.check()
}

// limitMemory has garbage collected before it is as much again as what is alive,
// which the memory for sums, and what is beside it, would double.
// GOMEMLIMIT overrides it.
func (s workerSettings) limitMemory(beside byteCount) {
	if s.JobMemoryBytes > 0 && debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(int64(s.WorkerConcurrency)*int64(s.JobMemoryBytes) + int64(beside) + readingBytes)
	}
}

// work runs a worker until ctx ends and its jobs are done or handed back.
func (s workerSettings) work(ctx context.Context, st *stack, fleet fleetSettings) error {
	var composer worker.Composer // none
	if s.WorkerCompose {
		composer = st.uploads
	}
	eraser, err := erasure.NewEraser(erasure.EraserConfig{Pool: st.pool, Bucket: st.bucket, Jobs: st.jobs, Uploads: st.uploads, Grace: fleet.SweepGrace, Logger: st.log})
	if err != nil {
		return err
	}
	w, err := worker.New(worker.Config{
		Composer: composer, Eraser: eraser, Sender: webhook.NewSender(webhook.Config{Allow: s.WebhookAllow}), Pool: st.queue, Jobs: st.jobs, Bucket: st.bucket, Sweeper: st.uploads, Drops: st.drops,
		SweepEvery: min(fleet.SweepGrace, sweepEvery), Retention: fleet.JobRetention,
		Concurrency: s.WorkerConcurrency, JobMemoryBytes: int64(s.JobMemoryBytes), TempDir: s.TempDir, Logger: st.log, Registerer: st.registry, Tracer: st.tracer,
	})
	if err != nil {
		return err
	}
	return w.Run(ctx)
}

type workCmd struct {
	workerSettings
	OpsAddr address `name:"ops-addr" group:"Worker" env:"SLUICE_OPS_ADDR" placeholder:"HOST:PORT" help:"Where to serve /healthz, /readyz and /metrics, to anyone who asks. Empty: nowhere."`
	serverSettings
}

// Validate checks the settings before anything runs.
func (c workCmd) Validate() error {
	return errors.Join(c.serverSettings.check(), c.workerSettings.check())
}

// Run works until ctx ends.
func (c workCmd) Run(ctx context.Context) error { return unlessStopped(ctx, c.run(ctx)) }

func (c workCmd) run(ctx context.Context) error {
	c.limitMemory(0)
	ctx = audit.As(ctx, audit.Worker)
	log := c.logger(os.Stderr)
	st, err := c.open(ctx, log)
	if err != nil {
		return err
	}
	defer st.close()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.work(ctx, st, c.fleetSettings) })
	if c.OpsAddr != "" {
		group.Go(func() error {
			return listen(ctx, log, "ops", c.OpsAddr, &http.Server{Handler: st.ops(), ReadTimeout: opsTimeout})
		})
	}
	return group.Wait()
}

// ops serves what an operator asks of a process without a gateway.
func (st *stack) ops() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeChecks(w, map[string]string{}) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { writeChecks(w, st.needs().Ask(r.Context(), st.log)) })
	mux.Handle("GET /metrics", promhttp.HandlerFor(st.registry, promhttp.HandlerOpts{}))
	return mux
}

// writeChecks answers 200, or 503 where a check is not met.
func writeChecks(w http.ResponseWriter, checks map[string]string) {
	status := http.StatusOK
	for _, state := range checks {
		if state != gateway.Met {
			status = http.StatusServiceUnavailable
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"checks": checks}) // the probe has gone: nobody to tell
}
