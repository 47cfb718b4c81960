package upload

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/tus/tusd/v2/pkg/handler"

	"sluice/internal/audit"
	"sluice/internal/blob"
	"sluice/internal/job"
	"sluice/internal/scope"
	"sluice/internal/upload/db"
)

// States of an upload in the ledger.
const (
	stateComplete = "complete" // all bytes stored, job enqueued
	stateGone     = "gone"     // terminated or expired
)

// ledger is the authority on what has been received. Each of its methods is one transaction, and the one that makes the
// offset reach the length enqueues the job: no upload has all its bytes and no job.
type ledger struct {
	pool          *pgxpool.Pool
	jobs          *job.Store
	expiry, grace time.Duration
	once          time.Duration // expiry of an upload that one request writes
	maxBytes      int64
}

func newLedger(cfg Config) *ledger {
	return &ledger{cfg.Pool, cfg.Jobs, cfg.Expiry, cfg.SweepGrace, cfg.StreamExpiry, cfg.MaxBytes}
}

// as returns the queries of a scope, each a transaction of its own.
func (l *ledger) as(sc scope.Scope) *db.Queries { return db.New(scope.Over(l.pool, sc)) }

// creation is an upload to be: with the job of its id, or a partial one, which has none.
type creation struct {
	job.Draft

	size   *int64 // nil: deferred
	meta   handler.MetaData
	concat string
	once   bool
	also   func(pgx.Tx) error // done in the same transaction; nil: nothing
}

func (l *ledger) create(ctx context.Context, c creation) (row db.Upload, err error) {
	err = l.jobs.InTx(ctx, scope.Tenant(c.Tenant), func(tx pgx.Tx) error {
		if row, err = l.createTx(ctx, tx, c); err != nil {
			return err
		}
		return alongside(tx, c.also)
	})
	return row, err
}

func (l *ledger) createTx(ctx context.Context, tx pgx.Tx, c creation) (row db.Upload, err error) {
	text, err := encodeMetadata(c.meta)
	if err != nil {
		return row, fmt.Errorf("encode metadata: %w", err)
	}
	if c.concat != concatPartial {
		if err := l.jobs.CreateTx(ctx, tx, c.Draft); err != nil {
			return row, fmt.Errorf("create job: %w", err)
		}
	}
	row, err = db.New(tx).InsertUpload(ctx, db.InsertUploadParams{
		ID: c.ID, Tenant: c.Tenant, SizeBytes: c.size, Metadata: text, Concat: c.concat, Once: c.once, Expiry: l.expiryOf(db.Upload{Once: c.once}),
	})
	if err != nil {
		return row, fmt.Errorf("insert upload: %w", err)
	}
	if row.Concat == concatPartial && !row.Once {
		if err := record(ctx, tx, row, audit.UploadCreate); err != nil {
			return row, err
		}
	}
	if err := l.charge(ctx, tx, row); err != nil {
		return row, err
	}
	return row, l.finish(ctx, tx, &row)
}

func (l *ledger) get(ctx context.Context, tenant, id string) (db.Upload, error) {
	found, err := l.as(scope.Tenant(tenant)).GetUpload(ctx, db.GetUploadParams{ID: id, Tenant: tenant})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return db.Upload{}, handler.ErrNotFound
	case err != nil:
		return db.Upload{}, fmt.Errorf("get upload: %w", err)
	case found.Upload.State == stateGone || found.Expired:
		return db.Upload{}, ErrGone
	}
	return found.Upload, nil
}

// getOfTus is get for tus, to which the uploads of other doors do not exist.
func (l *ledger) getOfTus(ctx context.Context, tenant, id string) (db.Upload, error) {
	row, err := l.get(ctx, tenant, id)
	if err == nil && (row.Once || row.Concat == concatBatches) {
		return db.Upload{}, handler.ErrNotFound
	}
	return row, err
}

// take makes the holder the only writer of an upload: every commit of an earlier one fails from here on.
func (l *ledger) take(ctx context.Context, u db.Upload, offset int64, holder string) (db.Upload, error) {
	row, err := l.as(scope.Tenant(u.Tenant)).TakeUpload(ctx, db.TakeUploadParams{ID: u.ID, Tenant: u.Tenant, OffsetBytes: offset, Holder: holder, Expiry: l.expiryOf(u)})
	if !errors.Is(err, pgx.ErrNoRows) {
		return row, err
	}
	if _, err := l.get(ctx, u.Tenant, u.ID); err != nil {
		return row, err
	}
	return row, handler.ErrMismatchOffset
}

// remainder returns the last part if it is shorter than below, or nil.
func (l *ledger) remainder(ctx context.Context, u db.Upload, below int64) (*db.Part, error) {
	if u.OffsetBytes == 0 {
		return nil, nil
	}
	last, err := l.as(scope.Tenant(u.Tenant)).LastPart(ctx, db.LastPartParams{UploadID: u.ID, Tenant: u.Tenant})
	if err != nil {
		return nil, fmt.Errorf("get last part: %w", err)
	}
	if last.SizeBytes >= below {
		return nil, nil
	}
	return &last, nil
}

// advance records parts, each behind the other, and moves the offset over their new bytes, whose CRC-64/NVME is crc. It
// fails with errFenced, and changes nothing, unless u is still what the ledger says.
func (l *ledger) advance(ctx context.Context, u db.Upload, crc uint64, parts ...db.Part) (row db.Upload, err error) {
	last := parts[len(parts)-1]
	to := last.StartBytes + last.SizeBytes
	err = l.jobs.InTx(ctx, scope.Tenant(u.Tenant), func(tx pgx.Tx) error {
		row, err = db.New(tx).Advance(ctx, db.AdvanceParams{
			ID: u.ID, Tenant: u.Tenant, Epoch: u.Epoch, FromBytes: u.OffsetBytes, ToBytes: to, Expiry: l.expiryOf(u),
			Crc64: int64(blob.Combine(uint64(u.Crc64), crc, to-u.OffsetBytes)),
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return errFenced
		}
		if err != nil {
			return fmt.Errorf("advance upload: %w", err)
		}
		for _, p := range parts {
			if err := db.New(tx).PutPart(ctx, db.PutPartParams(p)); err != nil {
				return fmt.Errorf("record part: %w", err)
			}
		}
		return l.finish(ctx, tx, &row)
	})
	return row, err
}

func (l *ledger) declare(ctx context.Context, u db.Upload, size int64) (row db.Upload, err error) {
	err = l.jobs.InTx(ctx, scope.Tenant(u.Tenant), func(tx pgx.Tx) error {
		row, err = l.declareTx(ctx, tx, u, size)
		return err
	})
	return row, err
}

func (l *ledger) declareTx(ctx context.Context, tx pgx.Tx, u db.Upload, size int64) (db.Upload, error) {
	row, err := db.New(tx).DeclareLength(ctx, db.DeclareLengthParams{ID: u.ID, Tenant: u.Tenant, SizeBytes: &size})
	if errors.Is(err, pgx.ErrNoRows) {
		return row, handler.ErrInvalidUploadLength
	}
	if err != nil {
		return row, fmt.Errorf("declare length: %w", err)
	}
	return row, l.finish(ctx, tx, &row)
}

// finish completes an upload whose bytes are all there and enqueues its job; it does nothing to any other. It is the one
// place where that happens, and always within the transaction that recorded the last byte. A partial upload has no job,
// but final ones may wait for it.
func (l *ledger) finish(ctx context.Context, tx pgx.Tx, u *db.Upload) error {
	if !full(*u) {
		return nil
	}
	if u.Concat == concatPartial {
		return l.finishFinals(ctx, tx, u.Tenant, u.ID)
	}
	if err := l.jobs.EnqueueTx(ctx, tx, u.ID, u.OffsetBytes, uint64(u.Crc64)); err != nil {
		return fmt.Errorf("enqueue job: %w", err)
	}
	if err := db.New(tx).CompleteUpload(ctx, db.CompleteUploadParams{ID: u.ID, Tenant: u.Tenant, Grace: l.grace}); err != nil {
		return fmt.Errorf("complete upload: %w", err)
	}
	u.State = stateComplete
	return nil
}

// terminate ends an open upload, for the reason that detail gives, and returns the keys of its parts.
func (l *ledger) terminate(ctx context.Context, u db.Upload, detail string) (keys []string, err error) {
	err = l.jobs.InTx(ctx, scope.Tenant(u.Tenant), func(tx pgx.Tx) error {
		row, err := db.New(tx).EndUpload(ctx, db.EndUploadParams{ID: u.ID, Tenant: u.Tenant, Grace: l.grace})
		if err != nil {
			return err
		}
		if keys, err = l.abort(ctx, tx, row, detail); err != nil || row.Concat == concatPartial && row.Once {
			return err // a batch that was not taken never was anything
		}
		return record(ctx, tx, row, audit.UploadTerminate)
	})
	if errors.Is(err, pgx.ErrNoRows) { // not open any more
		if _, err := l.get(ctx, u.Tenant, u.ID); err != nil {
			return nil, err
		}
		return nil, ErrComplete
	}
	return keys, err
}

// expire ends the upload that expired first and returns its id and the keys of its parts; "" when there is none.
func (l *ledger) expire(ctx context.Context) (id string, keys []string, err error) {
	err = l.jobs.InTx(ctx, scope.System, func(tx pgx.Tx) error {
		row, err := db.New(tx).EndExpired(ctx, l.grace)
		if err != nil {
			return err
		}
		id = row.ID
		if keys, err = l.abort(ctx, tx, row, "the upload expired before all bytes had arrived"); err != nil {
			return err
		}
		return record(ctx, tx, row, audit.UploadExpire)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil, nil
	}
	return id, keys, err
}

// abort aborts the job of an upload that has just ended and empties its manifest, whose keys it returns. What waited for
// a partial upload ends with it.
func (l *ledger) abort(ctx context.Context, tx pgx.Tx, u db.Upload, detail string) ([]string, error) {
	err := error(nil)
	switch {
	case u.Concat != concatPartial:
		err = l.jobs.AbortTx(ctx, tx, u.ID, detail)
	case !full(u):
		err = l.abortFinals(ctx, tx, u.Tenant, u.ID)
	}
	// A job that was cancelled or deleted by itself must not keep its upload.
	if err != nil && !errors.Is(err, job.ErrStep) && !errors.Is(err, job.ErrNotFound) {
		return nil, fmt.Errorf("abort job: %w", err)
	}
	keys, err := db.New(tx).DeleteParts(ctx, db.DeletePartsParams{UploadID: u.ID, Tenant: u.Tenant})
	if err != nil {
		return nil, fmt.Errorf("delete parts: %w", err)
	}
	return keys, nil
}

func record(ctx context.Context, tx pgx.Tx, u db.Upload, action audit.Action) error {
	return audit.Record(ctx, tx, audit.Act{Tenant: u.Tenant, Action: action, Subject: u.ID})
}

// expiryOf is how long an upload stays open from its last part on.
func (l *ledger) expiryOf(u db.Upload) time.Duration {
	if u.Once {
		return l.once
	}
	return l.expiry
}

// full tells whether all bytes of an upload are there.
func full(u db.Upload) bool { return u.SizeBytes != nil && u.OffsetBytes == *u.SizeBytes }
