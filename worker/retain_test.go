package worker_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/job"
	"sluice/worker"
)

// Jobs past their retention go with all that belongs to them; others stay.
func TestRetention(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stop := w.start()
	old, young := w.file(csv...), w.file(csv...)
	w.ends(old)
	w.ends(young)
	stop()
	waits := w.file(csv...)
	// A job of last year: its id says when it was created.
	const lastYear = "job_01jc0000000000000000000000"
	w.exec(`ALTER TABLE results DROP CONSTRAINT results_tenant_job_id_fkey; ALTER TABLE steps DROP CONSTRAINT steps_job_id_fkey; ALTER TABLE parts DROP CONSTRAINT parts_upload_id_fkey`)
	for table, column := range map[string]string{"jobs": "id", "results": "job_id", "offers": "job_id", "uploads": "id", "parts": "upload_id", "steps": "job_id"} {
		w.exec(`UPDATE `+table+` SET `+column+` = $2 WHERE `+column+` = $1`, old, lastYear)
	}
	w.exec(`UPDATE jobs SET completed_at = now() - interval '2 hours' WHERE id = $1`, lastYear)
	registry := prometheus.NewRegistry()
	w.start(func(c *worker.Config) { c.Retention, c.Registerer = time.Hour, registry })
	w.eventually("the old job's end", func() bool { return w.count("jobs WHERE id = $1", lastYear) == 0 })
	w.ends(waits)
	if n := w.count("offers WHERE job_id = $1", lastYear); n != 0 {
		t.Errorf("%d offers are left", n)
	}
	if j := w.get(young); j.State != job.JobComplete || len(w.offers(young)) != 2 || len(w.results(young)) != 2 {
		t.Errorf("the young job is %s", j.State)
	}
	w.eventually("the count", func() bool {
		families, err := registry.Gather()
		w.must(err)
		for _, f := range families {
			if f.GetName() == "sluice_jobs_retired_total" && f.GetMetric()[0].GetCounter().GetValue() == 1 {
				return true
			}
		}
		return false
	})
}
