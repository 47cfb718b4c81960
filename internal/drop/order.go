package drop

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"sluice/internal/drop/db"
	"sluice/internal/job"
	"sluice/internal/scope"
)

// advance gives the next file of a watch in order its turn, if the one before has
// ended. Any number of processes may try.
func (s *Store) advance(ctx context.Context, watchID string) error {
	return s.within(func(begin beginTx) error { return s.advanceAs(ctx, watchID, begin) })
}

func (s *Store) advanceAs(ctx context.Context, watchID string, begin beginTx) error {
	return s.cfg.Jobs.InTx(ctx, scope.System, func(tx pgx.Tx) error {
		q := db.New(tx)
		tenant, err := q.LockWatch(ctx, watchID)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil // removed, and all that waited was started then
		}
		if err != nil {
			return fmt.Errorf("lock watch %s: %w", watchID, err)
		}
		busy, err := q.Busy(ctx, watchID)
		if err != nil {
			return fmt.Errorf("look for running jobs of watch %s: %w", watchID, err)
		}
		if busy {
			return nil
		}
		_, err = s.start(ctx, tx, tenant, watchID, begin)
		return err
	})
}

// start enqueues the job of the smallest name that waits. Those that were
// cancelled or deleted while they waited are passed over. The caller has locked
// the watch.
func (s *Store) start(ctx context.Context, tx pgx.Tx, tenant, watchID string, begin beginTx) (started bool, err error) {
	for {
		next, err := db.New(tx).TakeTurn(ctx, db.TakeTurnParams{WatchID: watchID, Tenant: tenant})
		if errors.Is(err, pgx.ErrNoRows) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("find next object of watch %s: %w", watchID, err)
		}
		err = begin(ctx, tx, next.JobID, next.SizeBytes)
		if errors.Is(err, job.ErrStep) || errors.Is(err, job.ErrNotFound) {
			continue
		}
		return err == nil, err
	}
}

// advanceAll gives every watch that waits for nobody its turn: what a worker that
// died did not come to.
func (s *Store) advanceAll(ctx context.Context) error {
	ids, err := s.as(scope.System).WatchesWaiting(ctx)
	if err != nil {
		return fmt.Errorf("list watches that wait: %w", err)
	}
	for _, id := range ids {
		err := s.advance(ctx, id)
		if _, refused := job.AsLimit(err); err != nil && !refused { // its turn comes later; others are not kept from theirs
			return err
		}
	}
	return nil
}

// Ended is to be called when a job of this door has come to its end: the next file
// in order gets its turn, and what is to be done with the object is done. It may
// be called for any job, and again; what it misses Round does.
func (s *Store) Ended(ctx context.Context, jobID string) error {
	watchID, err := s.as(scope.System).WatchOfJob(ctx, jobID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find watch of job %s: %w", jobID, err)
	}
	_, acted := s.act(ctx, jobID)
	return errors.Join(s.advance(ctx, watchID), acted)
}
