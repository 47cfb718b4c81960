package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tus/tusd/v2/pkg/handler"

	"sluice/internal/job"
	"sluice/internal/span"
	"sluice/internal/upload/db"
)

const (
	// storeTimeout bounds the time in which a part gets into S3, retries included.
	storeTimeout = 5 * time.Minute
	// commitTimeout bounds one transaction.
	commitTimeout = 30 * time.Second
	// headBytes is what a PATCH reads before it asks for memory.
	headBytes = 4 << 10
)

// writer carries the body of one PATCH into S3 and the ledger. One goroutine receives, one per part sends, and one
// commits the parts in their order, so that the offset moves over nothing that is not stored.
type writer struct {
	store  *Store
	row    db.Upload // as last committed
	left   int64     // bytes that the upload may still receive
	keys   string    // what the keys of its parts begin with; a number follows
	seq    int       // of the last part: a key is used once
	head   []byte    // see part.receive
	memory *account
	queue  chan *part // parts received, in their order
	merge  *db.Part   // the remainder that the first part is merged with, or nil
	stop   context.CancelCauseFunc

	check   func() error // nil: parts are recorded as they come
	checked batch        // with check: the parts stored so far
	broken  error        // why src was not read to its end; set before queue is closed
}

// write takes the upload over, stores what src has, and leaves the last committed state in u.row.
func (u *upload) write(ctx context.Context, offset int64, src io.Reader) (int64, error) {
	u.store.locker.reading(u.row.ID)
	w, err := u.begin(ctx, offset)
	if err != nil {
		return 0, err
	}
	// tusd's context ends 10 s after the client has gone. What the client sent is stored nevertheless: it may be all.
	work, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	w.stop = stop
	committed := make(chan error)
	go func() { committed <- w.commitAll(work) }()
	err = w.receiveAll(ctx, work, src)
	w.broken = err
	close(w.queue)
	if commitErr := <-committed; commitErr != nil {
		err = commitErr // then err is only its echo
	}
	u.row = w.row
	u.store.leave(ctx, w.row)
	return w.row.OffsetBytes - offset, err
}

func (u *upload) begin(ctx context.Context, offset int64) (*writer, error) {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	s := u.store
	if err := s.ask(ctx, u.row); err != nil {
		return nil, fmt.Errorf("ask holder: %w", err)
	}
	row, err := s.ledger.take(ctx, u.row, offset, s.id)
	if err != nil {
		return nil, fmt.Errorf("take upload: %w", err)
	}
	merge, err := s.ledger.remainder(ctx, row, s.cfg.PartBytes/8)
	if err != nil {
		return nil, err
	}
	u.row = row
	limit := s.cfg.MaxBytes
	switch {
	case row.SizeBytes != nil:
		limit = *row.SizeBytes
	case offset >= limit:
		return nil, handler.ErrMaxSizeExceeded
	}
	return &writer{
		store: s, row: row, keys: fmt.Sprintf("%s%d-", prefix(row), row.Epoch), left: limit - offset, head: make([]byte, headBytes), merge: merge,
		memory: s.memory.of(row.Tenant),
		check:  checkOf(ctx), checked: batch{end: offset},
		queue: make(chan *part, s.cfg.PartsInFlight-1), // one more is with commitAll
	}, nil
}

// receiveAll cuts src into parts and sends them. client ends when the client has gone, work when a part has failed.
func (w *writer) receiveAll(client, work context.Context, src io.Reader) error {
	for w.left > 0 {
		if work.Err() != nil {
			return context.Cause(work)
		}
		p, limit := w.next()
		err := p.receive(client, src, w.head, min(w.left, limit))
		if p.size > 0 {
			w.left -= p.size
			w.queue <- p // waits for a place in flight
			go w.send(work, p)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// next returns an empty part and how many bytes it should receive.
func (w *writer) next() (*part, int64) {
	w.seq++
	p := &part{
		memory: w.memory, done: make(chan struct{}), remainder: w.merge,
		key: fmt.Sprint(w.keys, w.seq),
	}
	limit := w.store.cfg.PartBytes
	if w.merge != nil {
		limit -= w.merge.SizeBytes
	}
	w.merge = nil
	return p, limit
}

func (w *writer) send(ctx context.Context, p *part) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	ctx, end := span.Begin(ctx, "store part")
	span.Count(ctx, "bytes", p.size)
	p.store(ctx, w.store.cfg.Bucket)
	end(p.err)
}

// commitAll records parts in their order until the queue is closed. After a failure it records no more, stops the others
// and waits for them; what they stored is swept, or deleted at once after a refusal for a limit.
func (w *writer) commitAll(ctx context.Context) (failure error) {
	for p := range w.queue {
		<-p.done
		if failure == nil {
			if failure = w.commit(ctx, p); failure != nil {
				w.stop(failure)
			}
		} else if p.err == nil {
			w.forget(ctx, failure, p.key)
		}
	}
	if w.check != nil {
		return w.commitChecked(ctx, failure)
	}
	return failure
}

// commit records a part that is stored, or has it wait for the check.
func (w *writer) commit(ctx context.Context, p *part) error {
	if p.err != nil {
		return p.err
	}
	if w.check != nil {
		w.checked.add(p, w.row.ID)
		return nil
	}
	one := batch{end: w.row.OffsetBytes}
	one.add(p, w.row.ID)
	return w.record(ctx, one)
}

// record moves the ledger over the parts of a batch.
func (w *writer) record(ctx context.Context, b batch) (err error) {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	ctx, end := span.Begin(ctx, "commit parts")
	defer func() { end(err) }()
	m := w.store.metrics
	row, err := w.store.ledger.advance(ctx, w.row, b.crc, b.rows...)
	if err != nil {
		if errors.Is(err, errFenced) {
			m.fenced.Inc()
		}
		w.forget(ctx, err, b.keys()...)
		return err
	}
	m.parts.Add(float64(len(b.rows)))
	m.stored.Add(float64(b.end - w.row.OffsetBytes))
	w.row = row
	if b.merged != "" { // not before its successor is recorded
		m.merges.Inc()
		w.store.discard(ctx, row.ID, b.merged)
	}
	return nil
}

// forget deletes objects that a limit's refusal has left in no manifest: else who is over a limit could store more with
// each repeat, until the upload ends and is swept.
func (w *writer) forget(ctx context.Context, failure error, keys ...string) {
	if _, refused := job.AsLimit(failure); !refused {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout) // ctx has ended with the first failure
	defer cancel()
	w.store.discard(ctx, w.row.ID, keys...)
}

// prefix returns what the keys of an upload's parts begin with. Behind it stand epoch and number: a key has one writer
// and is written by one request, so a late one of a writer that was stopped or killed lands where nobody reads.
func prefix(u db.Upload) string { return "uploads/" + u.Tenant + "/" + u.ID + "/" }

// composedKey is the key of the one object that the n-th composer of an upload makes of its parts. It has one writer, as
// those of the parts have.
func composedKey(u db.Upload, n int32) string { return fmt.Sprint(prefix(u), n, composedSuffix) }

func isComposed(key string) bool { return strings.HasSuffix(key, composedSuffix) }

const composedSuffix = "/file"
