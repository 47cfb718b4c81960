package upload

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
	"github.com/tus/tusd/v2/pkg/handler"

	"sluice/internal/job"
	"sluice/internal/renewal"
	"sluice/internal/scope"
	"sluice/internal/upload/db"
)

// Intake is a file of unknown length that one request brings, whole or not at all. It ends with Finish or Abort, one of
// which must be called. It is for one goroutine at a time.
//
// While it lasts it keeps itself from expiring; when its process dies its job is Aborted and its objects go by
// Config.StreamExpiry and the sweep.
type Intake struct {
	u    upload
	stop func() // ends the renewals
}

// Begin creates the job of d, in state Open, and its upload. d may be made complete by Finish.
func (s *Store) Begin(ctx context.Context, d job.Draft) (*Intake, error) {
	return s.begin(ctx, creation{Draft: d, once: true})
}

func (s *Store) begin(ctx context.Context, c creation) (*Intake, error) {
	row, err := s.ledger.create(ctx, c)
	if err != nil {
		return nil, s.answer(ctx, "create", c.ID, err)
	}
	in := &Intake{u: upload{s, row}}
	in.stop = in.renew(ctx)
	return in, nil
}

// renew keeps the upload open until stop is called.
func (in *Intake) renew(ctx context.Context) (stop func()) {
	s, id, tenant := in.u.store, in.ID(), in.u.row.Tenant // in.u changes meanwhile
	ctx = context.WithoutCancel(ctx)                      // it ends with Finish or Abort, whatever becomes of the client
	return renewal.Every(ctx, s.cfg.StreamExpiry/4, func(ctx context.Context) bool {
		err := s.ledger.as(scope.Tenant(tenant)).RenewOnce(ctx, db.RenewOnceParams{ID: id, Tenant: tenant, Expiry: s.cfg.StreamExpiry})
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "upload not renewed", "upload_id", id, "err", err)
		}
		return true
	})
}

// ID returns the id of the upload, and of its job if it has one.
func (in *Intake) ID() string { return in.u.row.ID }

// SizeBytes returns how many bytes are stored.
func (in *Intake) SizeBytes() int64 { return in.u.row.OffsetBytes }

// Write stores src to its end, behind what was written before. An error of src's own is returned as it is; any other is a
// handler.Error, such as ErrUnavailable, ErrGone for a job that was cancelled meanwhile, or handler.ErrMaxSizeExceeded.
func (in *Intake) Write(ctx context.Context, src io.Reader) error {
	h := &heard{Reader: src}
	_, err := in.u.write(ctx, in.u.row.OffsetBytes, h)
	if err == nil && h.err == nil { // there was no room for all of it
		if n, readErr := io.ReadFull(h, make([]byte, 1)); n > 0 {
			return handler.ErrMaxSizeExceeded
		} else if !errors.Is(readErr, io.EOF) {
			err = readErr
		}
	}
	switch {
	case err != nil && h.err != nil && errors.Is(err, h.err):
		return h.err
	case errors.Is(err, errFenced): // nobody else writes here, so it has ended
		return ErrGone
	}
	return in.u.store.answer(ctx, "write", in.ID(), err)
}

// heard remembers how a source ended.
type heard struct {
	io.Reader

	err error
}

// Read implements io.Reader.
func (h *heard) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	if err != nil {
		h.err = err
	}
	return n, err
}

// Finish completes the upload and enqueues its job, in one transaction with also, which may be nil and
// whose error is passed on. d is what has been
// learned of the job since Begin; nil: nothing. The client may have gone: its bytes are all there.
func (in *Intake) Finish(ctx context.Context, d *job.Draft, also func(pgx.Tx) error) error {
	in.stop()
	s := in.u.store
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	err := s.cfg.Jobs.InTx(ctx, scope.Tenant(in.u.row.Tenant), func(tx pgx.Tx) error {
		if d != nil {
			if err := s.cfg.Jobs.ConfigureTx(ctx, tx, *d); err != nil {
				return err
			}
		}
		row, err := s.ledger.declareTx(ctx, tx, in.u.row, in.u.row.OffsetBytes)
		if err != nil {
			return err
		}
		in.u.row = row
		return alongside(tx, also)
	})
	if errors.Is(err, handler.ErrInvalidUploadLength) { // not open any more
		return ErrGone
	}
	return s.answer(ctx, "finish", in.ID(), err)
}

// alongside does somebody else's step of a transaction, whose error answer passes on.
func alongside(tx pgx.Tx, step func(pgx.Tx) error) error {
	if step == nil {
		return nil
	}
	if err := step(tx); err != nil {
		return &othersError{err}
	}
	return nil
}

// othersError is an error of a step that is not the upload's.
type othersError struct{ error }

// Abort ends the upload, and its job for the reason that detail gives, a sentence for its user. No object of it is left.
// It does nothing to one that is finished, nor to a batch that was accepted, be it that nobody was told.
func (in *Intake) Abort(ctx context.Context, detail string) {
	in.stop()
	s := in.u.store
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout) // the client may have gone
	defer cancel()
	_, err := s.ledger.terminate(ctx, in.u.row, detail)
	switch {
	case errors.Is(err, ErrComplete), errors.Is(err, ErrGone) && in.u.row.Concat == concatPartial:
		return
	case err != nil && !errors.Is(err, ErrGone):
		s.log.WarnContext(ctx, "upload left to its expiry", "upload_id", in.ID(), "err", err)
		return
	}
	if err := s.discardAll(ctx, in.u.row); err != nil {
		s.log.WarnContext(ctx, "objects left to the sweep", "upload_id", in.ID(), "err", err)
	}
}

// discardAll deletes every object of an upload that has ended and that nobody writes to.
func (s *Store) discardAll(ctx context.Context, u db.Upload) error {
	var keys []string
	for o, err := range s.cfg.Bucket.List(ctx, prefix(u)) {
		if err != nil {
			return fmt.Errorf("list objects: %w", err)
		}
		keys = append(keys, o.Key)
	}
	return s.cfg.Bucket.Delete(ctx, keys...)
}
