package worker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/job"
	"sluice/internal/scope"
	"sluice/worker"
)

// lastYear is the id of a job that was created then, the nth.
func lastYear(n int) string { return fmt.Sprintf("job_01jc00000000000000000%05d", n) }

// Jobs past their tenant's retention go with all that belongs to them; others stay.
func TestRetention(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stop := w.start()
	old, archived, young := w.fileOf(tenant, lastYear(1), csv...), w.fileOf("archive", lastYear(2), csv...), w.file(csv...)
	w.eventually("the jobs' ends", func() bool { return w.count(`jobs WHERE state = 'JOB_COMPLETE'`) == 3 })
	stop()
	waits := w.file(csv...)
	w.exec(`UPDATE jobs SET completed_at = now() - interval '2 hours' WHERE id IN ($1, $2)`, old, archived)
	w.limit("archive", func(l *job.Limits) { l.Retention = new(3 * time.Hour) })
	registry := prometheus.NewRegistry()
	w.start(func(c *worker.Config) { c.Retention, c.Registerer = time.Hour, registry })
	w.eventually("the old job's end", func() bool { return w.count("jobs WHERE id = $1", old) == 0 })
	w.ends(waits)
	if n := w.count("offers WHERE job_id = $1", old); n != 0 {
		t.Errorf("%d offers are left", n)
	}
	w.eventually("its objects' end", func() bool {
		return len(w.objects("results/"+tenant+"/"+old))+len(w.objects("uploads/"+tenant+"/"+old)) == 0
	})
	if j := w.get(young); j.State != job.JobComplete || len(w.offers(young)) != 2 || len(w.results(young)) != 2 {
		t.Errorf("the young job is %s", j.State)
	}
	w.eventually("the count", func() bool { return counted(t, registry, "sluice_jobs_retired_total") == 1 })
	if n := len(w.objects("results/archive/" + archived)); n != 2 {
		t.Errorf("%d objects are left of the job that is kept for longer", n)
	}
	w.limit("archive", func(l *job.Limits) { l.Retention = new(time.Hour) })
	w.eventually("its end", func() bool { return w.count("jobs WHERE id = $1", archived) == 0 })
}

// A round has an end: what is more is left to the next, and told.
func TestRetentionIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const backlog, most = 1010, 1000
	w.must(w.jobs.InTx(t.Context(), scope.Tenant(tenant), func(tx pgx.Tx) error {
		for n := range backlog {
			if err := w.jobs.CreateTx(t.Context(), tx, job.Draft{ID: lastYear(n), Tenant: tenant, Channel: "tus"}); err != nil {
				return err
			}
		}
		return nil
	}))
	w.exec(`UPDATE jobs SET state = 'ABORTED', error_code = 'aborted', error_message = 'Test.', completed_at = now() - interval '1 day'`)
	w.exec(`INSERT INTO river_job (kind, args, max_attempts, queue) VALUES ('sweep', '{}', 1, 'sweep')`) // one round; the next is an hour away
	registry := prometheus.NewRegistry()
	w.start(func(c *worker.Config) { c.Retention, c.Registerer, c.SweepEvery = time.Hour, registry, time.Hour })
	w.eventually("the first round's end", func() bool { return counted(t, registry, "sluice_jobs_retention_behind") == 1 })
	if retired, left := counted(t, registry, "sluice_jobs_retired_total"), w.count("jobs"); retired != most || left != backlog-most {
		t.Errorf("%v jobs were deleted and %d are left", retired, left)
	}
}

// objects lists the keys below a prefix.
func (w *world) objects(prefix string) (keys []string) {
	w.Helper()
	for o, err := range w.bucket.List(w.Context(), prefix) {
		w.must(err)
		keys = append(keys, o.Key)
	}
	return keys
}

// counted returns the value of a counter or gauge.
func counted(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue() + f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}
