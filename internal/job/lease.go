package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/internal/job/db"
	"sluice/internal/scope"
)

// defaultExpiry is Config.LeaseExpiry's default: renewed every 10 s.
const defaultExpiry = 30 * time.Second

// LeaseExpiry is how long a lease lives from its last renewal.
func (s *Store) LeaseExpiry() time.Duration { return s.expiry }

// LeaseHeartbeat is how often a worker renews a lease: two renewals may be lost
// without harm.
func (s *Store) LeaseHeartbeat() time.Duration { return s.expiry / 3 }

// Lease is a worker's hold on a job, of Claim. Every change it asks for is done
// only while its fence is the job's. It is never changed, so goroutines may
// share it.
type Lease struct {
	JobID, Tenant string
	Fence         int64
}

// Claim takes the job that args announce, from UploadComplete to InProgress, for
// the worker of that name. It returns ErrLostLease when the args are out of date:
// the job was claimed, cancelled, deleted or enqueued anew.
func (s *Store) Claim(ctx context.Context, args IngestArgs, worker string) (*Lease, Job, error) {
	var j Job
	err := s.InTx(ctx, scope.System, func(tx pgx.Tx) error {
		r, err := s.step(ctx, tx, change{
			id: args.JobID, to: InProgress, held: &Lease{Fence: args.Fence},
			edit: func(j *row) { j.claim(worker, s.expiry) },
		})
		if err != nil {
			return err
		}
		j, err = get(ctx, db.New(tx), r.Tenant, r.ID)
		return err
	})
	if err != nil {
		return nil, Job{}, err
	}
	return &Lease{JobID: j.ID, Tenant: j.Tenant, Fence: j.Fence}, j, nil
}

// Extend renews the lease, from now on. It returns ErrLostLease when
// somebody else has the job or it is cancelled: the worker stops then.
func (s *Store) Extend(ctx context.Context, l *Lease) error {
	n, err := s.as(scope.Worker(l.Tenant)).ExtendLease(ctx, db.ExtendLeaseParams{ID: l.JobID, Tenant: l.Tenant, Fence: l.Fence, Seconds: s.expiry.Seconds()})
	if err == nil && n == 0 {
		err = ErrLostLease
	}
	if err != nil {
		return fmt.Errorf("extend lease of job %s: %w", l.JobID, err)
	}
	return nil
}

// Progress shows the users how far the attempt is. That it is called at most
// once a second is up to the caller. It does not renew the lease.
func (s *Store) Progress(ctx context.Context, l *Lease, p Progress) error {
	stage := string(p.Stage)
	n, err := s.as(scope.Worker(l.Tenant)).SaveProgress(ctx, db.SaveProgressParams{
		ID: l.JobID, Tenant: l.Tenant, Fence: l.Fence,
		Stage: &stage, ProcessedBytes: p.ProcessedBytes, RowsAccepted: p.RowsAccepted, RowsRejected: p.RowsRejected,
		RejectsByReason: counted(p.RejectsByReason),
	})
	if err == nil && n == 0 {
		err = ErrLostLease
	}
	if err != nil {
		return fmt.Errorf("save progress of job %s: %w", l.JobID, err)
	}
	return nil
}

// CompleteTx makes the job JobComplete with its result. It is the last statement
// of the transaction that copied the offers, so that all become visible at once,
// or nothing when the lease was lost.
func (s *Store) CompleteTx(ctx context.Context, tx pgx.Tx, l *Lease, r Result) error {
	_, err := s.step(ctx, tx, change{id: l.JobID, to: JobComplete, held: l, edit: func(j *row) {
		j.count(r)
		j.digest(r)
		j.ProcessedBytes = *j.SizeBytes
	}})
	if err != nil {
		return err
	}
	return saveResult(ctx, db.New(tx), l, r)
}

// Fail makes the job Failed for a reason that a user can act on; canRetry says
// whether another attempt can help. r is what there is to show all the same,
// such as its rejects, or nil.
func (s *Store) Fail(ctx context.Context, l *Lease, e Error, canRetry bool, r *Result) error {
	return s.InTx(ctx, scope.Worker(l.Tenant), func(tx pgx.Tx) error { return s.FailTx(ctx, tx, l, e, canRetry, r) })
}

// FailTx is Fail in the caller's transaction.
func (s *Store) FailTx(ctx context.Context, tx pgx.Tx, l *Lease, e Error, canRetry bool, r *Result) error {
	_, err := s.step(ctx, tx, change{id: l.JobID, to: Failed, held: l, edit: func(j *row) {
		j.fail(e, canRetry)
		if r != nil {
			j.count(*r)
			j.digest(*r)
		}
	}})
	if err != nil || r == nil {
		return err
	}
	return saveResult(ctx, db.New(tx), l, *r)
}

// Release gives the job back: to UploadComplete, with a new River job that is
// due after that time. reason, a clause, is what its user is told while it waits.
func (s *Store) Release(ctx context.Context, l *Lease, reason string, after time.Duration) error {
	return s.InTx(ctx, scope.Worker(l.Tenant), func(tx pgx.Tx) error {
		_, err := s.step(ctx, tx, change{id: l.JobID, from: InProgress, to: UploadComplete, held: l, delay: after, edit: func(j *row) {
			j.wait(reason, after)
		}})
		if err != nil {
			return err
		}
		return s.keepStray(ctx, tx, *l)
	})
}

// Recover finds up to limit jobs that nobody works on although somebody should,
// and enqueues them anew: those whose lease expired, if leases says so, and
// queued ones whose River job has ended, is gone, or was fetched a lease's life
// ago and never claimed. Workers may call it at once. It returns the ids it
// enqueued, also with an error.
//
// While Postgres is away nobody can renew a lease: call it with leases only when
// Postgres has been there for a lease's life.
func (s *Store) Recover(ctx context.Context, limit int, leases bool) (ids []string, err error) {
	for len(ids) < limit {
		id, err := s.recoverOne(ctx, leases)
		if errors.Is(err, pgx.ErrNoRows) {
			break
		}
		if err != nil {
			return ids, err
		}
		s.log.WarnContext(ctx, "job recovered", slog.String("job_id", id))
		ids = append(ids, id)
	}
	return ids, nil
}

// Uptime is how long Postgres has been running.
func (s *Store) Uptime(ctx context.Context) (time.Duration, error) {
	seconds, err := s.as(scope.System).Uptime(ctx)
	if err != nil {
		return 0, fmt.Errorf("ask for uptime: %w", err)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// recoverOne returns pgx.ErrNoRows when there is nothing to recover, or nothing
// that another worker is not recovering.
func (s *Store) recoverOne(ctx context.Context, leases bool) (id string, err error) {
	err = s.InTx(ctx, scope.System, func(tx pgx.Tx) error {
		if id, err = db.New(tx).LockStranded(ctx, db.LockStrandedParams{Leases: leases, Seconds: s.expiry.Seconds()}); err != nil {
			return fmt.Errorf("find stranded job: %w", err)
		}
		return s.recoverTx(ctx, tx, id)
	})
	return id, err
}
