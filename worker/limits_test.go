package worker_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"sluice/internal/blob"
	"sluice/internal/job"
	"sluice/internal/scope"
	"sluice/worker"
)

// limit sets a tenant's limits.
func (w *world) limit(tenant string, edit func(*job.Limits)) {
	w.Helper()
	_, err := w.jobs.SetLimits(w.Context(), tenant, edit)
	w.must(err)
}

func (w *world) cap(most int32) {
	w.Helper()
	w.limit(tenant, func(l *job.Limits) { l.MaxRunning = &most })
}

// copies queues n jobs that all read the object of one more, which is the first,
// and returns their ids in order.
func (w *world) copies(n int) []string {
	w.Helper()
	whole := strings.Join(csv, "")
	ids := []string{w.file(whole)}
	w.must(w.jobs.InTx(w.Context(), scope.Tenant(tenant), func(tx pgx.Tx) error {
		for range n {
			id := job.NewID()
			ids = append(ids, id)
			if err := w.jobs.CreateTx(w.Context(), tx, job.Draft{ID: id, Tenant: tenant, Channel: "tus"}); err != nil {
				return err
			}
			w.exec(`
				WITH upload AS (INSERT INTO uploads (id, tenant, size_bytes, offset_bytes, state, expires_at)
					SELECT $1, tenant, size_bytes, offset_bytes, state, expires_at FROM uploads WHERE id = $2 RETURNING id)
				INSERT INTO parts SELECT upload.id, start_bytes, size_bytes, object_key, etag, crc64 FROM upload, parts WHERE upload_id = $2`, id, ids[0])
			if err := w.jobs.EnqueueTx(w.Context(), tx, id, int64(len(whole)), blob.CRC64([]byte(whole))); err != nil {
				return err
			}
		}
		return nil
	}))
	return ids
}

// together tells how many jobs of the tenant ran at once at most, by their steps,
// whose times are read under the jobs' locks.
func (w *world) together() (n int) {
	w.Helper()
	w.must(w.pool.QueryRow(w.Context(), `
		WITH step AS (SELECT at, steps.state, lag(steps.state) OVER (PARTITION BY job_id ORDER BY steps.version) AS before
			FROM steps JOIN jobs ON jobs.id = job_id WHERE tenant = $1)
		SELECT max(n) FROM (SELECT sum(CASE 'IN_PROGRESS' WHEN state THEN 1 WHEN before THEN -1 ELSE 0 END) OVER (ORDER BY at) AS n FROM step) AS running`,
		tenant).Scan(&n))
	return n
}

// began returns the tenant's jobs in the order in which they were first claimed.
func (w *world) began() []string {
	w.Helper()
	rows, err := w.pool.Query(w.Context(), `SELECT job_id FROM steps JOIN jobs ON jobs.id = job_id
		WHERE steps.state = 'IN_PROGRESS' AND tenant = $1 GROUP BY job_id ORDER BY min(at)`, tenant)
	w.must(err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	w.must(err)
	return ids
}

// Another tenant's jobs do not wait for the thousand of one that has as many under
// way as it may: these are in no queue, and go on in their order.
func TestCapStarvesNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cap(1)
	const backlog = 1000
	ids := w.copies(backlog - 1)
	g := w.gate(partKey(ids[0], 0)) // the first is read by a worker, and goes no further
	one := func(c *worker.Config) { c.Concurrency = 1 }
	w.start(one)
	w.start(one)
	<-g.reached
	const others = 20
	for range others {
		w.fileOf("other", job.NewID(), csv...)
	}
	w.eventually("the other tenant's jobs", func() bool {
		return w.count(`jobs WHERE tenant = 'other' AND state = 'JOB_COMPLETE'`) == others
	})
	if running, held := w.count(`jobs WHERE tenant = $1 AND state = 'IN_PROGRESS'`, tenant), w.count(`jobs WHERE held`); running != 1 || held != backlog-1 {
		t.Errorf("%d run and %d are held, want one of %d", running, held, backlog)
	}
	if n := w.count(`river_job WHERE kind = 'ingest'`); n != others+1 {
		t.Errorf("%d River jobs were inserted, want one for each that ran", n)
	}
	close(g.opened)
	const look = 50
	w.eventually("the first of the others", func() bool { return len(w.began()) > look })
	if got := w.began()[:look]; !slices.Equal(got, ids[:look]) {
		t.Errorf("they began as %q, want %q", got, ids[:look])
	}
	if n := w.together(); n != 1 {
		t.Errorf("%d ran at once", n)
	}
}

// The cap is of all workers together.
func TestCapOverWorkers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const most, jobs = 3, 40
	w.cap(most)
	ids := w.copies(jobs - 1)
	// The first go on once that many have come.
	var came atomic.Int64
	var all sync.WaitGroup
	all.Add(most)
	on := func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, partKey(ids[0], 0)) && came.Add(1) <= most {
			all.Done()
			all.Wait()
		}
		return false
	}
	w.onS3.Store(&on)
	two := func(c *worker.Config) { c.Concurrency = 2 }
	w.start(two)
	w.start(two)
	w.eventually("all jobs", func() bool { return w.count(`jobs WHERE state = 'JOB_COMPLETE'`) == jobs })
	if n := w.together(); n != most {
		t.Errorf("%d jobs ran at once, want %d", n, most)
	}
	if n := w.count(`steps WHERE state = 'IN_PROGRESS'`); n != jobs {
		t.Errorf("%d claims of %d jobs", n, jobs)
	}
}
