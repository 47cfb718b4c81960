package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/tus/tusd/v2/pkg/handler"

	"sluice/internal/job"
	"sluice/internal/upload/db"
)

// batchedRow is a job whose file comes in batches, as it was read.
type batchedRow struct {
	Upload  db.Upload
	Batched db.Batched
	Expired bool
}

// accepted is what became of a batch.
type accepted struct {
	Batched

	again bool // it had come before
}

func (l *ledger) openBatched(ctx context.Context, tx pgx.Tx, d job.Draft, b Batched, header []byte) (batchedRow, error) {
	row, err := l.createTx(ctx, tx, creation{Draft: d, concat: concatBatches})
	if err != nil {
		return batchedRow{}, err
	}
	in := db.InsertBatchedParams{
		UploadID: d.ID, Tenant: d.Tenant, ContentType: b.ContentType, Header: header,
		CreditModelConfig: d.CreditConfig, AggregateConfig: d.AggregateConfig, ParseConfig: d.ParseConfig,
	}
	if b.Session != "" {
		total := int32(b.Total)
		in.SessionID, in.Total = &b.Session, &total
	}
	n, err := db.New(tx).InsertBatched(ctx, in)
	if err == nil && n == 0 {
		err = errSessionTaken
	}
	if err != nil {
		return batchedRow{}, fmt.Errorf("insert session: %w", err)
	}
	return l.lockBatched(ctx, tx, d.Tenant, row.ID)
}

// lockBatched lets nobody else change the job until tx ends. One that has ended is ErrGone.
func (l *ledger) lockBatched(ctx context.Context, tx pgx.Tx, tenant, id string) (batchedRow, error) {
	row, err := db.New(tx).LockBatched(ctx, db.LockBatchedParams{ID: id, Tenant: tenant})
	if errors.Is(err, pgx.ErrNoRows) {
		return batchedRow{}, job.ErrNotFound
	}
	if err == nil && (row.Upload.State == stateGone || row.Expired) {
		err = ErrGone
	}
	return batchedRow(row), err
}

// lockFor locks the job that a batch is for, and creates it if the batch is the first of its session.
func (l *ledger) lockFor(ctx context.Context, tx pgx.Tx, b Batch) (batchedRow, error) {
	id := b.Job
	if b.Session != "" {
		found, err := db.New(tx).BatchedOfSession(ctx, db.BatchedOfSessionParams{Tenant: b.Draft.Tenant, SessionID: b.Session})
		if errors.Is(err, pgx.ErrNoRows) {
			d := b.Draft
			d.ID = job.NewID()
			return l.openBatched(ctx, tx, d, Batched{Session: b.Session, Total: b.Total, ContentType: "json"}, b.Header)
		}
		if err != nil {
			return batchedRow{}, fmt.Errorf("get session: %w", err)
		}
		id = found
	}
	return l.lockBatched(ctx, tx, b.Draft.Tenant, id)
}

// accept adds a batch to its job. Its partial upload is u.
func (l *ledger) accept(ctx context.Context, tx pgx.Tx, u db.Upload, b Batch) (a accepted, err error) {
	row, err := l.lockFor(ctx, tx, b)
	if err != nil {
		return a, err
	}
	if row.Batched.Total != nil && int(*row.Batched.Total) != b.Total {
		return a, ErrTotalChanged
	}
	if b.Number < 1 || b.Number > MaxBatches || b.Total > 0 && b.Number > b.Total {
		return a, ErrBatchNumber
	}
	q := db.New(tx)
	before, err := q.GetBatch(ctx, db.GetBatchParams{UploadID: row.Upload.ID, Tenant: row.Upload.Tenant, Number: int32(b.Number)})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		err = l.add(ctx, tx, &row, u, b)
	case err != nil:
		err = fmt.Errorf("get batch: %w", err)
	case !bytes.Equal(before.Digest, b.Digest[:]):
		err = ErrBatchChanged
	default:
		a.again = true
		_, err = settled(row.Batched, b)
	}
	if err != nil {
		return a, err
	}
	a.Batched, err = l.batched(ctx, q, row, nil)
	return a, err
}

// add adds a batch that has not come before. The last of a session completes the file.
func (l *ledger) add(ctx context.Context, tx pgx.Tx, row *batchedRow, u db.Upload, b Batch) error {
	if row.Upload.State == stateComplete {
		return ErrBatchesComplete
	}
	now, err := settled(row.Batched, b)
	if err != nil {
		return err
	}
	if err := l.list(ctx, tx, row, u, b.Number); err != nil {
		return err
	}
	q := db.New(tx)
	err = q.InsertBatch(ctx, db.InsertBatchParams{
		UploadID: row.Upload.ID, Tenant: row.Upload.Tenant, Number: int32(b.Number), Digest: b.Digest[:], Records: b.Records,
	})
	if err != nil {
		return fmt.Errorf("insert batch: %w", err)
	}
	row.Batched, err = q.CountBatch(ctx, db.CountBatchParams{
		UploadID: row.Upload.ID, Tenant: row.Upload.Tenant, Records: b.Records, Number: int32(b.Number), Header: now.Header,
		CreditModelConfig: now.CreditModelConfig, AggregateConfig: now.AggregateConfig, ParseConfig: now.ParseConfig,
	})
	if err != nil {
		return fmt.Errorf("count batch: %w", err)
	}
	if row.Batched.Total == nil || row.Batched.Received < *row.Batched.Total {
		return nil
	}
	return l.enqueueBatched(ctx, tx, row)
}

// list puts a partial upload at its place in the list.
func (l *ledger) list(ctx context.Context, tx pgx.Tx, row *batchedRow, u db.Upload, position int) (err error) {
	q := db.New(tx)
	if u, err = q.CloseBatch(ctx, db.CloseBatchParams{ID: u.ID, Tenant: u.Tenant, Grace: l.grace}); errors.Is(err, pgx.ErrNoRows) {
		return ErrGone
	} else if err != nil {
		return fmt.Errorf("close batch: %w", err)
	}
	// There is a header still to come, which is no longer than a batch's first record may be.
	if row.Upload.OffsetBytes+u.OffsetBytes > l.maxBytes-int64(len(row.Batched.Header)) {
		return handler.ErrMaxSizeExceeded
	}
	if err := q.InsertConcat(ctx, db.InsertConcatParams{FinalID: row.Upload.ID, Position: int32(position), PartialID: u.ID}); err != nil {
		return fmt.Errorf("list batch: %w", err)
	}
	row.Upload, err = q.GrowBatched(ctx, db.GrowBatchedParams{ID: row.Upload.ID, Tenant: row.Upload.Tenant, SizeBytes: u.OffsetBytes, Expiry: l.expiry})
	if err != nil {
		return fmt.Errorf("count bytes of batch: %w", err)
	}
	return nil
}

// settled returns the row with what the batch says for the first time, or refuses what differs from what was said.
func settled(row db.Batched, b Batch) (db.Batched, error) {
	for _, setting := range []struct {
		have *string
		told string
	}{
		{&row.CreditModelConfig, b.Draft.CreditConfig},
		{&row.AggregateConfig, b.Draft.AggregateConfig},
		{&row.ParseConfig, b.Draft.ParseConfig},
	} {
		if *setting.have == "" {
			*setting.have = setting.told
		} else if setting.told != "" && setting.told != *setting.have {
			return row, ErrSettingsChanged
		}
	}
	if row.Header == nil {
		row.Header = b.Header
	} else if !bytes.Equal(row.Header, b.Header) {
		return row, ErrHeaderChanged
	}
	return row, nil
}

// complete puts the header in front of the batches and completes the file, unless that was done before.
func (l *ledger) complete(ctx context.Context, tx pgx.Tx, header db.Upload, id string) (Batched, error) {
	row, err := l.lockBatched(ctx, tx, header.Tenant, id)
	if err != nil {
		return Batched{}, err
	}
	if row.Upload.State != stateComplete {
		row.Batched.Header = nil // it is not to come any more
		if err := l.list(ctx, tx, &row, header, 0); err != nil {
			return Batched{}, err
		}
		if err := l.enqueueBatched(ctx, tx, &row); err != nil {
			return Batched{}, err
		}
	}
	return l.batched(ctx, db.New(tx), row, nil)
}

// enqueueBatched makes the file of the list and enqueues its job with the settings that were told.
func (l *ledger) enqueueBatched(ctx context.Context, tx pgx.Tx, row *batchedRow) error {
	b := row.Batched
	err := l.jobs.ConfigureTx(ctx, tx, job.Draft{
		ID: b.UploadID, Tenant: b.Tenant, CreditConfig: b.CreditModelConfig, AggregateConfig: b.AggregateConfig, ParseConfig: b.ParseConfig,
	})
	if err != nil {
		return err
	}
	if err := l.join(ctx, tx, row.Upload); err != nil {
		return err
	}
	row.Upload.State = stateComplete
	return nil
}

// batched tells how a job stands that was read with err.
func (l *ledger) batched(ctx context.Context, q *db.Queries, row batchedRow, err error) (Batched, error) {
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Batched{}, job.ErrNotFound
	case err != nil:
		return Batched{}, fmt.Errorf("get batched job: %w", err)
	case row.Upload.State == stateGone || row.Expired:
		return Batched{}, ErrGone
	}
	r := row.Batched
	b := Batched{
		ID: r.UploadID, ContentType: r.ContentType, Received: int(r.Received), Records: r.Records,
		SizeBytes: row.Upload.OffsetBytes, Complete: row.Upload.State == stateComplete,
	}
	if r.SessionID != nil {
		b.Session = *r.SessionID
	}
	if r.Total != nil {
		b.Total = int(*r.Total)
	}
	missing, err := q.MissingBatch(ctx, db.MissingBatchParams{UploadID: r.UploadID, Tenant: r.Tenant})
	if err != nil {
		return Batched{}, fmt.Errorf("find missing batch: %w", err)
	}
	b.Missing = int(missing)
	return b, nil
}
