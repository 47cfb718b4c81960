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

// maxDeaths is how many workers a job may end before it is Failed. Only deaths
// of workers that had no other job count: neighbours of a poison file, which die
// with it once, are then tried alone and live.
const maxDeaths = 3

// poison is why a job ended that ends its workers.
var poison = Error{Code: "poison", Message: fmt.Sprintf(
	"processing this file ended %d workers in a row that did nothing else; the file is kept, please tell the operator", maxDeaths)}

// BeginAlone says that the attempt has its process to itself from now on: if the
// worker dies, it died of this job. It returns ErrLostLease like Extend.
func (s *Store) BeginAlone(ctx context.Context, l *Lease) error {
	n, err := s.as(scope.Worker(l.Tenant)).BeginAlone(ctx, db.BeginAloneParams{ID: l.JobID, Tenant: l.Tenant, Fence: l.Fence})
	if err == nil && n == 0 {
		err = ErrLostLease
	}
	if err != nil {
		return fmt.Errorf("begin job %s alone: %w", l.JobID, err)
	}
	return nil
}

// Died is what becomes of a job whose attempt ended in a panic: the same as if
// its worker had died.
func (s *Store) Died(ctx context.Context, l *Lease) error {
	return s.InTx(ctx, scope.Worker(l.Tenant), func(tx pgx.Tx) error { return s.buryTx(ctx, tx, l.JobID, l) })
}

// Survived takes back the death that was counted of an attempt whose worker
// lives: it was stopped, or cut off from Postgres, and lost its lease meanwhile.
// Where none was counted it does nothing.
func (s *Store) Survived(ctx context.Context, l *Lease) error {
	n, err := s.as(scope.Worker(l.Tenant)).TakeDeathBack(ctx, db.TakeDeathBackParams{ID: l.JobID, Tenant: l.Tenant, Fence: l.Fence})
	if err != nil {
		return fmt.Errorf("take death of job %s back: %w", l.JobID, err)
	}
	if n > 0 {
		s.log.InfoContext(ctx, "death taken back", slog.String("job_id", l.JobID))
	}
	return nil
}

// recoverTx enqueues a stranded job anew: one that is queued as it is, one that
// is held as one whose worker died.
func (s *Store) recoverTx(ctx context.Context, tx pgx.Tx, id string) error {
	j, err := db.New(tx).LockJob(ctx, id)
	if err != nil {
		return fmt.Errorf("lock job %s: %w", id, err)
	}
	if State(j.State) == InProgress {
		return s.buryTx(ctx, tx, id, nil)
	}
	_, err = s.step(ctx, tx, change{id: id, to: UploadComplete, edit: func(r *row) { r.WaitReason = j.WaitReason }})
	return err
}

// buryTx ends an attempt whose worker died. The job is to be tried alone, unless
// it has ended so many workers that were alone with it that it is Failed.
func (s *Store) buryTx(ctx context.Context, tx pgx.Tx, id string, held *Lease) error {
	j, err := db.New(tx).LockJob(ctx, id)
	if held != nil && errors.Is(err, pgx.ErrNoRows) {
		return ErrLostLease
	}
	if err != nil {
		return fmt.Errorf("lock job %s: %w", id, err)
	}
	if held != nil && j.Fence != held.Fence {
		return ErrLostLease
	}
	deaths, fences := j.Deaths, j.DeathFences
	if j.Solitary {
		deaths, fences = deaths+1, append(fences, j.Fence)
	}
	c := change{id: id, from: InProgress, to: UploadComplete, held: held, edit: func(r *row) {
		r.Alone, r.Deaths, r.DeathFences = true, deaths, fences
		r.wait("its worker died and it is tried again", 0)
	}}
	if deaths >= maxDeaths {
		s.log.ErrorContext(ctx, "job ends its workers", slog.String("job_id", id))
		c.to, c.edit = Failed, func(r *row) {
			r.Deaths, r.DeathFences = deaths, fences
			r.fail(poison, true)
		}
	}
	if _, err := s.step(ctx, tx, c); err != nil {
		return err
	}
	return s.keepStray(ctx, tx, Lease{JobID: id, Tenant: j.Tenant, Fence: j.Fence})
}

// wait tells the user of a queued job why it is not its turn.
func (j *row) wait(reason string, after time.Duration) {
	j.WaitReason = reason
	if until := j.Clock.Add(after); after > 0 {
		j.WaitUntil = &until
	}
}
