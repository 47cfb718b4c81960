package upload

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"sluice/internal/job"
	"sluice/internal/upload/db"
)

// Keep begins an intake of a file that somebody else reads meanwhile, and whose job will have that id. Until KeptTx there
// is no job of it. It ends with KeptTx or Abort; Abort behind a KeptTx that was committed does nothing.
func (s *Store) Keep(ctx context.Context, tenant, id string) (*Intake, error) {
	return s.begin(ctx, creation{Draft: job.Draft{ID: id, Tenant: tenant}, concat: concatPartial, once: true})
}

// KeptTx makes what was stored the source of the job, in the transaction in which that comes to be. It enqueues nothing.
func (in *Intake) KeptTx(ctx context.Context, tx pgx.Tx) error {
	s, row := in.u.store, in.u.row
	n, err := db.New(tx).KeepUpload(ctx, db.KeepUploadParams{
		ID: row.ID, Tenant: row.Tenant, Epoch: row.Epoch, OffsetBytes: row.OffsetBytes, Grace: s.cfg.SweepGrace,
	})
	if err == nil && n == 0 {
		err = ErrGone
	}
	if err != nil {
		return fmt.Errorf("keep upload %s: %w", row.ID, err)
	}
	return nil
}
