package job_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/internal/job"
)

// die lets the worker of a lease be dead, and recovery find out.
func (f fixture) die(l *job.Lease) job.Job {
	f.t.Helper()
	f.expire(l)
	if ids := f.recover(10); len(ids) != 1 || ids[0] != l.JobID {
		f.t.Fatalf("recovered %v", ids)
	}
	return f.get(l.JobID)
}

// A job whose worker dies is tried alone from then on; only deaths alone count,
// and the third one ends it.
func TestPoison(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id := f.queued()
	if f.args(id).Alone {
		t.Error("a job that was never tried is to run alone")
	}
	for range 5 { // its neighbours may have been the reason
		if j := f.die(f.claim(id)); j.Deaths != 0 || j.State != job.UploadComplete || j.WaitReason == "" || !f.args(id).Alone {
			t.Fatalf("after a death in company: %+v", j)
		}
	}
	for n := 1; n <= 3; n++ {
		l := f.claim(id)
		f.must(f.BeginAlone(t.Context(), l))
		j := f.die(l)
		want := job.UploadComplete
		if n == 3 {
			want = job.Failed
		}
		if j.Deaths != n || j.State != want {
			t.Fatalf("after %d deaths alone: %s, %d", n, j.State, j.Deaths)
		}
	}
	if j := f.get(id); j.Error == nil || j.Error.Code != "poison" || !j.CanRetry || f.count("strays WHERE job_id = $1", id) != 1 {
		t.Errorf("the job ended as %+v, %v", j, j.Error)
	}
}

// Releases, and attempts that were alone and ended otherwise, are no deaths.
func TestReleaseIsNoDeath(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id := f.queued()
	f.die(f.claim(id))
	for range 4 {
		l := f.claim(id)
		f.must(f.BeginAlone(t.Context(), l))
		f.must(f.Release(t.Context(), l, "the disk is full", time.Minute))
		j := f.get(id)
		if j.State != job.UploadComplete || j.Deaths != 0 || j.WaitReason != "the disk is full" || j.WaitUntil.Sub(j.UpdatedAt) != time.Minute {
			t.Fatalf("released: %+v", j)
		}
	}
	f.claim(id)
	if j := f.get(id); j.WaitReason != "" || !j.WaitUntil.IsZero() {
		t.Errorf("a running job waits because %q", j.WaitReason)
	}
}

// A job that was begun before is fetched before those that were not.
func TestKeepsItsPlace(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id := f.queued()
	f.must(f.Release(t.Context(), f.claim(id), "test", 0))
	var state string
	f.must(f.pool.QueryRow(t.Context(), `SELECT state FROM river_job WHERE args->>'job_id' = $1 ORDER BY id DESC LIMIT 1`, id).Scan(&state))
	if state != "available" {
		t.Errorf("the job that was given back is %s", state)
	}
	if n := f.count(`river_job WHERE args->>'job_id' = $1 AND priority = 1`, id); n != 1 {
		t.Errorf("%d River jobs go ahead of the new ones", n)
	}
}

func TestBeginAloneOfLostLease(t *testing.T) {
	t.Parallel()
	f := setup(t)
	l := f.claimed()
	f.tx(func(tx pgx.Tx) error { return f.AbortTx(t.Context(), tx, l.JobID, "Cancelled.") })
	if err := f.BeginAlone(t.Context(), l); !errors.Is(err, job.ErrLostLease) {
		t.Errorf("got %v, want ErrLostLease", err)
	}
	if err := f.Died(t.Context(), l); !errors.Is(err, job.ErrLostLease) {
		t.Errorf("got %v, want ErrLostLease", err)
	}
}

func TestLeaseExpiryIsASetting(t *testing.T) {
	t.Parallel()
	f := setup(t)
	s, err := job.New(job.Config{Pool: f.pool, LeaseExpiry: time.Hour})
	f.must(err)
	l, j, err := s.Claim(t.Context(), f.args(f.queued()), worker)
	f.must(err)
	if d := j.LeaseExpiresAt.Sub(j.StartedAt); d != time.Hour || s.LeaseHeartbeat() != 20*time.Minute {
		t.Errorf("claimed for %v, renewed every %v", d, s.LeaseHeartbeat())
	}
	f.expire(l)
	f.must(s.Extend(t.Context(), l))
	if d := time.Until(f.get(l.JobID).LeaseExpiresAt); d < 50*time.Minute {
		t.Errorf("renewed for %v", d)
	}
	if f.LeaseExpiry() != 30*time.Second || f.LeaseHeartbeat() != 10*time.Second {
		t.Errorf("by default a lease lives %v and is renewed every %v", f.LeaseExpiry(), f.LeaseHeartbeat())
	}
}

// The death of a worker that comes back is taken back, once, and no other's.
func TestSurvived(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id := f.queued()
	var lost []*job.Lease
	for range 2 {
		l := f.claim(id)
		f.must(f.BeginAlone(t.Context(), l))
		f.die(l)
		lost = append(lost, l)
	}
	f.must(f.Survived(t.Context(), f.claim(id))) // it has not died
	for range 2 {
		f.must(f.Survived(t.Context(), lost[0]))
		if n := f.get(id).Deaths; n != 1 {
			t.Errorf("%d deaths are counted, want the other one", n)
		}
	}
}

// While it may be Postgres that was away, no lease is taken for lost; what is
// queued needs no lease.
func TestRecoverWithoutLeases(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.expire(f.claimed())
	id := f.queued()
	f.exec(`DELETE FROM river_job WHERE args->>'job_id' = $1`, id)
	ids, err := f.Recover(t.Context(), 10, false)
	f.must(err)
	if len(ids) != 1 || ids[0] != id {
		t.Errorf("recovered %v, want %s", ids, id)
	}
}
