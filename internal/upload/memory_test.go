package upload_test

import (
	"bytes"
	"context"
	"testing"

	"golang.org/x/sync/errgroup"

	"sluice/internal/upload"
)

// Many uploads share less memory than one of them would use: none waits for ever, and none takes more than there is.
func TestBudget(t *testing.T) {
	t.Parallel()
	const budget = 5 * 64 * kib
	w := newWorld(t, func(c *upload.Config) { c.BufferBytes = budget })
	var group errgroup.Group
	ids, file := make([]string, 12), random(9, 700*kib)
	for i := range ids {
		ids[i] = w.create(int64(len(file)))
		group.Go(func() error {
			src := bytes.NewReader(file)
			_, err := w.patch(w.store, ids[i], 0, readFunc(func(p []byte) (int, error) {
				if held := w.gauge("sluice_upload_buffer_bytes"); held > budget {
					t.Errorf("%v bytes are held", held)
				}
				return src.Read(p[:min(len(p), 20*kib)])
			}))
			return err
		})
	}
	w.must(group.Wait())
	for _, id := range ids {
		w.wantComplete(id, file)
	}
	if held := w.gauge("sluice_upload_buffer_bytes"); held != 0 {
		t.Errorf("%v bytes were not released", held)
	}
}

// A client holds memory for what it has sent, and none before.
func TestSlowClientHoldsLittle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, file := w.create(70*kib), random(1, 70*kib)
	src := bytes.NewReader(file)
	var sent int
	_, err := w.patch(w.store, id, 0, readFunc(func(p []byte) (int, error) {
		held := int(w.gauge("sluice_upload_buffer_bytes"))
		if want := min(sent, 1) * 64 * kib; sent < 64*kib && held != want {
			t.Errorf("%d bytes are held after %d", held, sent)
		}
		n, err := src.Read(p[:min(len(p), 10*kib)])
		sent += n
		return n, err
	}))
	w.must(err)
	w.wantComplete(id, file)
}

// Who waits for memory stops waiting when its client has gone.
func TestGoneClientDoesNotWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *upload.Config) { c.BufferBytes = 64 * kib })
	holder, waiter, file := w.create(1000), w.create(500), random(1, 1000)
	body, reached, resume := stalled(file[:500], file[500:])
	held := make(chan error, 1)
	go func() {
		_, err := w.patch(w.store, holder, 0, body)
		held <- err
	}()
	<-reached
	ctx, cancel := context.WithCancel(t.Context())
	u, err := w.store.GetUpload(ctx, waiter)
	w.must(err)
	src := bytes.NewReader(file[:500])
	_, err = u.WriteChunk(ctx, 0, readFunc(func(p []byte) (int, error) {
		cancel()
		return src.Read(p)
	}))
	w.wantError(err, upload.ErrUnavailable)
	close(resume)
	w.must(<-held)
	_, err = w.patch(w.store, waiter, 0, bytes.NewReader(file[:500]))
	w.must(err)
	w.wantComplete(waiter, file[:500])
	w.wantComplete(holder, file)
}
