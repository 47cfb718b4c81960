package upload_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/tus/tusd/v2/pkg/handler"

	"sluice/internal/job"
	"sluice/internal/upload"
)

func (w *world) begin() *upload.Intake {
	w.Helper()
	in, err := w.store.Begin(w.Context(), job.Draft{ID: job.NewID(), Tenant: job.DefaultTenant, Channel: "test"})
	w.must(err)
	return in
}

func (w *world) wantAborted(id string) {
	w.Helper()
	j, err := w.jobs.Get(w.Context(), job.DefaultTenant, id)
	w.must(err)
	if j.State != job.Aborted || w.riverJobs(id) != 0 {
		w.Fatalf("job is %s", j.State)
	}
	if keys := w.keys(id); len(keys) > 0 {
		w.Fatalf("objects are left: %q", keys)
	}
}

// An intake becomes a job whole, or is as if it had never been.
func TestIntake(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	content := bytes.Repeat([]byte("0123456789abcdef"), 50*kib) // several parts
	in := w.begin()
	w.must(in.Write(t.Context(), bytes.NewReader(content[:100])))
	w.must(in.Write(t.Context(), bytes.NewReader(content[100:])))
	gone, cancel := context.WithCancel(t.Context())
	cancel() // the client has all but the answer
	w.must(in.Finish(gone, &job.Draft{ID: in.ID(), Tenant: job.DefaultTenant, Filename: "late.csv"}, nil))
	in.Abort(t.Context(), "too late")
	j, err := w.jobs.Get(t.Context(), job.DefaultTenant, in.ID())
	w.must(err)
	if j.State != job.UploadComplete || j.Filename != "late.csv" || j.SizeBytes != int64(len(content)) || w.riverJobs(in.ID()) != 1 {
		t.Fatalf("job is %+v", j)
	}
	if !bytes.Equal(w.content(in.ID()), content) {
		t.Fatal("the bytes stored are not those sent")
	}
	_, err = w.store.Info(t.Context(), job.DefaultTenant, in.ID())
	w.wantError(err, handler.ErrNotFound) // it is not tus's
}

func TestIntakeThatBreaks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *upload.Config) { c.MaxBytes = 1000 * kib })
	in, broken := w.begin(), errors.New("broken")
	w.wantError(in.Write(t.Context(), io.MultiReader(strings.NewReader(strings.Repeat("x", 600*kib)), iotest.ErrReader(broken))), broken)
	in.Abort(t.Context(), "It broke.")
	w.wantAborted(in.ID())

	in = w.begin()
	w.wantError(in.Write(t.Context(), strings.NewReader(strings.Repeat("x", 1000*kib+1))), handler.ErrMaxSizeExceeded)
	in.Abort(t.Context(), "It is too large.")
	w.wantAborted(in.ID())

	in = w.begin()
	w.must(in.Write(t.Context(), strings.NewReader(strings.Repeat("x", 300*kib))))
	refused := errors.New("refused")
	w.wantError(in.Finish(t.Context(), nil, func(pgx.Tx) error { return refused }), refused)
	in.Abort(t.Context(), "It was refused.")
	w.wantAborted(in.ID())

	in = w.begin()
	w.must(w.store.Cancel(t.Context(), job.DefaultTenant, in.ID()))
	w.wantError(in.Write(t.Context(), strings.NewReader("x")), upload.ErrGone)
	w.wantError(in.Finish(t.Context(), nil, nil), upload.ErrGone)
	in.Abort(t.Context(), "It was cancelled.")
	w.wantAborted(in.ID())
}

// An intake whose process has died expires; one that goes on does not.
func TestIntakeExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *upload.Config) { c.StreamExpiry = 3 * time.Second })
	dead, alive := w.begin(), w.begin()
	w.must(dead.Write(t.Context(), strings.NewReader("account_id")))
	upload.StopRenewing(dead)
	for n := 0; n == 0; {
		var err error
		n, err = w.store.Expire(t.Context(), 10)
		w.must(err)
	}
	w.wantAborted(dead.ID())
	w.must(alive.Write(t.Context(), strings.NewReader("account_id")))
	w.must(alive.Finish(t.Context(), nil, nil))
}
