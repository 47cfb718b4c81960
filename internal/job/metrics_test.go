package job_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"sluice/internal/devstack/devtest"
	"sluice/internal/job"
	"sluice/internal/scope"
)

func TestGaugesOfQueue(t *testing.T) {
	t.Parallel()
	f, registry := metered(t)
	f.in(job.Open)
	f.queued()
	f.claimed()
	f.in(job.JobComplete)
	f.in(job.Failed)
	other := job.Draft{ID: job.NewID(), Tenant: "other", Channel: "tus"}
	f.txOf(other.Tenant, func(tx pgx.Tx) error {
		if err := f.CreateTx(t.Context(), tx, other); err != nil {
			return err
		}
		return f.EnqueueTx(t.Context(), tx, other.ID, 1, 1)
	})
	f.exec(`INSERT INTO uploads (id, tenant, expires_at) VALUES ('job_open', $1, now())`, tenant)
	f.exec(`UPDATE jobs SET wait_until = now() + interval '1 hour' WHERE id = $1`, other.ID) // not due: it does not count
	want := `
# HELP sluice_jobs_unfinished Jobs that have not ended, by state; OPEN counts uploads, partial ones too.
# TYPE sluice_jobs_unfinished gauge
sluice_jobs_unfinished{state="IN_PROGRESS"} 1
sluice_jobs_unfinished{state="OPEN"} 1
sluice_jobs_unfinished{state="UPLOAD_COMPLETE"} 2
# HELP sluice_tenant_unfinished_jobs_max Jobs that wait or run of the tenant that has most of them.
# TYPE sluice_tenant_unfinished_jobs_max gauge
sluice_tenant_unfinished_jobs_max 2
# HELP sluice_tenants_unfinished Tenants with jobs that wait or run.
# TYPE sluice_tenants_unfinished gauge
sluice_tenants_unfinished 2
# HELP sluice_job_steps_total Jobs brought to a state by this process, OPEN at their creation.
# TYPE sluice_job_steps_total counter
sluice_job_steps_total{state="ABORTED"} 0
sluice_job_steps_total{state="FAILED"} 1
sluice_job_steps_total{state="IN_PROGRESS"} 3
sluice_job_steps_total{state="JOB_COMPLETE"} 1
sluice_job_steps_total{state="OPEN"} 6
sluice_job_steps_total{state="UPLOAD_COMPLETE"} 5
`
	names := []string{"sluice_jobs_unfinished", "sluice_tenant_unfinished_jobs_max", "sluice_tenants_unfinished", "sluice_job_steps_total"}
	f.must(testutil.GatherAndCompare(registry, strings.NewReader(want), names...))
}

// What is rolled back, or whose commit fails, is neither counted nor logged.
func TestStepsRolledBack(t *testing.T) {
	t.Parallel()
	f, registry := metered(t)
	f.exec(`CREATE TABLE later (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)`)
	id, cause := f.open(), errors.New("cause")
	for _, err := range []error{
		f.InTx(t.Context(), scope.Worker(tenant), func(tx pgx.Tx) error { return errors.Join(f.EnqueueTx(t.Context(), tx, id, 1, 1), cause) }),
		f.InTx(t.Context(), scope.Worker(tenant), func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), `INSERT INTO later VALUES (1), (1)`)
			return errors.Join(f.EnqueueTx(t.Context(), tx, id, 1, 1), err)
		}),
	} {
		if err == nil {
			t.Error("a transaction was committed")
		}
	}
	f.tx(func(tx pgx.Tx) error { return f.EnqueueTx(t.Context(), tx, id, 1, 1) })
	want := `
# HELP sluice_job_steps_total Jobs brought to a state by this process, OPEN at their creation.
# TYPE sluice_job_steps_total counter
sluice_job_steps_total{state="ABORTED"} 0
sluice_job_steps_total{state="FAILED"} 0
sluice_job_steps_total{state="IN_PROGRESS"} 0
sluice_job_steps_total{state="JOB_COMPLETE"} 0
sluice_job_steps_total{state="OPEN"} 1
sluice_job_steps_total{state="UPLOAD_COMPLETE"} 1
`
	f.must(testutil.GatherAndCompare(registry, strings.NewReader(want), "sluice_job_steps_total"))
}

func TestAgeOfQueue(t *testing.T) {
	t.Parallel()
	f, registry := metered(t)
	if age, overdue := gauge(f, registry, "sluice_queue_age_seconds"), gauge(f, registry, "sluice_lease_overdue_seconds"); age != 0 || overdue != 0 {
		t.Errorf("an empty queue is %v s old and %v s overdue", age, overdue)
	}
	waiting, running := f.queued(), f.claimed()
	f.exec(`UPDATE jobs SET updated_at = clock_timestamp() - interval '100 s' WHERE id = $1`, waiting)
	f.exec(`UPDATE jobs SET lease_expires_at = clock_timestamp() - interval '200 s' WHERE id = $1`, running.JobID)
	if age := gauge(f, registry, "sluice_queue_age_seconds"); age < 100 || age >= 200 {
		t.Errorf("the queue is %v s old, not 100", age)
	}
	if overdue := gauge(f, registry, "sluice_lease_overdue_seconds"); overdue < 200 {
		t.Errorf("the lease is %v s overdue, not 200", overdue)
	}
}

// A database that is gone takes its gauges along, and nothing else.
func TestGaugesWithoutDatabase(t *testing.T) {
	t.Parallel()
	f, registry := metered(t)
	f.pool.Close()
	if up := gauge(f, registry, "sluice_queue_up"); up != 0 {
		t.Errorf("sluice_queue_up is %v", up)
	}
	if n, err := testutil.GatherAndCount(registry, "sluice_queue_age_seconds"); n != 0 || err != nil {
		t.Errorf("the age of the queue is told %d times, %v", n, err)
	}
}

func metered(t *testing.T) (fixture, *prometheus.Registry) {
	t.Helper()
	pool, registry := devtest.Database(t), prometheus.NewRegistry()
	s, err := job.New(job.Config{Pool: pool, Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	return fixture{Store: s, t: t, pool: pool}, registry
}

func gauge(f fixture, r prometheus.Gatherer, name string) float64 {
	f.t.Helper()
	families, err := r.Gather()
	f.must(err)
	for _, family := range families {
		if family.GetName() == name {
			return family.Metric[0].GetGauge().GetValue()
		}
	}
	f.t.Fatalf("there is no %s", name)
	return 0
}
