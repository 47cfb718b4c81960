package job_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"sluice/internal/job"
	"sluice/internal/scope"
)

// cap lets the tenant run so many jobs at once; below 0: any number.
func (f fixture) cap(most int32) {
	f.t.Helper()
	_, err := f.SetLimits(f.ctx(), tenant, func(l *job.Limits) {
		if l.MaxRunning = &most; most < 0 {
			l.MaxRunning = nil
		}
	})
	f.must(err)
}

// queue creates jobs whose bytes have all come, in this order.
func (f fixture) queue(n int) []string {
	f.t.Helper()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = f.queued()
	}
	return ids
}

// announced returns the jobs that a River job announces to the workers, in the
// order of their places, and checks that the ledger says the same.
func (f fixture) announced() (ids []string) {
	f.t.Helper()
	rows, err := f.pool.Query(f.ctx(), `SELECT jobs.id FROM jobs JOIN river_job rj ON rj.id = jobs.river_job_id
		WHERE jobs.state = 'UPLOAD_COMPLETE' AND rj.state IN ('available', 'scheduled') ORDER BY queued_at`)
	f.must(err)
	ids, err = pgx.CollectRows(rows, pgx.RowTo[string])
	f.must(err)
	if n := f.count(`jobs WHERE state = 'UPLOAD_COMPLETE' AND NOT held`); n != len(ids) {
		f.t.Errorf("%d jobs are announced, and %d not held", len(ids), n)
	}
	return ids
}

func (f fixture) wantAnnounced(when string, want ...string) {
	f.t.Helper()
	if got := f.announced(); !slices.Equal(got, want) {
		f.t.Errorf("%s: announced are %q, want %q", when, got, want)
	}
}

func (f fixture) end(l *job.Lease) {
	f.t.Helper()
	f.tx(func(tx pgx.Tx) error { return f.CompleteTx(f.ctx(), tx, l, result()) })
}

// However a job ends, or waits, the next of its tenant's has its slot in the same
// transaction, in the order in which they came.
func TestSlotsGoOn(t *testing.T) {
	t.Parallel()
	ends := map[string]func(f fixture, id string){
		"completed": func(f fixture, id string) { f.end(f.claim(id)) },
		"failed": func(f fixture, id string) {
			f.must(f.Fail(f.ctx(), f.claim(id), job.Error{Code: "binary", Message: "It is a picture."}, false, nil))
		},
		"cancelled while queued": func(f fixture, id string) {
			f.tx(func(tx pgx.Tx) error { return f.CancelTx(f.ctx(), tx, tenant, id) })
		},
		"cancelled while running": func(f fixture, id string) {
			f.claim(id)
			f.tx(func(tx pgx.Tx) error { return f.CancelTx(f.ctx(), tx, tenant, id) })
		},
		"deleted": func(f fixture, id string) {
			f.must(f.InTx(f.ctx(), scope.Tenant(tenant), func(tx pgx.Tx) error { return f.DeleteTx(f.ctx(), tx, tenant, id) }))
		},
		"to be tried again": func(f fixture, id string) { f.must(f.Release(f.ctx(), f.claim(id), "the disk was full", time.Hour)) },
		"poison": func(f fixture, id string) {
			for range 3 {
				l := f.claim(id)
				f.must(f.BeginAlone(f.ctx(), l))
				f.must(f.Died(f.ctx(), l))
			}
		},
	}
	for end, do := range ends {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.cap(2)
			ids := f.queue(5)
			f.wantAnnounced("at first", ids[0], ids[1])
			if j := f.get(ids[2]); j.State != job.UploadComplete || j.WaitReason == "" {
				t.Errorf("a held job is %s and waits because %q", j.State, j.WaitReason)
			}
			running := f.claim(ids[0])
			f.wantAnnounced("once one runs", ids[1])
			do(f, ids[1])
			f.wantAnnounced("behind it", ids[2])
			if j := f.get(ids[2]); j.WaitReason != "" {
				t.Errorf("it is announced and waits because %q", j.WaitReason)
			}
			f.end(running)
			f.wantAnnounced("behind the first", ids[2], ids[3])
		})
	}
}

// What is rolled back gives no slot away.
func TestSlotsRolledBack(t *testing.T) {
	t.Parallel()
	f, cause := setup(t), errors.New("cause")
	f.cap(1)
	ids := f.queue(2)
	l := f.claim(ids[0])
	err := f.InTx(t.Context(), scope.Worker(tenant), func(tx pgx.Tx) error {
		f.must(f.CompleteTx(t.Context(), tx, l, result()))
		return cause
	})
	if !errors.Is(err, cause) {
		t.Fatal(err)
	}
	f.wantAnnounced("after the rollback")
	f.end(l)
	f.wantAnnounced("after the commit", ids[1])
}

// A worker that dies has no slot to lose: the job keeps its own, and when it has
// been recovered and ends the next is announced.
func TestSlotOfDeadWorker(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.cap(1)
	ids := f.queue(2)
	f.expire(f.claim(ids[0]))
	if got := f.recover(10); !slices.Equal(got, ids[:1]) {
		t.Errorf("recovered %q, want the one whose worker died", got)
	}
	f.wantAnnounced("once it is recovered", ids[0])
	f.end(f.claim(ids[0]))
	f.wantAnnounced("once it has ended", ids[1])
}

// A job that is tried again lets others go ahead while it waits, and goes ahead
// of them when its time has come.
func TestSlotAfterWait(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.cap(1)
	ids := f.queue(3)
	f.must(f.Release(t.Context(), f.claim(ids[0]), "the disk was full", time.Hour))
	if j := f.get(ids[0]); j.WaitReason != "the disk was full" || j.WaitUntil.IsZero() {
		t.Errorf("it waits because %q until %v", j.WaitReason, j.WaitUntil)
	}
	l := f.claim(ids[1])
	f.must(f.Level(t.Context())) // too early
	f.exec(`UPDATE jobs SET wait_until = clock_timestamp() WHERE id = $1`, ids[0])
	f.end(l)
	f.wantAnnounced("when its time has come", ids[0])
	f.must(f.Release(t.Context(), f.claim(ids[0]), "the disk was full", time.Hour))
	f.end(f.claim(ids[2]))
	f.wantAnnounced("while it waits alone")
	f.exec(`UPDATE jobs SET wait_until = clock_timestamp() WHERE id = $1`, ids[0])
	f.must(f.Level(t.Context()))
	f.wantAnnounced("when its time has come again", ids[0])
}

// A change of the cap is in force when SetLimits returns.
func TestChangeCap(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ids := f.queue(6)
	running := f.claim(ids[0])
	f.wantAnnounced("without a cap", ids[1:]...)
	fetched := f.args(ids[5]) // a worker has it in its hands already
	f.exec(`UPDATE river_job SET state = 'running', attempted_at = now() WHERE args->>'job_id' = $1`, ids[5])
	f.cap(3)
	f.wantAnnounced("three", ids[1:3]...)
	if _, _, err := f.Claim(t.Context(), fetched, worker); !errors.Is(err, job.ErrLostLease) {
		t.Errorf("claim of a held job: %v", err)
	}
	f.cap(0)
	f.wantAnnounced("none")
	f.end(running)
	f.wantAnnounced("none, and one has ended")
	if got := f.recover(10); len(got) != 0 {
		t.Errorf("recovered %q, which are held", got)
	}
	f.cap(2)
	f.wantAnnounced("two", ids[1:3]...)
	f.cap(-1)
	f.wantAnnounced("without a cap again", ids[1:]...)
	f.must(f.Level(t.Context()))
	f.wantAnnounced("and they stay so", ids[1:]...)
}

// A process that knows of no cap, as of an older version, is mended behind it.
func TestLevel(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ids := f.queue(3)
	f.exec(`INSERT INTO tenant_limits (tenant, max_running) VALUES ($1, 1)`, tenant)
	f.must(f.Level(t.Context()))
	f.wantAnnounced("too many", ids[0])
	f.exec(`UPDATE jobs SET state = 'ABORTED', error_code = 'aborted', error_message = 'Test.', completed_at = now() WHERE id = $1`, ids[0])
	f.must(f.Level(t.Context()))
	f.wantAnnounced("too few", ids[1])
}

// While jobs come, are worked, end one way or another and are cancelled before
// they begin, never more run than may, none is forgotten, and nobody deadlocks.
func TestSlotsUnderLoad(t *testing.T) {
	t.Parallel()
	f := setup(t)
	const most, jobs, workers = 3, 300, 8
	f.cap(most)
	var all errgroup.Group
	var sent atomic.Bool
	all.Go(func() error {
		defer sent.Store(true)
		for range jobs {
			f.queued()
		}
		return nil
	})
	for range workers {
		all.Go(func() error {
			for !sent.Load() || f.count(`jobs WHERE completed_at IS NULL`) > 0 {
				if err := errors.Join(f.workOne(), f.cancelOne()); err != nil {
					return err
				}
			}
			return nil
		})
	}
	f.must(all.Wait())
	// By the steps, whose times are read under the jobs' locks.
	var together, began int
	f.must(f.pool.QueryRow(t.Context(), `
		WITH step AS (SELECT at, state, lag(state) OVER (PARTITION BY job_id ORDER BY version) AS before FROM steps),
		running AS (SELECT state, sum(CASE 'IN_PROGRESS' WHEN state THEN 1 WHEN before THEN -1 ELSE 0 END) OVER (ORDER BY at) AS n FROM step)
		SELECT max(n), count(*) FILTER (WHERE state = 'IN_PROGRESS') FROM running`).Scan(&together, &began))
	if together > most || began == 0 || began == jobs {
		t.Errorf("of %d jobs %d began, and %d of them ran at once, may be %d", jobs, began, together, most)
	}
}

// workOne does what a worker does to a job that is announced, and ends it one way
// or another.
func (f fixture) workOne() error {
	var args job.IngestArgs
	err := f.pool.QueryRow(f.ctx(), `UPDATE river_job SET state = 'completed', finalized_at = now() WHERE id = (
		SELECT id FROM river_job WHERE kind = 'ingest' AND state = 'available' ORDER BY priority, id LIMIT 1 FOR UPDATE SKIP LOCKED)
		RETURNING args`).Scan(&args)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	l, _, err := f.Claim(f.ctx(), args, worker)
	if err == nil {
		err = []func() error{
			func() error {
				return f.InTx(f.ctx(), scope.Tenant(tenant), func(tx pgx.Tx) error { return f.CancelTx(f.ctx(), tx, tenant, l.JobID) })
			},
			func() error {
				return f.Fail(f.ctx(), l, job.Error{Code: "binary", Message: "It is a picture."}, false, nil)
			},
			func() error {
				return f.InTx(f.ctx(), scope.Worker(tenant), func(tx pgx.Tx) error { return f.CompleteTx(f.ctx(), tx, l, result()) })
			},
		}[rand.IntN(3)]()
	}
	if errors.Is(err, job.ErrLostLease) { // it was cancelled
		return nil
	}
	return err
}

// cancelOne cancels, once in four times, a job that waits.
func (f fixture) cancelOne() error {
	if rand.IntN(4) > 0 {
		return nil
	}
	var id string
	err := f.pool.QueryRow(f.ctx(), `SELECT id FROM jobs WHERE state = 'UPLOAD_COMPLETE' ORDER BY random() LIMIT 1`).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err == nil {
		err = f.InTx(f.ctx(), scope.Tenant(tenant), func(tx pgx.Tx) error { return f.CancelTx(f.ctx(), tx, tenant, id) })
	}
	if errors.Is(err, job.ErrStep) { // it ended meanwhile
		return nil
	}
	return err
}
