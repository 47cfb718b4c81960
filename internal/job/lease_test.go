package job_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"sluice/internal/job"
	"sluice/internal/scope"
)

// expire lets the lease of a job run out.
func (f fixture) expire(l *job.Lease) {
	f.t.Helper()
	f.exec(`UPDATE jobs SET lease_expires_at = clock_timestamp() - interval '1 ms' WHERE id = $1`, l.JobID)
}

func (f fixture) recover(limit int) []string {
	f.t.Helper()
	ids, err := f.Recover(f.ctx(), limit, true)
	f.must(err)
	return ids
}

func TestClaimOnce(t *testing.T) {
	t.Parallel()
	f := setup(t)
	args := f.args(f.queued())
	if args.Version != 1 {
		t.Errorf("args of version %d", args.Version)
	}
	const claimers = 4
	errs := make(chan error, claimers)
	for range claimers {
		go func() {
			_, _, err := f.Claim(t.Context(), args, worker)
			errs <- err
		}()
	}
	won := 0
	for range claimers {
		switch err := <-errs; {
		case err == nil:
			won++
		case !errors.Is(err, job.ErrLostLease):
			t.Errorf("a late claim = %v, want ErrLostLease", err)
		}
	}
	if won != 1 {
		t.Errorf("%d claims won", won)
	}
}

func TestClaimIsOutOfDate(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for name, outdate := range map[string]func(id string){
		"cancelled": func(id string) {
			f.tx(func(tx pgx.Tx) error { return f.AbortTx(t.Context(), tx, id, "Cancelled.") })
		},
		"enqueued anew": func(id string) { f.must(f.Release(t.Context(), f.claim(id), "test", 0)) },
		"deleted":       func(id string) { f.exec(`DELETE FROM jobs WHERE id = $1`, id) },
	} {
		id := f.queued()
		args := f.args(id)
		outdate(id)
		if _, _, err := f.Claim(t.Context(), args, worker); !errors.Is(err, job.ErrLostLease) {
			t.Errorf("%s: %v, want ErrLostLease", name, err)
		}
	}
}

func TestExtend(t *testing.T) {
	t.Parallel()
	f := setup(t)
	l := f.claimed()
	f.expire(l)
	f.must(f.Extend(t.Context(), l)) // late, but nobody took the job
	if ids := f.recover(1); len(ids) != 0 {
		t.Errorf("recovered %v in spite of the heartbeat", ids)
	}
}

// However the lease is lost, its holder changes nothing any more.
func TestLostLease(t *testing.T) {
	t.Parallel()
	losses := map[string]func(f fixture, l *job.Lease){
		"recovered": func(f fixture, l *job.Lease) { f.expire(l); f.recover(1) },
		"claimed by another": func(f fixture, l *job.Lease) {
			f.expire(l)
			f.recover(1)
			f.claim(l.JobID)
		},
		"released": func(f fixture, l *job.Lease) { f.must(f.Release(f.ctx(), l, "test", 0)) },
		"cancelled": func(f fixture, l *job.Lease) {
			f.tx(func(tx pgx.Tx) error { return f.AbortTx(f.ctx(), tx, l.JobID, "Cancelled.") })
		},
		"complete": func(f fixture, l *job.Lease) {
			f.tx(func(tx pgx.Tx) error { return f.CompleteTx(f.ctx(), tx, l, result()) })
		},
		"failed": func(f fixture, l *job.Lease) {
			f.must(f.Fail(f.ctx(), l, job.Error{Code: "binary", Message: "It is a picture."}, false, nil))
		},
	}
	attempts := map[string]func(f fixture, l *job.Lease) error{
		"Extend":   func(f fixture, l *job.Lease) error { return f.Extend(f.ctx(), l) },
		"Progress": func(f fixture, l *job.Lease) error { return f.Progress(f.ctx(), l, job.Progress{Stage: job.Scoring}) },
		"CompleteTx": func(f fixture, l *job.Lease) error {
			return f.InTx(f.ctx(), scope.Worker(tenant), func(tx pgx.Tx) error {
				if _, err := f.CopyOffersTx(f.ctx(), tx, l, from(offer("a", job.NoDay))); err != nil {
					return err
				}
				return f.CompleteTx(f.ctx(), tx, l, result())
			})
		},
		"Fail": func(f fixture, l *job.Lease) error {
			r := result()
			return f.Fail(f.ctx(), l, job.Error{Code: "c", Message: "m"}, true, &r)
		},
		"Release": func(f fixture, l *job.Lease) error { return f.Release(f.ctx(), l, "test", 0) },
	}
	f := setup(t)
	for loss, lose := range losses {
		t.Run(loss, func(t *testing.T) {
			f := fixture{Store: f.Store, t: t, pool: f.pool} // not parallel: recovery is of all jobs
			l := f.claimed()
			lose(f, l)
			before, river := f.get(l.JobID), f.riverJobs(l.JobID)
			for name, attempt := range attempts {
				if err := attempt(f, l); !errors.Is(err, job.ErrLostLease) {
					t.Errorf("%s = %v, want ErrLostLease", name, err)
				}
			}
			if diff := cmp.Diff(before, f.get(l.JobID)); diff != "" {
				t.Errorf("changed (-before +after):\n%s", diff)
			}
			if n := f.riverJobs(l.JobID); n != river {
				t.Errorf("%d River jobs, were %d", n, river)
			}
			if n := f.count(`offers`); n != 0 {
				t.Errorf("left %d offers", n)
			}
		})
	}
}

func TestFailWithResult(t *testing.T) {
	t.Parallel()
	f := setup(t)
	l, want, r := f.claimed(), &job.Error{Code: "no_valid_rows", Message: "No row is valid."}, result()
	f.must(f.Fail(t.Context(), l, *want, true, &r))
	got := f.get(l.JobID)
	if diff := cmp.Diff(want, got.Error); diff != "" || got.State != job.Failed || !got.CanRetry {
		t.Errorf("%s, can retry %v (-want +got):\n%s", got.State, got.CanRetry, diff)
	}
	if diff := cmp.Diff(r.RejectsByReason, got.RejectsByReason); diff != "" {
		t.Errorf("rejects by reason (-want +got):\n%s", diff)
	}
	r.RejectsByReason = nil // the job's, and not read back
	if diff := cmp.Diff(&r, got.Result); diff != "" || got.RowsRejected != r.RowsRejected {
		t.Errorf("%d rejected, result (-want +got):\n%s", got.RowsRejected, diff)
	}
	// A retry may come to another result.
	f.tx(func(tx pgx.Tx) error { return f.StepTx(t.Context(), tx, l.JobID, job.UploadComplete) })
	again := f.claim(l.JobID)
	r.RowsRejected = 0
	f.tx(func(tx pgx.Tx) error { return f.CompleteTx(t.Context(), tx, again, r) })
	got = f.get(l.JobID)
	if diff := cmp.Diff(&r, got.Result); diff != "" || got.RejectsByReason == nil || len(got.RejectsByReason) != 0 {
		t.Errorf("%v rejected, result of the retry (-want +got):\n%s", got.RejectsByReason, diff)
	}
}

func TestRelease(t *testing.T) {
	t.Parallel()
	f := setup(t)
	l := f.claimed()
	f.exec(`UPDATE jobs SET reference_date = '2024-02-29' WHERE id = $1`, l.JobID)
	f.must(f.Progress(t.Context(), l, job.Progress{Stage: job.Parsing, ProcessedBytes: 9, RowsAccepted: 9, RowsRejected: 9, RejectsByReason: map[string]int64{"bad_date": 9}}))
	f.must(f.Release(t.Context(), l, "stopping", time.Hour))
	if got := f.get(l.JobID); got.State != job.UploadComplete || got.ProcessedBytes+got.RowsAccepted+got.RowsRejected != 0 || len(got.RejectsByReason) != 0 || got.ReferenceDay != 19_782 {
		t.Errorf("released job: %+v", got)
	}
	if n := f.count(`river_job WHERE args->>'job_id' = $1 AND state = 'scheduled' AND max_attempts = 1
		AND scheduled_at BETWEEN now() + interval '50 min' AND now() + interval '70 min'`, l.JobID); n != 1 {
		t.Errorf("%d River jobs wait for an hour", n)
	}
}

// The matrix of what recovery takes and what it leaves alone.
func TestRecover(t *testing.T) {
	t.Parallel()
	const setRiver = `UPDATE river_job SET state = $2::text::river_job_state, attempted_at = clock_timestamp() - make_interval(secs => $3),
		finalized_at = CASE WHEN $2 IN ('discarded', 'completed', 'cancelled') THEN now() END
		WHERE args->>'job_id' = $1`
	tests := []struct {
		name    string
		prepare func(f fixture) (id string)
		want    bool
	}{
		{"lease expired", func(f fixture) string { l := f.claimed(); f.expire(l); return l.JobID }, true},
		{"lease alive", func(f fixture) string { return f.claimed().JobID }, false},
		{"lease alive, River job pruned", func(f fixture) string {
			l := f.claimed()
			f.exec(`DELETE FROM river_job WHERE args->>'job_id' = $1`, l.JobID)
			return l.JobID
		}, false},
		{"open", func(f fixture) string { return f.open() }, false},
		{"complete", func(f fixture) string { return f.in(job.JobComplete) }, false},
		{"waits in the queue", func(f fixture) string { return f.queued() }, false},
		{"waits for its time", func(f fixture) string {
			l := f.claimed()
			f.must(f.Release(f.ctx(), l, "test", time.Hour))
			return l.JobID
		}, false},
		{"just fetched", func(f fixture) string { id := f.queued(); f.exec(setRiver, id, "running", 1); return id }, false},
		{"fetched by a worker that died", func(f fixture) string { id := f.queued(); f.exec(setRiver, id, "running", 31); return id }, true},
		{"discarded by River", func(f fixture) string { id := f.queued(); f.exec(setRiver, id, "discarded", 1); return id }, true},
		{"worked without a claim", func(f fixture) string { id := f.queued(); f.exec(setRiver, id, "completed", 1); return id }, true},
		{"cancelled in River", func(f fixture) string { id := f.queued(); f.exec(setRiver, id, "cancelled", 1); return id }, true},
		{"River's row lost", func(f fixture) string {
			id := f.queued()
			f.exec(`DELETE FROM river_job WHERE args->>'job_id' = $1`, id)
			return id
		}, true},
	}
	f := setup(t)
	before, names := make([]job.Job, len(tests)), make(map[string]string)
	for i, tt := range tests {
		before[i] = f.get(tt.prepare(f))
		names[before[i].ID] = tt.name
	}
	recovered := f.recover(100)
	for i, tt := range tests {
		b, after := before[i], f.get(before[i].ID)
		if got := slices.Contains(recovered, b.ID); got != tt.want {
			t.Errorf("%s: recovered = %v", tt.name, got)
		}
		if !tt.want {
			if diff := cmp.Diff(b, after); diff != "" {
				t.Errorf("%s: changed (-before +after):\n%s", tt.name, diff)
			}
			continue
		}
		if args := f.args(b.ID); after.State != job.UploadComplete || args.Fence <= b.Fence || args.Fence != after.Fence {
			t.Errorf("%s: %s, enqueued under fence %d, was %d", tt.name, after.State, args.Fence, b.Fence)
		}
	}
	for _, id := range f.recover(100) {
		t.Errorf("%s: recovered again", names[id])
	}
}

func TestRecoverAtOnce(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var want []string
	for range 8 {
		l := f.claimed()
		f.expire(l)
		want = append(want, l.JobID)
	}
	if first := f.recover(3); !slices.Equal(first, slices.Sorted(slices.Values(want))[:3]) {
		t.Errorf("recovered %v, want the three oldest", first)
	}
	const workers = 3
	found := make(chan []string, workers)
	for range workers {
		go func() {
			ids, err := f.Recover(t.Context(), 10, true)
			if err != nil {
				t.Error(err)
			}
			found <- ids
		}()
	}
	var got []string
	for range workers {
		got = append(got, <-found...)
	}
	if len(got) != 5 {
		t.Errorf("recovered %v, want the other five once each", got)
	}
	for _, id := range want {
		if n := f.riverJobs(id); n != 2 {
			t.Errorf("job %s was enqueued %d times", id, n)
		}
	}
}
