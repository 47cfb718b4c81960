package erasure_test

import (
	"context"
	"encoding/json"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/blob"
	"sluice/internal/devstack/devtest"
	"sluice/internal/erasure"
	"sluice/internal/job"
	"sluice/internal/scope"
	"sluice/internal/upload"
)

func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }

// rows are one of each table, of the tenant $1.
var rows = []struct{ table, sql string }{
	{"jobs", `INSERT INTO jobs (id, tenant, channel, filename, state, credit_model_config, aggregate_config, parse_config) VALUES ('job_' || $1, $1, 'tus', '', 'OPEN', '', '', '')`},
	{"steps", `INSERT INTO steps SELECT 'job_' || $1::text, 1, 'OPEN', NULL, 0, 0, 0, NULL, NULL, false, now()`},
	{"results", `INSERT INTO results SELECT 'job_' || $1::text, $1, 1, '', '', '{}', sha256(''), NULL, 2, '{}', 0, 0, 0, 0, 0, 0, 0, 0, '', '', 0, 0, '', '', 0, 0`},
	{"offers", `INSERT INTO offers SELECT $1::text, 'job_' || $1, 1, 'a', now(), now(), 1, 1, 1, 1, 1, 1, 1, 1, true, 'LOW', '{}'`},
	{"uploads", `INSERT INTO uploads (id, tenant, expires_at, holder) VALUES ('job_' || $1, $1, now() + interval '1 hour', 'somebody'), ('up_' || $1, $1, now() + interval '1 hour', '')`},
	{"parts", `INSERT INTO parts SELECT 'job_' || $1::text, 0, 1, 'key', 'etag', 1`},
	{"concats", `INSERT INTO concats SELECT 'job_' || $1::text, 1, 'up_' || $1`},
	{"batched", `INSERT INTO batched (upload_id, tenant, content_type, credit_model_config, aggregate_config, parse_config) VALUES ('job_' || $1, $1, 'csv', '', '', '')`},
	{"batches", `INSERT INTO batches SELECT 'job_' || $1::text, $1, 1, sha256(''), 1`},
	{"upload_tokens", `INSERT INTO upload_tokens SELECT sha256($1::text::bytea), $1, 1, 0, now()`},
	{"token_uploads", `INSERT INTO token_uploads SELECT 'up_' || $1::text, sha256($1::text::bytea), $1`},
	{"webhooks", `INSERT INTO webhooks (id, tenant, url, event_types, secret) VALUES ('wh_' || $1, $1, 'u', '{job_aborted}', 's')`},
	{"deliveries", `INSERT INTO deliveries (id, tenant, webhook_id, job_id, event_type, payload, due_at) VALUES ('msg_' || $1, $1, 'wh_' || $1, 'j', 'e', '{}', now())`},
	{"delivery_attempts", `INSERT INTO delivery_attempts SELECT 'msg_' || $1::text, 1, $1, now(), 1, 200, ''`},
	{"watches", `INSERT INTO watches (id, tenant, bucket, prefix, suffixes, credit_model_config, aggregate_config, parse_config, after, move_to, in_order) VALUES ('watch_' || $1, $1, $1, '', '{}', '', '', '', 'keep', '', false)`},
	{"drops", `INSERT INTO drops (tenant, watch_id, job_id, bucket, object_key, version_id, etag, size_bytes, modified_at, waiting, after, move_to, done) VALUES ($1, 'watch_' || $1, 'job_' || $1, $1, 'k', '', 'e', 1, now(), false, 'keep', '', true)`},
	{"idempotency_keys", `INSERT INTO idempotency_keys SELECT $1::text, 'k', 'h', now()`},
	{"tenant_limits", `INSERT INTO tenant_limits (tenant, max_jobs, max_running) VALUES ($1, 5, 1)`},
	{"tenant_usage", `INSERT INTO tenant_usage (tenant, day, day_bytes, stored_bytes) VALUES ($1, now(), 0, 0)`},
	{"ended_sessions", `INSERT INTO ended_sessions SELECT 's_' || $1::text, $1, now()`},
	{"access_keys", `INSERT INTO access_keys (id, tenant, role, name, digest) VALUES ('key_' || $1, $1, 'read', '', sha256(''))`},
	{"access_sessions", `INSERT INTO access_sessions SELECT sha256($1::text::bytea), $1, 'read', 'key_' || $1, '', now()`},
	{"river_job", `INSERT INTO river_job (args, kind, max_attempts, state) SELECT jsonb_build_object('job_id', 'job_' || $1::text), 'ingest', 1, 'available'`},
}

// seeded is what a receipt has of them.
var seeded = map[string]int64{
	"access_keys": 1, "access_sessions": 1, "batched": 1, "batches": 1, "concats": 1, "deliveries": 1, "delivery_attempts": 1, "drops": 1,
	"ended_sessions": 1, "idempotency_keys": 1, "jobs": 1, "offers": 1, "parts": 1, "results": 1, "steps": 1, "strays": 0, "tenant_limits": 1,
	"tenant_usage": 1, "token_uploads": 1, "upload_tokens": 1, "uploads": 2, "watches": 1, "webhooks": 1,
}

// world is a database and a bucket, and an eraser that can be killed.
type world struct {
	*testing.T
	pool    *pgxpool.Pool // the test's own
	bucket  *blob.Bucket
	jobs    *job.Store
	uploads *upload.Store
	store   *erasure.Store
	eraser  *erasure.Eraser
	death   *death
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, death: &death{}, bucket: devtest.Bucket(t)}
	dsn := devtest.DSN(t)
	w.pool = open(t, dsn, nil)
	mortal := open(t, dsn, w.death)
	var err error
	w.jobs, w.uploads = w.stores(w.pool)
	jobs, uploads := w.stores(mortal)
	w.store, err = erasure.New(erasure.Config{Pool: w.pool})
	w.must(err)
	w.eraser, err = erasure.NewEraser(erasure.EraserConfig{Pool: mortal, Bucket: w.bucket, Jobs: jobs, Uploads: uploads, Grace: time.Millisecond})
	w.must(err)
	return w
}

func (w *world) stores(pool *pgxpool.Pool) (*job.Store, *upload.Store) {
	w.Helper()
	jobs, err := job.New(job.Config{Pool: pool, SweepGrace: time.Millisecond})
	w.must(err)
	uploads, err := upload.New(upload.Config{Pool: pool, Jobs: jobs, Bucket: w.bucket, SweepGrace: time.Millisecond})
	w.must(err)
	return jobs, uploads
}

func open(t *testing.T, dsn string, tracer pgx.QueryTracer) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	cfg.ConnConfig.Tracer = tracer
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// death ends a worker before one of its statements. What it had begun is rolled back, with the connection.
type death struct {
	left atomic.Int64
	end  atomic.Pointer[context.CancelFunc]
}

func (d *death) strike() {
	if end := d.end.Load(); end != nil && d.left.Add(-1) == 0 {
		(*end)()
	}
}

func (d *death) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	d.strike()
	return ctx
}

func (*death) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (d *death) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	d.strike()
	return ctx
}

func (*death) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (*death) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// seed gives the tenant a row of each table, and two objects.
func (w *world) seed(tenant string) {
	w.Helper()
	for _, r := range rows {
		_, err := w.pool.Exec(w.Context(), r.sql, tenant)
		w.must(err)
	}
	for _, key := range []string{"uploads/" + tenant + "/job_x/1-0", "results/" + tenant + "/job_x/1/rejects.csv"} {
		_, err := w.bucket.Put(w.Context(), key, []byte("12345"))
		w.must(err)
	}
}

// erase has the erasure done by workers of which the first dies before the n-th statement, and the sweep's turn come
// between; 0: none dies.
func (w *world) erase(tenant string, n int) (died bool) {
	w.Helper()
	w.death.left.Store(int64(n))
	for {
		ctx, end := context.WithCancel(w.Context())
		w.death.end.Store(&end)
		err := w.eraser.Round(ctx)
		w.death.end.Store(nil)
		if err != nil && ctx.Err() == nil {
			w.Fatal(err)
		}
		died = died || ctx.Err() != nil
		end()
		e, err := w.store.Get(w.Context(), tenant)
		w.must(err)
		if !e.FinishedAt.IsZero() {
			break
		}
		w.sweep()
		_, err = w.pool.Exec(w.Context(), "UPDATE erasures SET due_at = now()") // the pause, and the lease of who died
		w.must(err)
	}
	w.nothingOf(tenant)
	return died
}

// sweep is a round of the worker's.
func (w *world) sweep() {
	w.Helper()
	_, err := w.uploads.Sweep(w.Context(), 100)
	w.must(err)
	for {
		stray, err := w.jobs.ClaimStray(w.Context())
		w.must(err)
		if stray == nil {
			return
		}
		w.must(w.jobs.Swept(w.Context(), stray))
	}
}

func (w *world) nothingOf(tenant string) {
	w.Helper()
	for table, n := range w.counts(tenant) {
		if n > 0 {
			w.Errorf("%d rows of %s are left", n, table)
		}
	}
	if n := w.count("SELECT count(*) FROM river_job WHERE args ->> 'job_id' = $1", "job_"+tenant); n != 0 {
		w.Error("the job is announced")
	}
	for _, prefix := range []string{"uploads/", "results/"} {
		for o, err := range w.bucket.List(w.Context(), prefix+tenant+"/") {
			w.Errorf("%s is left: %v", o.Key, err)
		}
	}
}

// counts are the tenant's rows by table, by whom no policy holds.
func (w *world) counts(tenant string) map[string]int64 {
	w.Helper()
	all := map[string]int64{}
	for table := range seeded {
		of := map[string]string{"steps": "SELECT FROM steps JOIN jobs ON jobs.id = job_id", "parts": "SELECT FROM parts JOIN uploads ON uploads.id = upload_id", "concats": "SELECT FROM concats JOIN uploads ON uploads.id = final_id"}[table]
		if of == "" {
			of = "SELECT FROM " + table
		}
		all[table] = w.count("SELECT count(*) FROM ("+of+" WHERE tenant = $1) AS r", tenant)
	}
	return all
}

func (w *world) count(sql string, args ...any) (n int64) {
	w.Helper()
	w.must(w.pool.QueryRow(w.Context(), sql, args...).Scan(&n))
	return n
}

func (w *world) texts(sql string) []string {
	w.Helper()
	found, err := w.pool.Query(w.Context(), sql)
	w.must(err)
	all, err := pgx.CollectRows(found, pgx.RowTo[string])
	w.must(err)
	return all
}

// receipt of a tenant, checked against its sum in the audit log.
func (w *world) receipt(tenant string) (r struct {
	Tenant  string
	Rows    map[string]int64
	Objects blob.Contents
},
) {
	w.Helper()
	e, err := w.store.Get(w.Context(), tenant)
	w.must(err)
	w.must(json.Unmarshal([]byte(e.Receipt), &r))
	if r.Tenant != tenant || r.Objects != (blob.Contents{Bytes: 10, Objects: 2, Versions: 2}) {
		w.Errorf("the receipt is %s", e.Receipt)
	}
	if n := w.count("SELECT count(*) FROM audit WHERE action = 'tenant.erased' AND subject = $1 AND detail = $2", e.ID, "sha256="+e.SHA256()); n != 1 {
		w.Errorf("the audit log has %d entries of the receipt", n)
	}
	return r
}

// within calls do in a transaction of a scope that is rolled back.
func (w *world) within(as scope.Scope, do func(pgx.Tx)) {
	w.Helper()
	tx, err := scope.Over(w.pool, as).Begin(w.Context())
	w.must(err)
	do(tx)
	w.must(tx.Rollback(w.Context()))
}
