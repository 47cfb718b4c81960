package upload

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"sluice/internal/audit"
	"sluice/internal/job"
	"sluice/internal/scope"
	"sluice/internal/upload/db"
)

// Cancel aborts a job of the tenant's. An upload that is still open ends with it, and its parts are deleted; the bytes of
// a complete one stay for a retry. Errors are those of job.Store's CancelTx.
func (s *Store) Cancel(ctx context.Context, tenant, id string) error {
	var keys []string
	err := s.cfg.Jobs.InTx(ctx, scope.Tenant(tenant), func(tx pgx.Tx) error {
		row, err := db.New(tx).EndUpload(ctx, db.EndUploadParams{ID: id, Tenant: tenant, Grace: s.cfg.SweepGrace})
		if errors.Is(err, pgx.ErrNoRows) {
			return s.cfg.Jobs.CancelTx(ctx, tx, tenant, id)
		}
		if err != nil {
			return fmt.Errorf("end upload: %w", err)
		}
		if keys, err = s.ledger.abort(ctx, tx, row, "The job was cancelled before all bytes had arrived."); err != nil {
			return err
		}
		return record(ctx, tx, row, audit.JobCancel)
	})
	if err == nil && len(keys) > 0 {
		s.discard(ctx, id, keys...)
	}
	return err
}

// Delete removes a job of the tenant's, in any state, with all that belongs to it: upload, offers, results and every
// object. An unknown job is job.ErrNotFound. Objects whose deletion fails are swept later; nobody can reach them.
func (s *Store) Delete(ctx context.Context, tenant, id string) error {
	return s.deleteAs(ctx, scope.Tenant(tenant), tenant, id)
}

// Erase is Delete on behalf of the erasure of the tenant.
func (s *Store) Erase(ctx context.Context, tenant, id string) error {
	return s.deleteAs(ctx, scope.Eraser(tenant), tenant, id)
}

func (s *Store) deleteAs(ctx context.Context, as scope.Scope, tenant, id string) error {
	var keys []string
	err := s.cfg.Jobs.InTx(ctx, as, func(tx pgx.Tx) error {
		q := db.New(tx)
		// The upload first, as its writers lock it: in the other order two could wait for each other.
		err := q.RemoveUpload(ctx, db.RemoveUploadParams{ID: id, Tenant: tenant, Grace: s.cfg.SweepGrace})
		if err != nil {
			return fmt.Errorf("remove upload: %w", err)
		}
		if err := q.ForgetBatched(ctx, db.ForgetBatchedParams{UploadID: id, Tenant: tenant}); err != nil {
			return fmt.Errorf("forget batches: %w", err)
		}
		if err := s.cfg.Jobs.DeleteTx(ctx, tx, tenant, id); err != nil {
			return err
		}
		if keys, err = q.DeleteParts(ctx, db.DeletePartsParams{UploadID: id, Tenant: tenant}); err != nil {
			return fmt.Errorf("delete parts: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for o, err := range s.cfg.Bucket.List(ctx, job.ResultPrefix(tenant, id)) {
		if err != nil {
			s.log.WarnContext(ctx, "objects left to the sweep", "job_id", id, "err", err)
			break
		}
		keys = append(keys, o.Key)
	}
	if len(keys) > 0 {
		s.discard(ctx, id, keys...)
	}
	return nil
}
