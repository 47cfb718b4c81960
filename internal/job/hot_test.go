package job_test

import (
	"testing"

	"sluice/internal/job"
)

// What a worker does every few seconds writes to no index (HOT): that is why
// none holds lease_expires_at, version or updated_at.
func TestHeartbeatsTouchNoIndex(t *testing.T) {
	t.Parallel()
	f, _ := counting(t)
	l := f.claimed()
	updates := func() (all, hot int) {
		f.exec(`SELECT pg_stat_force_next_flush()`)
		f.must(f.pool.QueryRow(t.Context(), `SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'jobs'`).Scan(&all, &hot))
		return all, hot
	}
	all, hot := updates()
	const beats = 20
	for range beats / 2 {
		f.must(f.Extend(t.Context(), l))
		f.must(f.Progress(t.Context(), l, job.Progress{Stage: job.Parsing, ProcessedBytes: 1}))
	}
	allNow, hotNow := updates()
	if allNow-all != beats || hotNow-hot != beats {
		t.Errorf("of %d updates %d were HOT, want %d", allNow-all, hotNow-hot, beats)
	}
}
