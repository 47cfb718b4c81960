package worker_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/job"
	"sluice/worker"
)

// TestSlowCommit: progress that is shown while the job's last commit takes its
// time finds no lease after it. The attempt has lost nothing.
func TestSlowCommit(t *testing.T) {
	t.Parallel()
	w, registry := newWorld(t), prometheus.NewRegistry()
	w.exec(`CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(2); RETURN NULL; END'`)
	w.exec(`CREATE CONSTRAINT TRIGGER slow AFTER UPDATE ON jobs DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW WHEN (NEW.state = 'JOB_COMPLETE') EXECUTE FUNCTION slow()`)
	id := w.file(csv...)
	stop := w.start(func(c *worker.Config) { c.Registerer = registry })
	if j := w.ends(id); j.State != job.JobComplete {
		t.Fatalf("%s, %v", j.State, j.Error)
	}
	// What is seen as complete may still wait for the answer to its commit, which a stop would cut off.
	w.eventually("the attempt is counted", func() bool { return len(outcomes(t, registry)) > 0 })
	stop()
	if keys := w.results(id); len(keys) != 2 {
		t.Errorf("objects %q, want both that the result names", keys)
	}
	if got := outcomes(t, registry); got["completed"] != 1 || len(got) != 1 {
		t.Errorf("attempts by outcome: %v, want one that completed", got)
	}
}

// outcomes counts a worker's attempts.
func outcomes(t *testing.T, registry *prometheus.Registry) map[string]uint64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]uint64{}
	for _, family := range families {
		if family.GetName() != "sluice_job_attempt_duration_seconds" {
			continue
		}
		for _, metric := range family.GetMetric() {
			if n := metric.GetHistogram().GetSampleCount(); n > 0 { // every outcome is there from the start
				counts[metric.GetLabel()[0].GetValue()] = n
			}
		}
	}
	return counts
}
