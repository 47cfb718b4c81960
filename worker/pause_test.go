package worker_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/internal/job"
	"sluice/worker"
)

// Who has priority goes first, also where it changed while its jobs waited; who has
// the same, in the order in which they came. A paused queue waits with all of them,
// and a worker that starts finds it paused.
func TestPriorities(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.jobs.PauseQueue(t.Context(), "default"))
	priority := func(tenant string, p job.Priority) { w.limit(tenant, func(l *job.Limits) { l.Priority = p }) }
	priority("high", job.High)
	priority("low", job.Low)
	var want []string
	for _, tenant := range []string{"low", tenant, "promoted", "high", "low", tenant, "promoted", "high"} {
		w.fileOf(tenant, job.NewID(), csv...)
		want = append(want, tenant)
	}
	priority("promoted", job.High)
	begun := w.file(csv...) // and put back: it keeps its place
	var args job.IngestArgs
	w.must(w.pool.QueryRow(t.Context(), `SELECT args FROM river_job WHERE args->>'job_id' = $1`, begun).Scan(&args))
	l, _, err := w.jobs.Claim(t.Context(), args, "a worker that stops")
	w.must(err)
	w.must(w.jobs.Release(t.Context(), l, "its worker was stopped", 0))
	if j := w.get(begun); !strings.Contains(j.WaitReason, "its worker was stopped") {
		t.Errorf("it waits because %q", j.WaitReason)
	}

	w.start(func(c *worker.Config) { c.Concurrency = 1 })
	w.swept()
	if n := w.count(`steps WHERE state = 'IN_PROGRESS'`); n != 1 {
		t.Errorf("%d jobs began while the queue was paused", n-1)
	}
	w.must(w.jobs.ResumeQueue(t.Context(), "default"))
	w.eventually("all jobs", func() bool { return w.count(`jobs WHERE state = 'JOB_COMPLETE'`) == len(want)+1 })
	rows, err := w.pool.Query(t.Context(), `SELECT tenant FROM jobs ORDER BY completed_at`)
	w.must(err)
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	w.must(err)
	if want := []string{tenant, "promoted", "high", "promoted", "high", tenant, tenant, "low", "low"}; !slices.Equal(got, want) {
		t.Errorf("they ended in the order of\n%q, want\n%q", got, want)
	}
}

// A worker that runs hears of a pause: what it has goes on, and nothing begins. The
// job that waits says why.
func TestPauseWhileRunning(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	running := w.file(csv...)
	g := w.gate(partKey(running, 1))
	w.start(func(c *worker.Config) { c.Concurrency = 4 })
	<-g.reached
	w.must(w.jobs.PauseQueue(t.Context(), "default"))
	// It has heard once a job waits that came before housekeeping which is done.
	var last string
	w.eventually("the pause to be heard", func() bool {
		last = w.file(csv...)
		w.swept()
		return w.get(last).State == job.UploadComplete
	})
	if reason := w.get(last).WaitReason; !strings.Contains(reason, "paused") {
		t.Errorf("it waits because %q", reason)
	}
	began := w.count(`steps WHERE state = 'IN_PROGRESS'`)
	for range 5 {
		w.file(csv...)
	}
	w.swept()
	close(g.opened)
	w.ends(running)
	w.swept()
	if n := w.count(`steps WHERE state = 'IN_PROGRESS'`); n != began {
		t.Errorf("%d jobs began while the queue was paused", n-began)
	}
	w.must(w.jobs.ResumeQueue(t.Context(), "default"))
	w.eventually("all jobs", func() bool { return w.count(`jobs WHERE state <> 'JOB_COMPLETE'`) == 0 })
}

// swept waits until housekeeping that begins now is done.
func (w *world) swept() {
	w.Helper()
	var id int64
	w.must(w.pool.QueryRow(w.Context(), `INSERT INTO river_job (kind, args, max_attempts, queue) VALUES ('sweep', '{}', 1, 'sweep') RETURNING id`).Scan(&id))
	w.eventually("housekeeping", func() bool { return w.count(`river_job WHERE id = $1 AND state = 'completed'`, id) == 1 })
}

// A queue may be paused before the first worker starts, and one that nobody has
// known is told from it.
func TestPauseUnknown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.jobs.PauseQueue(t.Context(), "nonesuch"); err == nil {
		t.Error("an unknown queue was paused")
	}
	w.must(w.jobs.ResumeQueue(t.Context(), "default"))
	w.must(w.jobs.PauseQueue(t.Context(), "default"))
	w.must(w.jobs.PauseQueue(t.Context(), "default"))
	queues, err := w.jobs.Queues(t.Context())
	w.must(err)
	if len(queues) != 1 || queues[0].Name != "default" || time.Since(queues[0].PausedAt) > time.Hour {
		t.Errorf("queues %+v", queues)
	}
}
