package upload_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/tus/tusd/v2/pkg/handler"

	"sluice/internal/job"
	"sluice/internal/upload"
)

func (w *world) terminate(id string) error {
	w.Helper()
	u, err := w.store.GetUpload(w.Context(), id)
	if err != nil {
		return err
	}
	return w.store.AsTerminatableUpload(u).Terminate(w.Context())
}

// wantGone checks everything that holds of an upload that ended without its last byte.
func (w *world) wantGone(id string) {
	w.Helper()
	_, err := w.store.Info(w.Context(), job.DefaultTenant, id)
	w.wantError(err, upload.ErrGone)
	w.wantError(w.terminate(id), upload.ErrGone)
	j, err := w.jobs.Get(w.Context(), job.DefaultTenant, id)
	w.must(err)
	if j.State != job.Aborted || j.Error == nil || w.riverJobs(id) != 0 {
		w.Fatalf("job is %+v", j)
	}
	if keys := w.keys(id); len(keys) != 0 {
		w.Fatalf("objects %q are left", keys)
	}
}

func TestTerminate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create(1 << 20)
	_, err := w.patch(w.store, id, 0, bytes.NewReader(random(1, 600*kib)))
	w.must(err)
	w.must(w.terminate(id))
	w.wantGone(id)
}

func TestTerminateComplete(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, file := w.create(1000), random(1, 1000)
	_, err := w.patch(w.store, id, 0, bytes.NewReader(file))
	w.must(err)
	w.wantError(w.terminate(id), upload.ErrComplete)
	w.wantComplete(id, file)
}

// An upload that ends while it is being written takes nothing more, and what was under way is swept.
func TestTerminateWhileWriting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, file := w.create(600*kib), random(1, 600*kib)
	body, reached, resume := stalled(file[:300*kib], file[300*kib:])
	written := make(chan error, 1)
	go func() {
		_, err := w.patch(w.store, id, 0, body)
		written <- err
	}()
	<-reached
	w.must(w.terminate(id))
	close(resume)
	w.wantError(<-written, handler.ErrFileLocked)
	w.sweepLate(id)
	w.wantGone(id)
}

// sweepLate sweeps until nothing comes any more. A PUT that was given up may
// still be under way at the server: that is what the grace time is for.
func (w *world) sweepLate(id string) {
	w.Helper()
	for quiet := 0; quiet < 20; quiet++ {
		w.exec(`UPDATE uploads SET sweep_at = clock_timestamp() WHERE id = $1`, id)
		w.sweep()
		if len(w.keys(id)) > 0 {
			quiet = 0
		}
	}
}

// A job that ends by itself ends its upload with the last byte.
func TestAbortedJobTakesNoBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create(1000)
	tx, err := w.pool.Begin(t.Context())
	w.must(err)
	w.must(w.jobs.AbortTx(t.Context(), tx, id, "cancelled"))
	w.must(tx.Commit(t.Context()))
	_, err = w.patch(w.store, id, 0, bytes.NewReader(random(1, 1000)))
	w.wantError(err, upload.ErrGone)
	w.must(w.terminate(id))
	w.sweep() // of what was stored and never recorded
	w.wantGone(id)
}

func TestExpire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	expired, open, complete := w.create(1000), w.create(1000), w.create(0)
	_, err := w.patch(w.store, expired, 0, bytes.NewReader(random(1, 500)))
	w.must(err)
	before := w.info(expired).ExpiresAt
	if d := time.Until(before); d < 6*24*time.Hour || d > 8*24*time.Hour {
		t.Errorf("expires in %v", d)
	}
	w.exec(`UPDATE uploads SET expires_at = clock_timestamp() WHERE id = ANY($1)`, []string{expired, complete})
	_, err = w.store.GetUpload(t.Context(), expired)
	w.wantError(err, upload.ErrGone)
	for _, want := range []int{1, 0} {
		n, err := w.store.Expire(t.Context(), 10)
		w.must(err)
		if n != want {
			t.Errorf("%d expired, want %d", n, want)
		}
	}
	w.wantGone(expired)
	w.wantComplete(complete, nil)
	_, err = w.patch(w.store, open, 0, bytes.NewReader(random(1, 500)))
	w.must(err)
	if n := w.info(open).OffsetBytes; n != 500 {
		t.Errorf("offset is %d", n)
	}
}

func TestExpiryMovesWithEachPatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create(1000)
	w.exec(`UPDATE uploads SET expires_at = clock_timestamp() + interval '1 hour' WHERE id = $1`, id)
	before := w.info(id).ExpiresAt
	_, err := w.patch(w.store, id, 0, bytes.NewReader(nil))
	w.must(err)
	if after := w.info(id).ExpiresAt; !after.After(before) {
		t.Errorf("expires at %v, before the PATCH at %v", after, before)
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	open, complete, file := w.create(1000), w.create(1000), random(1, 1000)
	_, err := w.patch(w.store, complete, 0, bytes.NewReader(file))
	w.must(err)
	for _, id := range []string{open, complete} {
		_, err := w.bucket.Put(t.Context(), "uploads/default/"+id+"/0-7", []byte("stray"))
		w.must(err)
	}
	n, err := w.store.Sweep(t.Context(), 10)
	w.must(err)
	if n != 0 {
		t.Errorf("swept %d uploads within the grace time", n)
	}
	w.wantComplete(complete, file) // which sweeps
	if keys := w.keys(open); len(keys) != 1 {
		t.Errorf("an open upload was swept: %q", keys)
	}
	n, err = w.store.Sweep(t.Context(), 10)
	w.must(err)
	if n != 0 {
		t.Errorf("swept %d uploads again", n)
	}
}
