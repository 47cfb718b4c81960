package upload

import (
	"context"
	"io"

	"github.com/jackc/pgx/v5"
	"github.com/tus/tusd/v2/pkg/handler"

	"sluice/internal/job"
	"sluice/internal/upload/db"
)

// NewUpload implements handler.DataStore: the upload and its job exist when it returns. Its id is info.ID, or a new one;
// its tenant is that of ctx. Empty uploads are complete at once. A partial upload has no job; final ones are Concat's.
func (s *Store) NewUpload(ctx context.Context, info handler.FileInfo) (handler.Upload, error) {
	if info.Size > s.cfg.MaxBytes {
		return nil, handler.ErrMaxSizeExceeded
	}
	d, err := draft(ctx, info)
	if err != nil {
		return nil, err
	}
	size := &info.Size
	if info.SizeIsDeferred {
		size = nil
	}
	concat := ""
	if info.IsPartial {
		concat = concatPartial
	}
	row, err := s.ledger.create(ctx, creation{Draft: d, size: size, meta: info.MetaData, concat: concat, also: alsoOf(ctx, d.ID)})
	if err != nil {
		return nil, s.answer(ctx, "create", d.ID, err)
	}
	return &upload{s, row}, nil
}

type alsoKey struct{}

// WithAlso returns a context with which NewUpload and Concat do, in the transaction that creates an upload, what also
// returns for its id. Its error is the creation's.
func WithAlso(ctx context.Context, also func(id string) func(pgx.Tx) error) context.Context {
	return context.WithValue(ctx, alsoKey{}, also)
}

// alsoOf returns the step of WithAlso for a new upload, nil where ctx has none.
func alsoOf(ctx context.Context, id string) func(pgx.Tx) error {
	if also, ok := ctx.Value(alsoKey{}).(func(string) func(pgx.Tx) error); ok {
		return also(id)
	}
	return nil
}

// GetUpload implements handler.DataStore. Errors are Info's.
func (s *Store) GetUpload(ctx context.Context, id string) (handler.Upload, error) {
	row, err := s.ledger.getOfTus(ctx, job.Tenant(ctx), id)
	if err != nil {
		return nil, s.answer(ctx, "get", id, err)
	}
	return &upload{s, row}, nil
}

// AsTerminatableUpload implements handler.TerminaterDataStore.
func (s *Store) AsTerminatableUpload(u handler.Upload) handler.TerminatableUpload {
	return u.(*upload)
}

// AsLengthDeclarableUpload implements handler.LengthDeferrerDataStore.
func (s *Store) AsLengthDeclarableUpload(u handler.Upload) handler.LengthDeclarableUpload {
	return u.(*upload)
}

// AsConcatableUpload implements handler.ConcaterDataStore, for the sake of partial uploads.
func (s *Store) AsConcatableUpload(u handler.Upload) handler.ConcatableUpload {
	return u.(*upload)
}

// ConcatUploads is never called: tusd can only concatenate what is finished. See Store.Concat.
func (u *upload) ConcatUploads(context.Context, []handler.Upload) error {
	return handler.ErrNotImplemented
}

// upload is one upload during one request.
type upload struct {
	store *Store
	row   db.Upload // as last read or committed
}

// GetInfo returns what the request began with, or what it has committed since.
func (u *upload) GetInfo(context.Context) (handler.FileInfo, error) {
	meta, err := decodeMetadata(u.row.Metadata)
	info := handler.FileInfo{
		ID: u.row.ID, Offset: u.row.OffsetBytes, SizeIsDeferred: u.row.SizeBytes == nil, MetaData: meta,
		IsPartial: u.row.Concat == concatPartial, IsFinal: u.row.Concat == concatFinal,
	}
	if u.row.SizeBytes != nil {
		info.Size = *u.row.SizeBytes
	}
	return info, err
}

// WriteChunk stores the bytes of src from offset on and returns how far the ledger moved, also together with an error.
// The end of src is no success: tusd hides a broken connection behind it. What arrived is stored either way.
func (u *upload) WriteChunk(ctx context.Context, offset int64, src io.Reader) (int64, error) {
	if full(u.row) { // by a length that was declared just before
		return 0, nil
	}
	n, err := u.write(ctx, offset, src)
	return n, u.store.answer(ctx, "write", u.row.ID, err)
}

// FinishUpload has nothing to do: the commit of the last byte finished the upload.
func (u *upload) FinishUpload(context.Context) error {
	if !full(u.row) {
		return handler.ErrUploadNotFinished
	}
	return nil
}

// DeclareLength sets a deferred length. One that equals the offset completes the upload.
func (u *upload) DeclareLength(ctx context.Context, size int64) error {
	if size > u.store.cfg.MaxBytes {
		return handler.ErrMaxSizeExceeded
	}
	row, err := u.store.ledger.declare(ctx, u.row, size)
	if err == nil {
		u.row = row
	}
	return u.store.answer(ctx, "declare length", u.row.ID, err)
}

// Terminate ends an upload that is not complete, aborts its job and deletes its parts.
func (u *upload) Terminate(ctx context.Context) error {
	keys, err := u.store.ledger.terminate(ctx, u.row, "the upload was terminated by its client")
	if err != nil {
		return u.store.answer(ctx, "terminate", u.row.ID, err)
	}
	u.store.discard(ctx, u.row.ID, keys...)
	return nil
}

// GetReader implements handler.Upload. Bytes come back through the API, to their own tenant.
func (u *upload) GetReader(context.Context) (io.ReadCloser, error) {
	return nil, handler.ErrNotImplemented
}
