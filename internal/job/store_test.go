package job_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/job"
	"sluice/internal/scope"
)

func TestNewWantsPool(t *testing.T) {
	t.Parallel()
	if _, err := job.New(job.Config{}); err == nil {
		t.Error("New without a pool gives no error")
	}
}

// A job's whole life, with all that its reader sees of it.
func TestLife(t *testing.T) {
	t.Parallel()
	f := setup(t)
	want := job.Job{
		Draft: job.Draft{
			ID: job.NewID(), Tenant: tenant, Channel: "tus", Filename: "Umsätze 2024.csv",
			CreditConfig: `{"risk_threshold":0.70}`, AggregateConfig: `{"group_by":["date"]}`, ParseConfig: `{"dry_run":false}`,
			SHA256: make([]byte, 32),
		},
		State: job.Open, Version: 1, BytesTotal: -1, ReferenceDay: job.NoDay, RejectsByReason: map[string]int64{},
	}
	check := func() {
		t.Helper()
		got := f.get(want.ID)
		ignore := cmpopts.IgnoreFields(job.Job{}, "CreatedAt", "UpdatedAt", "StartedAt", "CompletedAt", "LeaseExpiresAt", "ReferenceDay")
		if diff := cmp.Diff(want, got, ignore); diff != "" {
			t.Errorf("%s (-want +got):\n%s", want.State, diff)
		}
		if (got.ReferenceDay == job.NoDay) != (want.State == job.Open) {
			t.Errorf("%s: reference day %d", want.State, got.ReferenceDay)
		}
		if got.LeaseExpiresAt.IsZero() == (want.State == job.InProgress) || got.StartedAt.IsZero() != (want.Attempts == 0) {
			t.Errorf("%s: lease expires at %v, started at %v", want.State, got.LeaseExpiresAt, got.StartedAt)
		}
	}
	f.tx(func(tx pgx.Tx) error { return f.CreateTx(t.Context(), tx, want.Draft) })
	check()

	f.exec(`INSERT INTO uploads (id, tenant, size_bytes, offset_bytes, expires_at) VALUES ($1, $2, 1234, 1000, now())`, want.ID, tenant)
	want.BytesReceived, want.BytesTotal = 1000, 1234
	check()

	f.exec(`UPDATE uploads SET offset_bytes = 1234, state = 'complete' WHERE id = $1`, want.ID)
	f.tx(func(tx pgx.Tx) error { return f.EnqueueTx(t.Context(), tx, want.ID, 1234, 1<<64-1) })
	want.State, want.Version, want.Fence = job.UploadComplete, 2, 1
	want.BytesReceived, want.SizeBytes, want.CRC64, want.Digested = 1234, 1234, 1<<64-1, true
	check()

	l := f.claim(want.ID)
	want.State, want.Stage, want.Version, want.Fence = job.InProgress, job.Parsing, 3, 2
	want.Worker, want.Attempts = worker, 1
	check()

	f.must(f.Progress(t.Context(), l, job.Progress{Stage: job.Scoring, ProcessedBytes: 1234, RowsAccepted: 7, RowsRejected: 2, RejectsByReason: map[string]int64{"bad_bool": 2}}))
	want.Stage, want.Version = job.Scoring, 4
	want.ProcessedBytes, want.RowsAccepted, want.RowsRejected = 1234, 7, 2
	want.RejectsByReason = map[string]int64{"bad_bool": 2}
	check()

	f.must(f.Extend(t.Context(), l)) // nothing that a user sees
	check()

	r := result()
	f.tx(func(tx pgx.Tx) error { return f.CompleteTx(t.Context(), tx, l, r) })
	want.State, want.Stage, want.Version, want.Fence = job.JobComplete, "", 5, 3
	want.RowsAccepted, want.RowsRejected, want.RejectsByReason = r.TransactionsProcessed, r.RowsRejected, r.RejectsByReason
	r.RejectsByReason, want.Result = nil, &r
	check()
}

func TestTwoFinishesAtOnce(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id := f.open()
	errs := make(chan error)
	for range 2 {
		go func() {
			errs <- f.InTx(t.Context(), scope.Worker(tenant), func(tx pgx.Tx) error { return f.EnqueueTx(t.Context(), tx, id, 1, 1) })
		}()
	}
	a, b := <-errs, <-errs
	if a != nil {
		a, b = b, a
	}
	if a != nil || !errors.Is(b, job.ErrStep) {
		t.Errorf("errors %v and %v, want nil and ErrStep", a, b)
	}
	if n := f.riverJobs(id); n != 1 {
		t.Errorf("%d River jobs", n)
	}
}

// Finishing is for open jobs: the table would let a failed one be queued again.
func TestEnqueueOnlyFromOpen(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, s := range job.States()[1:] {
		id := f.in(s)
		before := f.riverJobs(id)
		err := f.InTx(t.Context(), scope.Worker(tenant), func(tx pgx.Tx) error { return f.EnqueueTx(t.Context(), tx, id, 1, 1) })
		if !errors.Is(err, job.ErrStep) || f.riverJobs(id) != before {
			t.Errorf("%s: %v, want ErrStep", s, err)
		}
	}
}

func TestUnknownJob(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id := job.NewID()
	for name, fn := range map[string]func(pgx.Tx) error{
		"EnqueueTx": func(tx pgx.Tx) error { return f.EnqueueTx(t.Context(), tx, id, 1, 1) },
		"AbortTx":   func(tx pgx.Tx) error { return f.AbortTx(t.Context(), tx, id, "") },
	} {
		if err := f.InTx(t.Context(), scope.Worker(tenant), fn); !errors.Is(err, job.ErrNotFound) {
			t.Errorf("%s = %v, want ErrNotFound", name, err)
		}
	}
}

func TestAbort(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, s := range []job.State{job.Open, job.UploadComplete, job.InProgress} {
		id := f.in(s)
		f.tx(func(tx pgx.Tx) error { return f.AbortTx(t.Context(), tx, id, "The upload expired.") })
		got := f.get(id)
		if diff := cmp.Diff(&job.Error{Code: "aborted", Message: "The upload expired."}, got.Error); diff != "" || got.State != job.Aborted {
			t.Errorf("from %s: state %s, error (-want +got):\n%s", s, got.State, diff)
		}
		if want := s != job.Open; got.CanRetry != want {
			t.Errorf("from %s: can be retried = %v, want %v: its bytes", s, got.CanRetry, want)
		}
	}
}

// A transaction that is rolled back leaves no state, no River job and no
// notification.
func TestRolledBack(t *testing.T) {
	t.Parallel()
	f := setup(t)
	dropped, kept := f.open(), f.open()
	conn := f.listen()
	cause := errors.New("cause")
	err := f.InTx(t.Context(), scope.Worker(tenant), func(tx pgx.Tx) error {
		f.must(f.EnqueueTx(t.Context(), tx, dropped, 1, 1))
		return cause
	})
	if !errors.Is(err, cause) {
		t.Errorf("InTx = %v, want the cause", err)
	}
	if got := f.get(dropped); got.State != job.Open || f.riverJobs(dropped) != 0 {
		t.Errorf("state %s and %d River jobs", got.State, f.riverJobs(dropped))
	}
	f.tx(func(tx pgx.Tx) error { return f.EnqueueTx(t.Context(), tx, kept, 1, 1) })
	if got := f.next(conn); got != kept {
		t.Errorf("first told of %s, want %s", got, kept)
	}
}

// Everything that raises the version tells the listeners, once.
func TestNotify(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id, last := f.open(), f.open()
	conn := f.listen()
	var l *job.Lease
	for _, change := range []func(){
		func() { f.tx(func(tx pgx.Tx) error { return f.EnqueueTx(t.Context(), tx, id, 1, 1) }) },
		func() { l = f.claim(id) },
		func() { f.must(f.Progress(t.Context(), l, job.Progress{Stage: job.Scoring})) },
		func() { f.must(f.Extend(t.Context(), l)) }, // silent: its version stays
		func() { f.must(f.Release(t.Context(), l, "test", 0)) },
		func() { f.expire(f.claim(id)) },
		func() { f.recover(1) },
		func() { f.tx(func(tx pgx.Tx) error { return f.AbortTx(t.Context(), tx, id, "Cancelled.") }) },
	} {
		change()
	}
	f.tx(func(tx pgx.Tx) error { return f.AbortTx(t.Context(), tx, last, "Cancelled.") })
	told := int64(1) // the version of a new job
	for f.next(conn) == id {
		told++
	}
	if got := f.get(id).Version; told != got {
		t.Errorf("told of %d versions, the job is at %d", told, got)
	}
}

func (f fixture) listen() *pgxpool.Conn {
	f.t.Helper()
	conn, err := f.pool.Acquire(f.ctx())
	f.must(err)
	f.t.Cleanup(conn.Release)
	_, err = conn.Exec(f.ctx(), "LISTEN "+job.NotifyChannel)
	f.must(err)
	return conn
}

// next waits for a notification, and fails the test when none comes.
func (f fixture) next(conn *pgxpool.Conn) string {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.ctx(), 30*time.Second)
	defer cancel()
	n, err := conn.Conn().WaitForNotification(ctx)
	f.must(err)
	return n.Payload
}

// Who listens for stops does so by a connection of its own: one of the pool's that is not
// given back is one less for ever, each time that it breaks.
func TestStopsTakesNoTurn(t *testing.T) {
	t.Parallel()
	f := setup(t)
	before := f.pool.Stat().AcquireCount()
	ctx, leave := context.WithCancel(t.Context())
	err := f.Stops(ctx, leave, func(string) {})
	if !errors.Is(err, context.Canceled) || f.pool.Stat().AcquireCount() != before {
		t.Errorf("%v, %d connections of the pool's were taken", err, f.pool.Stat().AcquireCount()-before)
	}
}
