package upload

import (
	"context"
	"errors"

	"sluice/internal/blob"
	"sluice/internal/upload/db"
)

type checkKey struct{}

// WithCheck makes a write with the context returned all or nothing: its parts, and the running CRC of the file, are
// recorded in one transaction after all of them are stored and check has returned nil. Else none is, their objects are
// deleted, and the error is the client's answer. check is called once, when the body has been read as far as the upload
// has room, and not at all when a part could not be stored. It may read the rest.
func WithCheck(ctx context.Context, check func() error) context.Context {
	return context.WithValue(ctx, checkKey{}, check)
}

func checkOf(ctx context.Context) func() error {
	check, _ := ctx.Value(checkKey{}).(func() error)
	return check
}

// batch is what one transaction records: parts that are stored, each behind the other.
type batch struct {
	rows   []db.Part
	end    int64  // offset behind the last
	crc    uint64 // of the bytes that are new
	merged string // key of the remainder that the first part took the place of, or ""
}

func (b *batch) add(p *part, id string) {
	b.rows = append(b.rows, p.row(id, b.end))
	b.end += p.size
	b.crc = blob.Combine(b.crc, p.crc, p.size)
	if p.remainder != nil {
		b.merged = p.remainder.ObjectKey
	}
}

func (b *batch) keys() []string {
	keys := make([]string, len(b.rows))
	for i, row := range b.rows {
		keys[i] = row.ObjectKey
	}
	return keys
}

// commitChecked records all parts, or none and has their objects deleted.
func (w *writer) commitChecked(ctx context.Context, failure error) error {
	if failure == nil {
		failure = w.broken
	}
	if failure == nil {
		failure = w.check()
	}
	if failure == nil && len(w.checked.rows) > 0 {
		// Whether a commit that failed was done may be unknown: only the sweep, which reads the manifest, may delete then.
		if failure = w.record(ctx, w.checked); !errors.Is(failure, errFenced) {
			return failure
		}
	}
	if failure != nil {
		// ctx has ended with the first failure. What is not deleted now is swept.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
		defer cancel()
		w.store.discard(ctx, w.row.ID, w.checked.keys()...)
	}
	return failure
}
