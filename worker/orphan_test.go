package worker_test

import (
	"testing"

	"sluice/internal/job"
)

// Whichever of its two rows a job loses, River's or ours, the other one is not left
// over: without River's it is announced anew, and ends once; without ours there is
// nothing to do, and nothing is left.
func TestOrphans(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	unannounced, unknown := w.file(csv...), w.file(csv...)
	w.exec(`DELETE FROM river_job WHERE args->>'job_id' = $1`, unannounced)
	w.exec(`DELETE FROM jobs WHERE id = $1`, unknown)
	w.start()
	if j := w.ends(unannounced); j.State != job.JobComplete || j.Attempts != 1 || len(w.offers(unannounced)) != 2 {
		t.Errorf("the job that nobody announced: %s after %d attempts, %v", j.State, j.Attempts, j.Error)
	}
	w.eventually("River's row to end", func() bool {
		return w.count(`river_job WHERE args->>'job_id' = $1 AND state = 'completed'`, unknown) == 1
	})
	if n := w.count(`river_job WHERE args->>'job_id' = $1`, unknown); n != 1 {
		t.Errorf("%d River jobs announce a job that is not there", n)
	}
	if keys := w.results(unknown); len(keys) != 0 {
		t.Errorf("it left %q", keys)
	}
}
