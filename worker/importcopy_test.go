package worker_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"sluice/internal/blob"
	"sluice/internal/job"
	"sluice/internal/upload"
	"sluice/worker"
)

// keeping has an import keep its file.
func (w *world) keeping() func(*worker.Import) {
	w.Helper()
	uploads, err := upload.New(upload.Config{Pool: w.pool, Jobs: w.jobs, Bucket: w.bucket})
	w.must(err)
	return func(in *worker.Import) {
		in.Keep = func(ctx context.Context, tenant, id string) (worker.Keeper, error) {
			return uploads.Keep(ctx, tenant, id)
		}
	}
}

// An import that keeps its file is a job that can be tried again, by any worker.
func TestImportKeeps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rows := strings.Repeat("A,someday,1\n", 1<<20) // more than one part
	for name, file := range map[string]string{
		"complete": strings.Join(csv, ""),
		"failed":   "account_id,date,amount\n" + rows,
		"no table": "\x00\x01\x02" + rows,
		"empty":    "",
	} {
		j, err := w.imports(t.Context(), strings.NewReader(file), w.keeping())
		w.must(err)
		source, err := w.jobs.Source(t.Context(), j.Tenant, j.ID)
		w.must(err)
		objects := make([]blob.Object, len(source))
		for i, o := range source {
			objects[i] = blob.Object(o)
		}
		r := w.bucket.Open(t.Context(), objects...)
		kept, err := io.ReadAll(r)
		w.must(errors.Join(err, r.Close()))
		if string(kept) != file || w.count("uploads WHERE id = $1 AND state = 'complete' AND size_bytes = $2", j.ID, len(file)) != 1 {
			t.Errorf("%s: kept are %d bytes of %d", name, len(kept), len(file))
		}
		if name != "failed" {
			continue
		}
		w.must(w.jobs.Retry(t.Context(), tenant, j.ID))
		stop := w.start()
		again := w.await(j.ID, "the retry's end", func(now job.Job) bool { return now.State.Terminal() && now.Attempts == 2 })
		if again.State != job.Failed || again.Error.Code != j.Error.Code || again.RowsRejected != j.RowsRejected {
			t.Errorf("ended at first as %v and then as %v", j.Error, again.Error)
		}
		stop()
	}
}

// A source that breaks leaves nothing of its copy either.
func TestImportKeepsNothingOfABrokenFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	broken := io.MultiReader(strings.NewReader("account_id,date,amount\n"+strings.Repeat("A,2024-01-01,1\n", 1<<20)), failing{})
	if _, err := w.imports(t.Context(), broken, w.keeping()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("%v, want the source's own", err)
	}
	for o, err := range w.bucket.List(t.Context(), "") {
		t.Errorf("%s is left, %v", o.Key, err)
	}
	if n := w.count("jobs") + w.count("uploads WHERE state <> 'gone'"); n != 0 {
		t.Errorf("%d jobs and uploads are left", n)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
