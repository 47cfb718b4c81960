package upload

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"sluice/internal/scope"
	"sluice/internal/upload/db"
)

// Expire ends uploads that have expired, aborts their jobs and deletes their parts, up to limit of them. It returns how
// many it ended. Any number of processes may call it at a time.
func (s *Store) Expire(ctx context.Context, limit int) (int, error) {
	for n := range limit {
		id, keys, err := s.ledger.expire(ctx)
		if err != nil {
			return n, fmt.Errorf("expire upload: %w", err)
		}
		if id == "" {
			return n, nil
		}
		s.discard(ctx, id, keys...)
	}
	return limit, nil
}

// Sweep looks at uploads that ended longer than the grace time ago, up to limit of them and each once, and deletes
// their objects that the manifest does not name: parts that were stored and not recorded, that came late, or whose
// deletion failed. It returns how many uploads it looked at. Any number of processes may call it at a time.
func (s *Store) Sweep(ctx context.Context, limit int) (int, error) {
	for n := range limit {
		u, err := s.ledger.as(scope.System).ClaimSweep(ctx, s.cfg.SweepGrace)
		if errors.Is(err, pgx.ErrNoRows) {
			return n, nil
		}
		if err != nil {
			return n, fmt.Errorf("claim sweep: %w", err)
		}
		if err := s.sweep(ctx, u); err != nil {
			return n, fmt.Errorf("sweep upload %s: %w", u.ID, err)
		}
	}
	return limit, nil
}

func (s *Store) sweep(ctx context.Context, u db.Upload) error {
	if u.State == stateGone {
		if err := s.ledger.release(ctx, u); err != nil {
			return err
		}
	}
	keys, err := s.ledger.as(scope.System).PartKeys(ctx, u.ID)
	if err != nil {
		return fmt.Errorf("read manifest: %w", err)
	}
	named := make(map[string]bool, len(keys))
	for _, key := range keys {
		named[key] = true
	}
	// What composers are at work on is not named yet. When the last has ended is the time to sweep behind them all.
	composing := u.State == stateComplete && u.ComposeAt != nil
	var stray []string
	for o, err := range s.cfg.Bucket.List(ctx, prefix(u)) {
		if err != nil {
			return err
		}
		if named[o.Key] || composing && isComposed(o.Key) {
			continue
		}
		stray = append(stray, o.Key)
	}
	if err := s.cfg.Bucket.Delete(ctx, stray...); err != nil {
		return err
	}
	s.metrics.orphans.Add(float64(len(stray)))
	if !composing {
		if err := s.abandon(ctx, u); err != nil {
			return err
		}
	}
	return s.ledger.as(scope.System).Swept(ctx, db.SweptParams{ID: u.ID, SweepAt: u.SweepAt})
}

// abandon ends the multipart uploads that composers of an upload have left: one that was killed, or whose request came
// late.
func (s *Store) abandon(ctx context.Context, u db.Upload) error {
	for n := range u.Composers {
		if err := s.cfg.Bucket.Abandon(ctx, composedKey(u, n+1)); err != nil {
			return err
		}
	}
	return nil
}

// release drops what an upload that ended without its bytes still holds: its references to partial uploads, and its
// manifest unless a final upload needs that.
func (l *ledger) release(ctx context.Context, u db.Upload) error {
	if err := l.as(scope.System).Release(ctx, db.ReleaseParams{FinalID: u.ID, Tenant: u.Tenant}); err != nil {
		return fmt.Errorf("release partial uploads: %w", err)
	}
	if _, err := l.as(scope.System).DeleteParts(ctx, db.DeletePartsParams{UploadID: u.ID, Tenant: u.Tenant}); err != nil {
		return fmt.Errorf("delete parts: %w", err)
	}
	return nil
}

// discard deletes objects that the ledger no longer names. What it misses Sweep finds, so it does not fail.
func (s *Store) discard(ctx context.Context, id string, keys ...string) {
	if err := s.cfg.Bucket.Delete(ctx, keys...); err != nil {
		s.log.WarnContext(ctx, "objects left to the sweep", "upload_id", id, "object_keys", len(keys), "err", err)
	}
}
