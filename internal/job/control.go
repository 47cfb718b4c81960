package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"

	"sluice/internal/audit"
	"sluice/internal/job/db"
	"sluice/internal/scope"
)

// stopChannel is the channel on which workers are told that a job was taken from
// whoever holds it. The payload is the job's id.
const stopChannel = "sluice_stop"

// CancelTx aborts a job of the tenant's that waits or runs. Its worker is told at
// once, and its bytes stay for a retry. A job that is Aborted already stays so,
// without an error; one that has ended otherwise is ErrStep. An open upload ends
// with its job: see the upload store's Cancel.
func (s *Store) CancelTx(ctx context.Context, tx pgx.Tx, tenant, id string) error {
	j, err := s.lockOwn(ctx, tx, tenant, id)
	if err != nil || State(j.State) == Aborted {
		return err
	}
	if err := s.AbortTx(ctx, tx, id, "The job was cancelled."); err != nil {
		return err
	}
	return audit.Record(ctx, tx, audit.Act{Tenant: tenant, Action: audit.JobCancel, Subject: id})
}

// Retry enqueues a job of the tenant's anew that is Failed or Aborted and whose
// bytes are all stored; any other is ErrStep, and an import whose file was not kept
// ErrNoSource. Deaths of its workers are forgotten, but it goes on being tried alone.
func (s *Store) Retry(ctx context.Context, tenant, id string) error {
	return s.InTx(ctx, scope.Tenant(tenant), func(tx pgx.Tx) error {
		j, err := s.lockOwn(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		if state := State(j.State); !j.Received || !state.Terminal() {
			return fmt.Errorf("retry job %s: %w: it has not ended, or its bytes never all came", id, ErrStep)
		}
		if !j.Kept {
			return fmt.Errorf("retry job %s: %w", id, ErrNoSource)
		}
		if _, err := s.step(ctx, tx, change{id: id, to: UploadComplete, edit: func(j *row) { j.Deaths, j.DeathFences = 0, []int64{} }}); err != nil {
			return err
		}
		if err := audit.Record(ctx, tx, audit.Act{Tenant: tenant, Action: audit.JobRetry, Subject: id}); err != nil {
			return err
		}
		return s.keepStray(ctx, tx, Lease{JobID: id, Tenant: tenant}) // the rejects of the attempt that failed
	})
}

// DeleteTx removes a job of the tenant's, in any state, with its offers and
// results. Its worker is told at once. Objects are the caller's to delete; those
// of its attempts are swept in any case.
func (s *Store) DeleteTx(ctx context.Context, tx pgx.Tx, tenant, id string) error {
	j, err := s.lockOwn(ctx, tx, tenant, id)
	if err != nil {
		return err
	}
	if !State(j.State).Terminal() {
		if err := s.AbortTx(ctx, tx, id, "The job was deleted."); err != nil {
			return err
		}
	}
	q := db.New(tx)
	if err := q.DeleteOffers(ctx, db.DeleteOffersParams{JobID: id, Tenant: tenant}); err != nil {
		return fmt.Errorf("delete offers of job %s: %w", id, err)
	}
	if err := q.DeleteJob(ctx, db.DeleteJobParams{ID: id, Tenant: tenant}); err != nil {
		return fmt.Errorf("delete job %s: %w", id, err)
	}
	if err := audit.Record(ctx, tx, audit.Act{Tenant: tenant, Action: audit.JobDelete, Subject: id}); err != nil {
		return err
	}
	s.log.InfoContext(ctx, "job deleted", slog.String("job_id", id))
	return s.keepStray(ctx, tx, Lease{JobID: id, Tenant: tenant})
}

// lockOwn locks a job of the tenant's, or returns ErrNotFound.
func (s *Store) lockOwn(ctx context.Context, tx pgx.Tx, tenant, id string) (db.LockOwnRow, error) {
	if !storable(id) {
		return db.LockOwnRow{}, ErrNotFound
	}
	j, err := db.New(tx).LockOwn(ctx, db.LockOwnParams{Tenant: tenant, ID: id})
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return db.LockOwnRow{}, fmt.Errorf("lock job %s: %w", id, err)
	}
	return j, nil
}

// Stops calls listening once it hears, and then stop with the id of each job
// that was taken from its worker, until ctx ends or its connection breaks. What
// was said before, or between two calls, is not heard: a heartbeat finds it.
func (s *Store) Stops(ctx context.Context, listening func(), stop func(id string)) error {
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig) // it goes on listening: no turn at the pool's ends with it
	if err != nil {
		return fmt.Errorf("listen for stops: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "LISTEN "+stopChannel); err != nil {
		return fmt.Errorf("listen for stops: %w", err)
	}
	listening()
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return fmt.Errorf("listen for stops: %w", err)
		}
		stop(n.Payload)
	}
}
