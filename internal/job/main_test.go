package job_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/devstack/devtest"
	"sluice/internal/job"
	"sluice/internal/scope"
)

const (
	tenant = "acme"
	worker = "worker-1"
)

func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }

// fixture is a store on a database of its own.
type fixture struct {
	*job.Store
	t    *testing.T
	pool *pgxpool.Pool
}

func setup(t *testing.T) fixture {
	t.Helper()
	pool := devtest.Database(t)
	s, err := job.New(job.Config{Pool: pool})
	if err != nil {
		t.Fatal(err)
	}
	return fixture{Store: s, t: t, pool: pool}
}

func (f fixture) ctx() context.Context { return f.t.Context() }

// must ends the test at an error.
func (f fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// tx runs fn in a transaction that has to succeed.
func (f fixture) tx(fn func(tx pgx.Tx) error) {
	f.t.Helper()
	f.txOf(tenant, fn)
}

// txOf is tx of a tenant.
func (f fixture) txOf(tenant string, fn func(tx pgx.Tx) error) {
	f.t.Helper()
	f.must(f.InTx(f.ctx(), scope.Worker(tenant), fn))
}

func (f fixture) exec(sql string, args ...any) {
	f.t.Helper()
	_, err := f.pool.Exec(f.ctx(), sql, args...)
	f.must(err)
}

func (f fixture) count(sql string, args ...any) (n int) {
	f.t.Helper()
	f.must(f.pool.QueryRow(f.ctx(), "SELECT count(*) FROM "+sql, args...).Scan(&n))
	return n
}

// riverJobs counts the River jobs that announce a job.
func (f fixture) riverJobs(id string) int {
	f.t.Helper()
	return f.count(`river_job WHERE kind = 'ingest' AND args->>'job_id' = $1`, id)
}

func (f fixture) get(id string) job.Job {
	f.t.Helper()
	j, err := f.Get(f.ctx(), tenant, id)
	f.must(err)
	return j
}

// open creates a job.
func (f fixture) open() string {
	f.t.Helper()
	d := job.Draft{ID: job.NewID(), Tenant: tenant, Channel: "tus", Filename: "Umsätze.csv"}
	f.tx(func(tx pgx.Tx) error { return f.CreateTx(f.ctx(), tx, d) })
	return d.ID
}

// queued creates a job whose bytes have all come.
func (f fixture) queued() string {
	f.t.Helper()
	id := f.open()
	f.tx(func(tx pgx.Tx) error { return f.EnqueueTx(f.ctx(), tx, id, 1234, 1<<63) })
	return id
}

// args returns the args of the job's latest River job.
func (f fixture) args(id string) (a job.IngestArgs) {
	f.t.Helper()
	f.must(f.pool.QueryRow(f.ctx(),
		`SELECT args FROM river_job WHERE args->>'job_id' = $1 ORDER BY id DESC LIMIT 1`, id).Scan(&a))
	return a
}

// claimed creates a job and claims it.
func (f fixture) claimed() *job.Lease {
	f.t.Helper()
	return f.claim(f.queued())
}

func (f fixture) claim(id string) *job.Lease {
	f.t.Helper()
	l, _, err := f.Claim(f.ctx(), f.args(id), worker)
	f.must(err)
	return l
}

// in creates a job and brings it to a state by the store's own methods.
func (f fixture) in(s job.State) string {
	f.t.Helper()
	switch s {
	case job.Open:
		return f.open()
	case job.UploadComplete:
		return f.queued()
	case job.Aborted:
		id := f.queued()
		f.tx(func(tx pgx.Tx) error { return f.AbortTx(f.ctx(), tx, id, "Cancelled.") })
		return id
	}
	l := f.claimed()
	switch s {
	case job.JobComplete:
		f.tx(func(tx pgx.Tx) error { return f.CompleteTx(f.ctx(), tx, l, result()) })
	case job.Failed:
		f.must(f.Fail(f.ctx(), l, job.Error{Code: "empty_file", Message: "The file is empty."}, false, nil))
	}
	return l.JobID
}

// result is one with every field set.
func result() job.Result {
	return job.Result{
		RejectsByReason: map[string]int64{"bad_date": 2, "bad_amount": 1},
		Engine:          "cashflow-1", ModelVersion: "v2.1", ConfigUsed: `{"rolling_period":12}`, ConfigSHA256: make([]byte, 32),
		AsOfDay: 19_700, CurrencyExponent: 2, GroupBy: []string{"account_id", "date"},
		TransactionsProcessed: 96_000, RowsRejected: 3, FutureRows: 2, AggregatesCreated: 900,
		OffersGenerated: 40, Declined: 5, Skipped: 1, Duration: 1500 * time.Millisecond,
		Aggregates: job.Object{Key: "results/a.parquet", ETag: `"a"`, SizeBytes: 10, CRC64: 1<<64 - 1},
		Rejects:    job.Object{Key: "results/r.csv", ETag: `"r"`, SizeBytes: 20, CRC64: 7},
	}
}
