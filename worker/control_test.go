package worker_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/internal/job"
	"sluice/internal/scope"
	"sluice/internal/upload"
	"sluice/worker"
)

// A job that is cancelled or deleted while it runs stops at once, long before
// its next heartbeat, and leaves nothing.
func TestStopWhileRunning(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(w *world, uploads *upload.Store, id string) error{
		"cancelled": func(w *world, uploads *upload.Store, id string) error { return uploads.Cancel(w.Context(), tenant, id) },
		"deleted":   func(w *world, uploads *upload.Store, id string) error { return uploads.Delete(w.Context(), tenant, id) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			uploads, err := upload.New(upload.Config{Pool: w.pool, Jobs: w.jobs, Bucket: w.bucket})
			w.must(err)
			id := w.file(csv...)
			g := w.gate(partKey(id, 1))
			defer close(g.opened)
			// Heartbeats far apart, so that only the word can be what stops it.
			jobs, err := job.New(job.Config{Pool: w.work, LeaseExpiry: time.Hour, SweepGrace: time.Millisecond})
			w.must(err)
			w.start(func(c *worker.Config) { c.Jobs = jobs })
			<-g.reached
			w.must(end(w, uploads, id))
			w.eventually("the attempt's end", func() bool {
				return w.count(`river_job WHERE kind = 'ingest' AND state = 'completed'`) == 1
			})
			if n := w.count("offers"); n != 0 {
				t.Errorf("%d offers", n)
			}
			w.eventually("the sweep", func() bool { return len(w.results(id)) == 0 })
			if name == "deleted" {
				if n := w.count("jobs"); n != 0 {
					t.Errorf("%d jobs", n)
				}
				return
			}
			if j := w.get(id); j.State != job.Aborted || !j.CanRetry {
				t.Errorf("%s, can retry %v", j.State, j.CanRetry)
			}
			w.must(w.jobs.Retry(t.Context(), tenant, id))
			if j := w.ends(id); j.State != job.JobComplete || len(w.offers(id)) != 2 {
				t.Errorf("after the retry: %s, %v", j.State, j.Error)
			}
		})
	}
}

// The sweep of a cancelled job keeps what a retry needs: its source.
func TestRetryOfFailedJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.file("account_id,date,amount\nA,someday,1\n")
	w.start()
	first := w.ends(id)
	w.must(w.jobs.Retry(t.Context(), tenant, id))
	again := w.await(id, "the retry's end", func(j job.Job) bool { return j.State.Terminal() && j.Fence > first.Fence+1 })
	if again.State != job.Failed || again.Result == nil || again.Result.Rejects.Key == first.Result.Rejects.Key {
		t.Fatalf("the retry ended as %+v", again)
	}
	w.eventually("the sweep", func() bool { return len(w.results(id)) == 1 })
	if got := w.results(id)[0]; got != again.Result.Rejects.Key {
		t.Errorf("kept %s, want %s", got, again.Result.Rejects.Key)
	}
	if err := w.jobs.InTx(t.Context(), scope.Tenant(tenant), func(tx pgx.Tx) error { return w.jobs.CancelTx(t.Context(), tx, tenant, id) }); err == nil {
		t.Error("a failed job was cancelled")
	}
}

// A job that is cancelled while its offers are being copied stops there.
func TestCancelWhilePersisting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.file(csv...)
	locked, err := w.pool.Begin(t.Context())
	w.must(err)
	defer func() { _ = locked.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = locked.Exec(t.Context(), "LOCK TABLE offers IN SHARE ROW EXCLUSIVE MODE")
	w.must(err)
	w.start()
	w.await(id, "the job to be persisting", func(j job.Job) bool { return j.Stage == job.Persisting })
	w.must(w.jobs.InTx(t.Context(), scope.Tenant(tenant), func(tx pgx.Tx) error { return w.jobs.CancelTx(t.Context(), tx, tenant, id) }))
	w.eventually("the attempt's end", func() bool {
		return w.count(`river_job WHERE kind = 'ingest' AND state = 'completed'`) == 1
	})
	w.must(locked.Rollback(t.Context()))
	if j := w.get(id); j.State != job.Aborted || w.count("offers") != 0 {
		t.Errorf("%s, %d offers", j.State, w.count("offers"))
	}
}
