package upload

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/internal/blob"
	"sluice/internal/scope"
	"sluice/internal/upload/db"
)

// composeLease is how long a composer may do without a sign of life: longer than one part can take.
const composeLease = 10 * time.Minute

// errNotOurs means that another composer has the upload, or that it has ended.
var errNotOurs = errors.New("upload is composed by another, or has ended")

// Compose makes the parts of uploads whose jobs are complete one object each, up to limit of them, and has the parts
// swept. It returns how many it composed. It may fail or be killed at any time: the parts stay until the new object has
// been compared and recorded, and the upload is due again after 10 minutes. Any number of processes may call it at a
// time.
func (s *Store) Compose(ctx context.Context, limit int) (int, error) {
	composed := 0
	for range limit {
		u, err := s.ledger.as(scope.System).ClaimCompose(ctx, composeLease)
		if errors.Is(err, pgx.ErrNoRows) {
			return composed, nil
		}
		if err != nil {
			return composed, fmt.Errorf("claim upload to compose: %w", err)
		}
		switch err := s.compose(ctx, u); {
		case ctx.Err() != nil:
			return composed, ctx.Err()
		case err != nil: // one that cannot be composed must not keep the others from it
			s.log.WarnContext(ctx, "upload not composed, tried again later", "upload_id", u.ID, "err", err)
		default:
			composed++
		}
	}
	return composed, nil
}

func (s *Store) compose(ctx context.Context, u db.Upload) error {
	parts, err := s.ledger.as(scope.System).Manifest(ctx, u.ID)
	if err != nil {
		return fmt.Errorf("read manifest: %w", err)
	}
	objects := make([]blob.Object, len(parts))
	whole := blob.Object{Key: composedKey(u, u.Composers)}
	for i, p := range parts {
		objects[i] = blob.Object{Key: p.ObjectKey, ETag: p.Etag, SizeBytes: p.SizeBytes, CRC64: uint64(p.Crc64)}
		whole.CRC64 = blob.Combine(whole.CRC64, uint64(p.Crc64), p.SizeBytes)
		whole.SizeBytes += p.SizeBytes
	}
	switch {
	case whole.SizeBytes != u.OffsetBytes || whole.CRC64 != uint64(u.Crc64):
		return fmt.Errorf("manifest is of %d bytes of checksum %x, and not of %d of %x", whole.SizeBytes, whole.CRC64, u.OffsetBytes, uint64(u.Crc64))
	case len(parts) == 0, len(parts) == 1 && strings.HasPrefix(parts[0].ObjectKey, prefix(u)):
		return s.ledger.composed(ctx, u, nil) // it is one object
	}
	whole, err = s.join(ctx, &u, whole.Key, objects)
	if errors.Is(err, blob.ErrTooManyParts) {
		s.log.InfoContext(ctx, "upload is too large to compose, left in parts", "upload_id", u.ID)
		return s.ledger.composed(ctx, u, nil)
	}
	if err != nil {
		return err
	}
	err = s.ledger.composed(ctx, u, &db.Part{
		UploadID: u.ID, SizeBytes: whole.SizeBytes, ObjectKey: whole.Key, Etag: whole.ETag, Crc64: int64(whole.CRC64),
	})
	if errors.Is(err, errNotOurs) { // the sweep may be over
		s.discard(ctx, u.ID, whole.Key)
	}
	return err
}

// join makes the one object, and renews the lease of u meanwhile.
func (s *Store) join(ctx context.Context, u *db.Upload, key string, objects []blob.Object) (blob.Object, error) {
	renewed := time.Now()
	return s.cfg.Bucket.Compose(ctx, key, func(ctx context.Context) error {
		if time.Since(renewed) < composeLease/10 {
			return nil
		}
		at, err := s.ledger.as(scope.System).ExtendCompose(ctx, db.ExtendComposeParams{Lease: composeLease, ID: u.ID, ComposeAt: u.ComposeAt})
		if errors.Is(err, pgx.ErrNoRows) {
			return errNotOurs
		}
		if err != nil {
			return fmt.Errorf("renew lease: %w", err)
		}
		renewed, u.ComposeAt = time.Now(), at
		return nil
	}, objects...)
}

// composed ends composing: the manifest names whole, or stays as it is if that is nil, and the rest is swept after the
// grace time, in which who reads the parts can come to an end. It fails with errNotOurs, and changes nothing, unless the
// lease is still the caller's.
func (l *ledger) composed(ctx context.Context, u db.Upload, whole *db.Part) error {
	return pgx.BeginFunc(ctx, scope.Over(l.pool, scope.System), func(tx pgx.Tx) error {
		q := db.New(tx)
		n, err := q.Composed(ctx, db.ComposedParams{Grace: l.grace, ID: u.ID, ComposeAt: u.ComposeAt})
		if err == nil && n == 0 {
			return errNotOurs
		}
		if err != nil {
			return fmt.Errorf("end composing: %w", err)
		}
		if whole == nil {
			return nil
		}
		if err := q.DeletePartsBehindFirst(ctx, u.ID); err != nil {
			return fmt.Errorf("delete parts: %w", err)
		}
		if err := q.PutPart(ctx, db.PutPartParams(*whole)); err != nil {
			return fmt.Errorf("record object: %w", err)
		}
		if err := q.Release(ctx, db.ReleaseParams{FinalID: u.ID, Tenant: u.Tenant}); err != nil {
			return fmt.Errorf("release partial uploads: %w", err)
		}
		return nil
	})
}
