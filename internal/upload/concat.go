package upload

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/tus/tusd/v2/pkg/handler"

	"sluice/internal/blob"
	"sluice/internal/job"
	"sluice/internal/scope"
	"sluice/internal/upload/db"
)

// What Upload-Concat makes of an upload.
const (
	concatPartial = "partial" // bytes without a job
	concatFinal   = "final"   // a list of partial uploads, with a job
	concatBatches = "batches" // one that grows, and is not tus's: see Batched
)

// maxPartials bounds the list of a final upload.
const maxPartials = 10_000

// Final is a final upload to be.
type Final struct {
	// Partials are the ids of partial uploads in the order of their bytes. One may be named again. They need not be
	// finished, and their lengths need not be known.
	Partials []string
	// Header is Upload-Concat as it was sent.
	Header string
	// Metadata is the final upload's own: that of the partial ones is not looked at.
	Metadata handler.MetaData
}

// Concat creates a final upload, and its job, for the tenant of ctx. No byte is copied: its manifest is made of those of
// its partial uploads when all of them have their bytes, in the transaction that records the last of these. Until then
// it waits. The parts of the partial uploads stay as long as it needs them, though they be terminated or expire; an
// unfinished one takes it along when it ends.
func (s *Store) Concat(ctx context.Context, f Final) (Info, error) {
	if len(f.Partials) == 0 || len(f.Partials) > maxPartials {
		return Info{}, badConcat(fmt.Sprintf("names %d partial uploads, and not 1 to %d", len(f.Partials), maxPartials))
	}
	d, err := draft(ctx, handler.FileInfo{MetaData: f.Metadata})
	if err != nil {
		return Info{}, err
	}
	if err := s.ledger.concat(ctx, d, f); err != nil {
		return Info{}, s.answer(ctx, "concatenate", d.ID, err)
	}
	info, err := s.Info(ctx, d.Tenant, d.ID)
	return info, s.answer(ctx, "get", d.ID, err)
}

func badConcat(fault string) error {
	return handler.NewError("ERR_INVALID_CONCAT", "Upload-Concat "+fault, http.StatusBadRequest)
}

func (l *ledger) concat(ctx context.Context, d job.Draft, f Final) error {
	text, err := encodeMetadata(f.Metadata)
	if err != nil {
		return fmt.Errorf("encode metadata: %w", err)
	}
	return l.jobs.InTx(ctx, scope.Tenant(d.Tenant), func(tx pgx.Tx) error {
		q := db.New(tx)
		found, err := q.LockPartials(ctx, db.LockPartialsParams{Ids: f.Partials, Tenant: d.Tenant})
		if err != nil {
			return fmt.Errorf("lock partial uploads: %w", err)
		}
		size, err := sizeOf(f.Partials, found)
		if err != nil {
			return err
		}
		if size != nil && *size > l.maxBytes {
			return handler.ErrMaxSizeExceeded
		}
		if err := l.jobs.CreateTx(ctx, tx, d); err != nil {
			return fmt.Errorf("create job: %w", err)
		}
		row, err := q.InsertUpload(ctx, db.InsertUploadParams{
			ID: d.ID, Tenant: d.Tenant, SizeBytes: size, Metadata: text, Concat: concatFinal, ConcatHeader: f.Header, Expiry: l.expiry,
		})
		if err != nil {
			return fmt.Errorf("insert upload: %w", err)
		}
		if err := q.InsertConcats(ctx, db.InsertConcatsParams{FinalID: d.ID, PartialIds: f.Partials}); err != nil {
			return fmt.Errorf("insert list: %w", err)
		}
		if err := l.join(ctx, tx, row); err != nil {
			return err
		}
		return alongside(tx, alsoOf(ctx, d.ID))
	})
}

// sizeOf returns the length of all partial uploads, nil as long as that of one is deferred, or what is wrong with the
// list. An upload that is another tenant's is as unknown as one that does not exist.
func sizeOf(ids []string, found []db.Upload) (*int64, error) {
	var size int64
	deferred := false
	for _, id := range ids {
		i, ok := slices.BinarySearchFunc(found, id, func(u db.Upload, id string) int { return strings.Compare(u.ID, id) })
		switch {
		case !ok:
			return nil, badConcat("names " + id + ", which is no partial upload or has ended")
		case found[i].SizeBytes == nil:
			deferred = true
		case size+*found[i].SizeBytes < size:
			return nil, handler.ErrMaxSizeExceeded
		default:
			size += *found[i].SizeBytes
		}
	}
	if deferred {
		return nil, nil
	}
	return &size, nil
}

// finishFinals completes the final uploads for which the partial one of that id was the last.
func (l *ledger) finishFinals(ctx context.Context, tx pgx.Tx, tenant, partial string) error {
	finals, err := db.New(tx).LockFinals(ctx, db.LockFinalsParams{PartialID: partial, Tenant: tenant})
	if err != nil {
		return fmt.Errorf("lock final uploads: %w", err)
	}
	for _, f := range finals {
		if err := l.join(ctx, tx, f); err != nil {
			return err
		}
	}
	return nil
}

// join makes the manifest of a final upload and finishes it, if all its partial uploads have their bytes. One that cannot
// be finished any more ends, so that it does not hinder its partial uploads.
func (l *ledger) join(ctx context.Context, tx pgx.Tx, f db.Upload) error {
	q := db.New(tx)
	partials, err := q.ListPartials(ctx, db.ListPartialsParams{FinalID: f.ID, Tenant: f.Tenant})
	if err != nil {
		return fmt.Errorf("list partial uploads: %w", err)
	}
	var size int64
	var crc uint64
	for _, p := range partials {
		if !full(p) {
			return nil
		}
		if size += p.OffsetBytes; size < 0 || size > l.maxBytes {
			return l.abortFinal(ctx, tx, f, "the partial uploads are together larger than an upload may be")
		}
		crc = blob.Combine(crc, uint64(p.Crc64), p.OffsetBytes)
	}
	joined, err := q.Joined(ctx, db.JoinedParams{ID: f.ID, Tenant: f.Tenant, SizeBytes: &size, Crc64: int64(crc)})
	if err != nil {
		return fmt.Errorf("join partial uploads: %w", err)
	}
	if err := q.Join(ctx, f.ID); err != nil {
		return fmt.Errorf("join manifests: %w", err)
	}
	err = l.finish(ctx, tx, &joined)
	if errors.Is(err, job.ErrStep) || errors.Is(err, job.ErrNotFound) { // cancelled or deleted meanwhile
		return l.abortFinal(ctx, tx, f, "")
	}
	return err
}

// abortFinals ends the final uploads that wait for a partial one that has ended.
func (l *ledger) abortFinals(ctx context.Context, tx pgx.Tx, tenant, partial string) error {
	finals, err := db.New(tx).LockFinals(ctx, db.LockFinalsParams{PartialID: partial, Tenant: tenant})
	if err != nil {
		return fmt.Errorf("lock final uploads: %w", err)
	}
	for _, f := range finals {
		if err := l.abortFinal(ctx, tx, f, "a partial upload ended before all bytes had arrived"); err != nil {
			return err
		}
	}
	return nil
}

// abortFinal ends a final upload that is locked. Its references are dropped when it is swept.
func (l *ledger) abortFinal(ctx context.Context, tx pgx.Tx, f db.Upload, detail string) error {
	row, err := db.New(tx).EndUpload(ctx, db.EndUploadParams{ID: f.ID, Tenant: f.Tenant, Grace: l.grace})
	if err != nil {
		return fmt.Errorf("end final upload: %w", err)
	}
	_, err = l.abort(ctx, tx, row, detail) // its manifest names the parts of others
	return err
}
