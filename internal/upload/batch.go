package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/jackc/pgx/v5"
	"github.com/tus/tusd/v2/pkg/handler"

	"sluice/internal/job"
	"sluice/internal/scope"
	"sluice/internal/upload/db"
)

// MaxBatches bounds the batches of a file: 100 million rows in chunks of 10,000.
const MaxBatches = 10_000

// What is wrong with a batch: 409, but for ErrBatchNumber, which is 400.
var (
	ErrBatchNumber     = batchError("BATCH_NUMBER", "the batch's number is larger than that of the last batch", http.StatusBadRequest)
	ErrBatchChanged    = batchError("BATCH_CHANGED", "a batch of this number has come with other content", http.StatusConflict)
	ErrTotalChanged    = batchError("TOTAL_CHANGED", "another number of batches was told before", http.StatusConflict)
	ErrSettingsChanged = batchError("SETTINGS_CHANGED", "other settings were told before", http.StatusConflict)
	ErrHeaderChanged   = batchError("HEADER_CHANGED", "the header is not that of the batch that came first", http.StatusConflict)
	ErrBatchesComplete = batchError("BATCHES_COMPLETE", "all batches have come already, and the file is complete", http.StatusConflict)
	ErrNoBatches       = batchError("NO_BATCHES", "no batch has come yet", http.StatusConflict)
	errSessionTaken    = errors.New("session begun by another")
)

func batchError(code, text string, status int) error {
	return handler.NewError("ERR_"+code, text, status)
}

// Batched is a job whose file comes in numbered batches, in any order, in parallel, and again. No byte of them is copied:
// each is a partial upload, and the file the list of these.
type Batched struct {
	ID          string // the job's
	Session     string // the client's name for it, "" for none
	Total       int    // batches that make the file whole; 0: the client says when, by Complete
	ContentType string // "csv" or "json"
	Received    int    // batches
	Missing     int    // the smallest number that has not come
	Records     int64
	SizeBytes   int64
	Complete    bool // the job is enqueued
}

// Batch says what an Intake of BeginBatch has stored.
type Batch struct {
	// Job is the id of a job of OpenBatched; "" for a session, which its first batch begins with Draft.
	Job, Session string
	// Draft holds the tenant, and what the batch says of the settings; empty ones are not said.
	Draft job.Draft
	// Number is from 1 to MaxBatches, and Total as Batched has it.
	Number, Total int
	Records       int64
	// Digest is the SHA-256 of the content: a batch that comes again must have the same.
	Digest [32]byte
	// Header is what the file begins with: of CSV the first record, which the batch is stored without. The batch with
	// number 1 of a session has stored it itself.
	Header []byte
}

// Also is done in the transaction that its argument comes of. It may be nil, and may return nil.
type Also func(Batched) func(pgx.Tx) error

func (a Also) do(tx pgx.Tx, b Batched) error {
	if a == nil {
		return nil
	}
	return alongside(tx, a(b))
}

// OpenBatched creates the job of d, whose batches come until Complete. header is what the file begins with, nil for CSV
// before its first batch.
func (s *Store) OpenBatched(ctx context.Context, d job.Draft, contentType string, header []byte, also Also) (b Batched, err error) {
	err = s.cfg.Jobs.InTx(ctx, scope.Tenant(d.Tenant), func(tx pgx.Tx) error {
		b = Batched{ID: d.ID, ContentType: contentType, Missing: 1}
		if _, err := s.ledger.openBatched(ctx, tx, d, b, header); err != nil {
			return err
		}
		return also.do(tx, b)
	})
	return b, s.answer(ctx, "create", d.ID, err)
}

// BatchedOf returns the job of that id, if its file comes in batches, or else the session of that name. One that is
// unknown, or another tenant's, is job.ErrNotFound; one that has ended is ErrGone.
func (s *Store) BatchedOf(ctx context.Context, tenant, id, session string) (Batched, error) {
	if session != "" {
		var err error
		if id, err = s.ledger.as(scope.Tenant(tenant)).BatchedOfSession(ctx, db.BatchedOfSessionParams{Tenant: tenant, SessionID: session}); errors.Is(err, pgx.ErrNoRows) {
			return Batched{}, job.ErrNotFound
		} else if err != nil {
			return Batched{}, fmt.Errorf("get session: %w", err)
		}
	}
	row, err := s.ledger.as(scope.Tenant(tenant)).GetBatched(ctx, db.GetBatchedParams{ID: id, Tenant: tenant})
	return s.ledger.batched(ctx, s.ledger.as(scope.Tenant(tenant)), batchedRow(row), err)
}

// Numbers returns the numbers of the batches that have come, ascending.
func (s *Store) Numbers(ctx context.Context, tenant, id string) ([]int32, error) {
	numbers, err := s.ledger.as(scope.Tenant(tenant)).BatchNumbers(ctx, db.BatchNumbersParams{UploadID: id, Tenant: tenant})
	if err != nil {
		return nil, fmt.Errorf("list batches: %w", err)
	}
	return numbers, nil
}

// TakeNumber returns a number for a batch that has none. One whose batch never comes is left out.
func (s *Store) TakeNumber(ctx context.Context, tenant, id string) (int, error) {
	n, err := s.ledger.as(scope.Tenant(tenant)).TakeNumber(ctx, db.TakeNumberParams{UploadID: id, Tenant: tenant})
	if err != nil {
		return 0, fmt.Errorf("take batch number: %w", err)
	}
	return int(n), nil
}

// BeginBatch creates an intake of a batch. It ends with Accept or Abort.
func (s *Store) BeginBatch(ctx context.Context, tenant string) (*Intake, error) {
	return s.begin(ctx, creation{Draft: job.Draft{ID: job.NewID(), Tenant: tenant}, concat: concatPartial, once: true})
}

// Accept adds what the intake has stored to its job, in one transaction with also. The last batch of a session enqueues
// the job. A batch that has come before with the same content is accepted and changes nothing; its intake is aborted.
func (in *Intake) Accept(ctx context.Context, b Batch, also Also) (Batched, error) {
	in.stop()
	s := in.u.store
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout) // its bytes are all there
	defer cancel()
	var a accepted
	err := errSessionTaken
	for errors.Is(err, errSessionTaken) { // then it is found
		err = s.cfg.Jobs.InTx(ctx, scope.Tenant(b.Draft.Tenant), func(tx pgx.Tx) (err error) {
			if a, err = s.ledger.accept(ctx, tx, in.u.row, b); err != nil {
				return err
			}
			return also.do(tx, a.Batched)
		})
	}
	if a.again || err != nil {
		in.Abort(ctx, "")
	}
	return a.Batched, s.answer(ctx, "accept batch", in.ID(), err)
}

// Complete says that all batches of a job have come, and enqueues it, in one transaction with also. To say so again
// changes nothing.
func (s *Store) Complete(ctx context.Context, tenant, id string, also Also) (Batched, error) {
	row, err := s.ledger.as(scope.Tenant(tenant)).GetBatched(ctx, db.GetBatchedParams{ID: id, Tenant: tenant})
	b, err := s.ledger.batched(ctx, s.ledger.as(scope.Tenant(tenant)), batchedRow(row), err)
	if err == nil && b.Received == 0 {
		err = ErrNoBatches
	}
	if err != nil {
		return b, err
	}
	header, err := s.BeginBatch(ctx, tenant)
	if err != nil {
		return b, err
	}
	if err := header.Write(ctx, bytes.NewReader(row.Batched.Header)); err != nil {
		header.Abort(ctx, "")
		return b, err
	}
	header.stop()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	err = s.cfg.Jobs.InTx(ctx, scope.Tenant(tenant), func(tx pgx.Tx) (err error) {
		if b, err = s.ledger.complete(ctx, tx, header.u.row, id); err != nil {
			return err
		}
		return also.do(tx, b)
	})
	header.Abort(ctx, "") // does nothing to one that is in the list
	return b, s.answer(ctx, "complete", id, err)
}
