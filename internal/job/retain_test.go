package job_test

import (
	"testing"
	"time"

	"sluice/internal/job"
)

func TestEnded(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, state := range job.States() {
		f.in(state)
	}
	ids := func(age time.Duration, limit int) int {
		t.Helper()
		jobs, err := f.Ended(t.Context(), age, limit)
		f.must(err)
		return len(jobs)
	}
	// Ids and ends are of now: no job is an hour old, and all ended ones will be older than nothing.
	if n := ids(time.Hour, 10); n != 0 {
		t.Errorf("%d jobs ended an hour ago", n)
	}
	f.exec(`UPDATE jobs SET completed_at = completed_at - interval '1 day' WHERE completed_at IS NOT NULL`)
	if n := ids(time.Hour, 10); n != 0 {
		t.Errorf("%d jobs ended before they were created", n)
	}
	if n := ids(-time.Second, 10); n != 3 {
		t.Errorf("%d of 3 ended jobs are found", n)
	}
	if n := ids(-time.Second, 2); n != 2 {
		t.Errorf("%d jobs at a limit of 2", n)
	}
}
