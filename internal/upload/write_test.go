package upload_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/sync/errgroup"

	"github.com/tus/tusd/v2/pkg/handler"

	"sluice/internal/upload"
)

// Whatever the sizes of the PATCHes, and wherever they break, the bytes stored are the bytes sent.
func TestRandomPatches(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for seed := range uint64(24) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := *w
			w.TB = t
			r := rand.New(rand.NewPCG(seed, 0))
			file := random(seed, r.IntN(2<<20))
			id := w.create(-1)
			declareAt := r.IntN(len(file) + 1)
			declared := false
			for at := 0; at < len(file) || !declared; {
				if at >= declareAt && !declared {
					u, err := w.store.GetUpload(t.Context(), id)
					w.must(err)
					w.must(w.store.AsLengthDeclarableUpload(u).DeclareLength(t.Context(), int64(len(file))))
					declared = true
				}
				size := min(r.IntN(1<<r.IntN(22)), len(file)-at)
				n, err := w.patch(w.store, id, int64(at), body(r, file[at:at+size]))
				w.must(err)
				at += size
				if info := w.info(id); n != int64(size) || info.OffsetBytes != int64(at) {
					t.Fatalf("%d bytes sent, %d acknowledged, offset %d instead of %d", size, n, info.OffsetBytes, at)
				}
			}
			w.wantComplete(id, file)
			if parts, most := len(w.source(id)), len(file)/(32*kib)+1; parts > most {
				t.Errorf("%d bytes lie in %d parts, want %d at most", len(file), parts, most)
			}
		})
	}
	t.Cleanup(func() {
		if held := w.gauge("sluice_upload_buffer_bytes"); held != 0 {
			t.Errorf("%v bytes of memory were not released", held)
		}
	})
}

// body reads in pieces of one kind or another.
func body(r *rand.Rand, p []byte) io.Reader {
	b := bytes.NewReader(p)
	switch r.IntN(4) {
	case 0:
		return iotest.HalfReader(b)
	case 1:
		return iotest.DataErrReader(b)
	case 2:
		return readFunc(func(q []byte) (int, error) { return b.Read(q[:min(len(q), r.IntN(5000))]) }) // also 0, nil
	}
	return b
}

func TestEmptyUpload(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.wantComplete(w.create(0), nil)
}

func TestDeferredLength(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, file := w.create(-1), random(1, 1000)
	_, err := w.patch(w.store, id, 0, bytes.NewReader(file))
	w.must(err)
	u, err := w.store.GetUpload(t.Context(), id)
	w.must(err)
	declare := w.store.AsLengthDeclarableUpload(u).DeclareLength
	w.wantError(declare(t.Context(), 999), handler.ErrInvalidUploadLength)
	w.must(declare(t.Context(), 1000))
	// tusd goes on with the body and the end of that PATCH.
	n, err := u.WriteChunk(t.Context(), 1000, strings.NewReader(""))
	w.must(err)
	w.must(u.FinishUpload(t.Context()))
	if n != 0 {
		t.Errorf("wrote %d bytes", n)
	}
	w.wantError(declare(t.Context(), 1000), handler.ErrInvalidUploadLength)
	w.wantComplete(id, file)
}

func TestMaxBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *upload.Config) { c.MaxBytes = 1000 })
	_, err := w.store.NewUpload(t.Context(), handler.FileInfo{Size: 1001})
	w.wantError(err, handler.ErrMaxSizeExceeded)
	id := w.create(-1)
	n, err := w.patch(w.store, id, 0, bytes.NewReader(random(1, 2000)))
	w.must(err)
	if n != 1000 {
		t.Errorf("took %d bytes, want 1000", n)
	}
	_, err = w.patch(w.store, id, 1000, bytes.NewReader(random(1, 1)))
	w.wantError(err, handler.ErrMaxSizeExceeded)
	u, err := w.store.GetUpload(t.Context(), id)
	w.must(err)
	w.wantError(w.store.AsLengthDeclarableUpload(u).DeclareLength(t.Context(), 1001), handler.ErrMaxSizeExceeded)
}

func TestWrongOffset(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create(10)
	for _, offset := range []int64{1, 10} {
		n, err := w.patch(w.store, id, offset, strings.NewReader("x"))
		w.wantError(err, handler.ErrMismatchOffset)
		if n != 0 {
			t.Errorf("ledger moved by %d", n)
		}
	}
}

func TestManyUploadsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var group errgroup.Group
	ids, file := make([]string, 24), random(3, 700*kib)
	for i := range ids {
		ids[i] = w.create(int64(len(file)))
		group.Go(func() error {
			_, err := w.patch(w.store, ids[i], 0, bytes.NewReader(file))
			return err
		})
	}
	w.must(group.Wait())
	for _, id := range ids {
		w.wantComplete(id, file)
	}
}

// A client that tries with every byte it can to leave small parts behind does not.
func TestRemaindersAreMerged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := random(4, 300*kib)
	id := w.create(int64(len(file)))
	for at := 0; at < len(file); at += 10 * kib {
		_, err := w.patch(w.store, id, int64(at), bytes.NewReader(file[at:at+10*kib]))
		w.must(err)
	}
	if n := len(w.keys(id)); n != 8 { // of 40 KiB, the first multiple that is not below an eighth of a part
		t.Errorf("%d objects are stored, want 8", n)
	}
	w.wantComplete(id, file)
}
