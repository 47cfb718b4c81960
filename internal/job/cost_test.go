package job_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/devstack/devtest"
	"sluice/internal/job"
)

// What is read all the time costs next to nothing beside 10,000 queued and 100,000
// ended jobs of one tenant: counted are the blocks that Postgres touches, in tables
// and indexes, and not the time. To find a row by an index takes three or four.
func TestCostOfReads(t *testing.T) {
	t.Parallel()
	f, registry := counting(t)
	own := f.claimed()
	f.must(f.Progress(t.Context(), own, job.Progress{Stage: job.Parsing, ProcessedBytes: 1}))
	list := func(before string) func() {
		return func() {
			jobs, err := f.List(t.Context(), tenant, job.Filter{Before: before})
			f.must(err)
			if len(jobs) != 50 {
				t.Errorf("a page of %d jobs", len(jobs))
			}
		}
	}
	scrape := func() {
		_, err := registry.Gather()
		f.must(err)
	}
	f.fill(job.UploadComplete, 10_000)
	queued := f.blocks(scrape)
	f.fill(job.JobComplete, 100_000)
	for name, read := range map[string]struct {
		most int
		do   func()
	}{
		"status of a running job": {25, func() { f.get(own.JobID) }},
		"status of a queued job":  {25, func() { f.get(queuedID) }},
		"status of an ended job":  {25, func() { f.get(endedID) }},
		"heartbeat":               {30, func() { f.must(f.Extend(t.Context(), own)) }},
		"events of a job": {40, func() {
			_, err := f.EventsAfter(t.Context(), f.get(own.JobID), 1)
			f.must(err)
		}},
		"list of jobs":           {50 * 16, list("")}, // its upload, its result, its oldest duplicate, and itself
		"list of jobs, far back": {50 * 16, list(endedID)},
		// They count what is queued, and nothing else.
		"gauges": {2 * queued, scrape},
	} {
		n := f.blocks(read.do)
		t.Logf("%s: %d blocks", name, n)
		if n > read.most {
			t.Errorf("%s: %d blocks, want %d at most", name, n, read.most)
		}
	}
}

// Jobs that fill makes, of the beginning.
const (
	queuedID = "job_00q00000000000000000000100"
	endedID  = "job_00e00000000000000000000100"
)

// fill adds n jobs of the tenant, with all the rows that each leaves but its offers.
// A tenth of them have the same content.
func (f fixture) fill(state job.State, n int) {
	f.t.Helper()
	kind, columns := "q", "INSERT INTO river_job (args, kind, max_attempts, state) SELECT '{}', 'ingest', 1, 'available'"
	if state == job.JobComplete {
		kind, columns = "e", "INSERT INTO river_job (args, kind, max_attempts, state, finalized_at) SELECT '{}', 'ingest', 1, 'completed', now()"
	}
	f.exec(columns+` FROM generate_series(1, $1::int)`, n)
	f.exec(`
		WITH job AS (
			INSERT INTO jobs (id, tenant, channel, filename, state, credit_model_config, aggregate_config, parse_config, size_bytes, crc64, reference_date, completed_at)
			SELECT 'job_00' || $1::text || lpad(i::text, 23, '0'), 'acme', 'tus', 'a.csv', $2, '', '', '', 1, CASE WHEN i % 10 = 0 THEN 7 ELSE -i END, now(), CASE $1 WHEN 'e' THEN now() END
			FROM generate_series(1, $3::int) AS i RETURNING id, tenant, state),
		upload AS (
			INSERT INTO uploads (id, tenant, size_bytes, offset_bytes, state, expires_at) SELECT id, tenant, 1, 1, 'complete', now() FROM job),
		step AS (
			INSERT INTO steps SELECT id, 1, state, NULL, 0, 0, 0, NULL, NULL, false, now() FROM job)
		INSERT INTO results SELECT id, tenant, 3, 'cashflow-1', '', '{}', decode(repeat('00', 32), 'hex'), NULL, 2, '{}', 1, 0, 0, 1, 1, 0, 0, 1, '', '', 0, 0, '', '', 0, 0
		FROM job WHERE state = 'JOB_COMPLETE'`, kind, string(state), n)
	f.exec(`VACUUM ANALYZE`)
}

// counting is a store on one connection, for Postgres counts per connection, and
// its metrics.
func counting(t *testing.T) (fixture, *prometheus.Registry) {
	t.Helper()
	pool := devtest.OneConn(t)
	registry := prometheus.NewRegistry()
	s, err := job.New(job.Config{Pool: pool, Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	return fixture{Store: s, t: t, pool: pool}, registry
}

// blocks counts what one call touches: the most of the plans that Postgres makes
// for known values, as at first, and for any, as later.
func (f fixture) blocks(read func()) (most int) {
	f.t.Helper()
	touched := func() (n int) {
		f.exec(`SELECT pg_stat_force_next_flush()`)
		f.must(f.pool.QueryRow(f.ctx(), `SELECT sum(heap_blks_read + heap_blks_hit + coalesce(idx_blks_read + idx_blks_hit, 0) + coalesce(toast_blks_read + toast_blks_hit, 0))
			FROM pg_statio_user_tables`).Scan(&n))
		return n
	}
	read() // reads what the planner must know, too
	for range 8 {
		before := touched()
		read()
		most = max(most, touched()-before)
	}
	return most
}
