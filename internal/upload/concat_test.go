package upload_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/tus/tusd/v2/pkg/handler"
	"golang.org/x/sync/errgroup"

	"sluice/internal/job"
	"sluice/internal/upload"
)

// partial begins a partial upload and stores the bytes of it that are there.
func (w *world) partial(size int, body []byte) string {
	w.Helper()
	u, err := w.store.NewUpload(w.Context(), handler.FileInfo{Size: int64(size), IsPartial: true})
	w.must(err)
	info, err := u.GetInfo(w.Context())
	w.must(err)
	_, err = w.patch(w.store, info.ID, 0, bytes.NewReader(body))
	w.must(err)
	return info.ID
}

func (w *world) concat(ids ...string) string {
	w.Helper()
	info, err := w.store.Concat(w.Context(), upload.Final{Partials: ids, Header: "final;"})
	w.must(err)
	return info.ID
}

// wantFinal is wantComplete of a final upload, whose objects are its partial ones'.
func (w *world) wantFinal(id string, want []byte) {
	w.Helper()
	if info := w.info(id); !info.Complete || info.OffsetBytes != int64(len(want)) {
		w.Fatalf("upload is %+v", info)
	}
	if got := w.content(id); !bytes.Equal(got, want) {
		w.Fatalf("the %d bytes stored are not the %d sent", len(got), len(want))
	}
	if n := w.riverJobs(id); n != 1 {
		w.Fatalf("%d jobs are enqueued, want 1", n)
	}
}

// Whichever of many partial uploads is the last, and though all be finished at once, the final one is finished once.
func TestPartialsFinishedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for round := range 8 {
		const n = 5
		file := random(uint64(round), n*1000)
		ids := make([]string, n)
		for i := range ids {
			ids[i] = w.partial(1000, nil)
		}
		var group errgroup.Group
		for i, id := range ids {
			group.Go(func() error {
				u, err := w.store.GetUpload(t.Context(), id)
				if err != nil {
					return err
				}
				_, err = u.WriteChunk(t.Context(), 0, bytes.NewReader(file[i*1000:][:1000]))
				return err
			})
		}
		finals := make([]string, 2) // one may come before, one in between
		for i := range finals {
			group.Go(func() error {
				info, err := w.store.Concat(t.Context(), upload.Final{Partials: ids, Header: "final;"})
				finals[i] = info.ID
				return err
			})
		}
		w.must(group.Wait())
		for _, id := range finals {
			w.wantFinal(id, file)
		}
	}
}

// The bytes of a partial upload stay as long as a final one needs them, whatever becomes of itself, and no longer.
func TestPartialsAreCounted(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*world, string){
		"terminated": func(w *world, id string) { w.must(w.terminate(id)) },
		"expired": func(w *world, id string) {
			w.exec(`UPDATE uploads SET expires_at = clock_timestamp() WHERE id = $1`, id)
			_, err := w.store.Expire(w.Context(), 10)
			w.must(err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			file := random(1, 600*kib)
			a, b := w.partial(300*kib, file[:300*kib]), w.partial(300*kib, file[300*kib:500*kib])
			complete, open := w.concat(a), w.concat(a, b)
			end(w, a)
			_, err := w.store.Info(t.Context(), job.DefaultTenant, a)
			w.wantError(err, upload.ErrGone)
			w.sweep()
			w.wantFinal(complete, file[:300*kib])
			_, err = w.patch(w.store, b, 200*kib, bytes.NewReader(file[500*kib:]))
			w.must(err)
			w.wantFinal(open, file)
			for _, final := range []string{complete, open} { // as the deletion of their jobs does
				if len(w.keys(a)) != 2 {
					t.Fatalf("%q are left while they are needed", w.keys(a))
				}
				w.exec(`UPDATE uploads SET state = 'gone', sweep_at = clock_timestamp() WHERE id = $1`, final)
				w.sweep()
				w.sweep() // of what the first released
			}
			if keys := w.keys(a); len(keys) != 0 {
				t.Errorf("%q are left", keys)
			}
			if len(w.keys(b)) == 0 {
				t.Error("a partial upload that has not ended has lost its parts")
			}
		})
	}
}

// A final upload ends with the unfinished partial one that it waits for.
func TestFinalEndsWithItsPartial(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.partial(1000, random(1, 1000)), w.partial(1000, random(2, 500))
	final := w.concat(a, b, a)
	if info := w.info(final); info.SizeBytes != 3000 || info.Complete || info.OffsetBytes != 0 {
		t.Errorf("upload is %+v", info)
	}
	if mine, its := w.info(b).ExpiresAt, w.info(final).ExpiresAt; !mine.Equal(its) {
		t.Errorf("expires at %v, its partial upload at %v", its, mine)
	}
	w.must(w.terminate(b))
	w.wantGone(final)
	w.sweep()
	if keys := w.keys(b); len(keys) != 0 {
		t.Errorf("%q are left", keys)
	}
	w.must(w.terminate(a))
	if keys := w.keys(a); len(keys) != 0 {
		t.Errorf("%q are left", keys)
	}
}

// A final upload whose job was cancelled does not hinder its partial ones.
func TestCancelledFinal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.partial(1000, nil)
	final := w.concat(a)
	tx, err := w.pool.Begin(t.Context())
	w.must(err)
	w.must(w.jobs.AbortTx(t.Context(), tx, final, "cancelled"))
	w.must(tx.Commit(t.Context()))
	_, err = w.patch(w.store, a, 0, bytes.NewReader(random(1, 1000)))
	w.must(err)
	w.wantGone(final)
	if !w.info(a).Complete {
		t.Error("the partial upload has lost its bytes")
	}
}

func TestConcatTooLarge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *upload.Config) { c.MaxBytes = 1500 })
	a, b := w.partial(1000, random(1, 1000)), w.partial(1000, nil)
	_, err := w.store.Concat(t.Context(), upload.Final{Partials: []string{a, b}})
	w.wantError(err, handler.ErrMaxSizeExceeded)
	_, err = w.store.Concat(t.Context(), upload.Final{})
	if err == nil {
		t.Error("a list of nothing is taken")
	}
	_, err = w.store.Concat(job.WithTenant(t.Context(), "acme"), upload.Final{Partials: []string{a}})
	if err == nil {
		t.Error("another tenant's partial upload is taken")
	}
}

// A write with a check is all or nothing: no part is seen before the check, and none is left by one that fails.
func TestCheckedWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := random(3, 900*kib)
	id := w.create(int64(len(file)))
	_, err := w.patch(w.store, id, 0, bytes.NewReader(file[:20*kib])) // a remainder to merge
	w.must(err)
	before := w.keys(id)
	bad := errors.New("bad")
	for i, want := range []error{bad, nil} {
		u, err := w.store.GetUpload(t.Context(), id)
		w.must(err)
		n, err := u.WriteChunk(upload.WithCheck(t.Context(), func() error {
			if offset := w.info(id).OffsetBytes; offset != 20*kib {
				t.Errorf("offset is %d before the check", offset)
			}
			return want
		}), 20*kib, bytes.NewReader(file[20*kib:]))
		if want != nil {
			if err == nil || n != 0 || !slices.Equal(w.keys(id), before) {
				t.Fatal(fmt.Sprint("after ", i, ": ", n, err, w.keys(id)))
			}
			continue
		}
		w.must(err)
	}
	w.wantComplete(id, file)
}

// A part that cannot be stored makes a checked write fail as a whole.
func TestCheckedWriteWithoutS3(t *testing.T) {
	t.Parallel()
	w := newFaultyWorld(t, refused, 1, "PUT", "/1-2")
	file := random(4, 700*kib)
	id := w.create(int64(len(file)))
	write := func() error {
		u, err := w.store.GetUpload(t.Context(), id)
		w.must(err)
		_, err = u.WriteChunk(upload.WithCheck(t.Context(), func() error { return nil }), 0, bytes.NewReader(file))
		return err
	}
	w.wantError(write(), upload.ErrUnavailable)
	if offset := w.info(id).OffsetBytes; offset != 0 {
		t.Errorf("offset is %d", offset)
	}
	w.must(write())
	w.wantComplete(id, file)
}
