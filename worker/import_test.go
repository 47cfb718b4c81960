package worker_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/job"
	"sluice/internal/pipeline"
	"sluice/worker"
)

// imports takes a file in by the workers' pool and through the proxy.
func (w *world) imports(ctx context.Context, file io.Reader, edit ...func(*worker.Import)) (job.Job, error) {
	w.Helper()
	im, err := worker.NewImporter(worker.ImportConfig{Jobs: w.store(w.work), Bucket: w.proxied})
	w.must(err)
	settings, err := pipeline.ParseSettings("", "", "")
	w.must(err)
	in := worker.Import{Draft: job.Draft{Tenant: tenant, Filename: "july.csv"}, Settings: settings, Source: file}
	for _, e := range edit {
		e(&in)
	}
	return im.Import(ctx, in)
}

// An import ends as the worker's own job of the same bytes does, but for what tells
// the two apart; it is the same to its readers from the first moment on.
func TestImport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	imported, err := w.imports(t.Context(), strings.NewReader(strings.Join(csv, "")))
	w.must(err)
	if n := w.count("river_job WHERE kind = 'ingest'"); n != 0 {
		t.Errorf("%d workers were told of it", n)
	}
	if n := w.count("steps WHERE job_id = $1", imported.ID); n != 3 {
		t.Errorf("%d steps are kept, want those to UPLOAD_COMPLETE, IN_PROGRESS and JOB_COMPLETE", n)
	}
	if n := w.count("strays"); n != 0 {
		t.Errorf("the sweep will look for %d", n)
	}
	id := w.file(csv...)
	w.start()
	queued := w.ends(id)
	if queued.DuplicateOf != imported.ID || imported.Channel != job.ImportChannel || imported.Attempts != 1 {
		t.Errorf("same content as %q, want %q; channel %s, attempts %d", queued.DuplicateOf, imported.ID, imported.Channel, imported.Attempts)
	}
	ignore := cmp.Options{
		cmpopts.IgnoreFields(job.Job{}, "ID", "Channel", "Filename", "Worker", "DuplicateOf", "Version", "CreatedAt", "UpdatedAt", "StartedAt", "CompletedAt"),
		cmpopts.IgnoreFields(job.Result{}, "Duration"),
		cmpopts.IgnoreFields(job.Object{}, "Key"),
	}
	if diff := cmp.Diff(queued, imported, ignore); diff != "" {
		t.Errorf("the import differs from the worker's job:\n%s", diff)
	}
	if diff := cmp.Diff(w.offers(id), w.offers(imported.ID)); diff != "" {
		t.Errorf("offers differ:\n%s", diff)
	}
	if keys := w.results(imported.ID); len(keys) != 2 {
		t.Errorf("objects %q, want aggregates and rejects", keys)
	}
}

// A file's own fault is a job that says so, with its rejects; it is not tried
// again, for its bytes are nowhere.
func TestImportFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const file = "account_id,date,amount\nA,someday,1\n"
	j, err := w.imports(t.Context(), strings.NewReader(file))
	w.must(err)
	if j.State != job.Failed || j.Error == nil || j.CanRetry || j.Result == nil || j.Result.RowsRejected != 1 || j.RejectsByReason["bad_date"] != 1 || j.SizeBytes != int64(len(file)) {
		t.Errorf("ended as %+v", j)
	}
	if keys := w.results(j.ID); len(keys) != 1 || keys[0] != j.Result.Rejects.Key {
		t.Errorf("objects %q, want the rejects", keys)
	}
	if err := w.jobs.Retry(t.Context(), tenant, j.ID); !errors.Is(err, job.ErrNoSource) {
		t.Errorf("retry: %v, want ErrNoSource", err)
	}
	// What is no table fails at its beginning, and is measured to its end all the same.
	rest := strings.Repeat("x", 1<<20)
	if j, err = w.imports(t.Context(), strings.NewReader("\x00\x01\x02"+rest)); err != nil || j.State != job.Failed || j.SizeBytes != int64(3+len(rest)) || !j.Digested {
		t.Errorf("%v, ended as %+v", err, j)
	}
}

// Until its one transaction nobody can see that an import is under way, and what it
// has written is held against the sweep; a source that breaks leaves nothing.
func TestImportIsInvisible(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]error{"to its end": nil, "broken off": io.ErrUnexpectedEOF} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			source, file := io.Pipe()
			var wait sync.WaitGroup
			var imported job.Job
			var err error
			wait.Go(func() { imported, err = w.imports(t.Context(), source) })
			_, writeErr := io.WriteString(file, csv[0])
			w.must(writeErr)
			if n, held := w.count("jobs"), w.count("strays WHERE sweep_at > now()"); n != 0 || held != 1 {
				t.Errorf("%d jobs are seen and the objects of %d are held, want 0 and 1", n, held)
			}
			if broken == nil {
				_, writeErr = io.WriteString(file, csv[1])
				w.must(writeErr)
			}
			w.must(file.CloseWithError(broken))
			wait.Wait()
			if broken == nil {
				if err != nil || imported.State != job.JobComplete {
					t.Errorf("%s, %v", imported.State, err)
				}
				return
			}
			if !errors.Is(err, broken) || w.count("jobs") != 0 || w.count("offers") != 0 {
				t.Errorf("%v, and %d jobs", err, w.count("jobs"))
			}
			for o, err := range w.bucket.List(t.Context(), "results/") {
				t.Errorf("%s is left, %v", o.Key, err)
			}
		})
	}
}

// An import that was silent for too long has lost its objects, and so itself.
func TestImportLosesItsObjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var once sync.Once
	on := func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "aggregates.parquet") {
			once.Do(func() { w.exec("UPDATE strays SET sweep_at = now() - interval '1 hour'") })
		}
		return false
	}
	w.onS3.Store(&on)
	_, err := w.imports(t.Context(), strings.NewReader(strings.Join(csv, "")))
	if !errors.Is(err, job.ErrLostLease) || w.count("jobs") != 0 || w.count("offers") != 0 {
		t.Fatalf("%v, and %d jobs, want ErrLostLease and none", err, w.count("jobs"))
	}
	w.start()
	w.eventually("the sweep", func() bool {
		for range w.bucket.List(t.Context(), "results/") {
			return false
		}
		return w.count("strays") == 0
	})
}

// The import is done, but Postgres's answer to the commit is lost: it is found out,
// and the objects that its result names stay.
func TestImportWithoutAnswer(t *testing.T) {
	t.Parallel()
	var armed atomic.Bool
	w := newWorld(t, func(cfg *pgxpool.Config) {
		dial := cfg.ConnConfig.DialFunc
		cfg.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dial(ctx, network, addr)
			return &cutter{Conn: c, armed: &armed}, err
		}
	})
	j, err := w.imports(t.Context(), strings.NewReader(strings.Join(csv, "")), func(in *worker.Import) {
		in.Also = func(context.Context, pgx.Tx, worker.Imported) error { armed.Store(true); return nil }
	})
	if err != nil || armed.Load() {
		t.Fatalf("%v; armed still: %v", err, armed.Load())
	}
	if keys := w.results(j.ID); j.State != job.JobComplete || len(keys) != 2 {
		t.Errorf("%s with objects %q, want both that the result names", j.State, keys)
	}
}
