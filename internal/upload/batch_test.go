package upload_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/tus/tusd/v2/pkg/handler"

	"sluice/internal/job"
	"sluice/internal/upload"
)

// chunk stores a batch of a session and says what a door would.
func (w *world) chunk(store *upload.Store, session string, number, total int, content string) (upload.Batched, error) {
	w.Helper()
	in, err := store.BeginBatch(w.Context(), job.DefaultTenant)
	w.must(err)
	w.must(in.Write(w.Context(), strings.NewReader(content)))
	return in.Accept(w.Context(), upload.Batch{
		Session: session, Draft: job.Draft{Tenant: job.DefaultTenant, Channel: "test"}, Number: number, Total: total,
		Records: int64(strings.Count(content, "\n")), Digest: sha256.Sum256([]byte(content)), Header: []byte("h\n"),
	}, nil)
}

// wantJob checks that the job is enqueued, once, with want in the order of the batches.
func (w *world) wantJob(id, want string) {
	w.Helper()
	j, err := w.jobs.Get(w.Context(), job.DefaultTenant, id)
	w.must(err)
	if j.State != job.UploadComplete || j.SizeBytes != int64(len(want)) || w.riverJobs(id) != 1 {
		w.Fatalf("job is %+v, with %d river jobs", j, w.riverJobs(id))
	}
	if got := string(w.content(id)); got != want {
		w.Fatalf("stored is %.100q, want %.100q", got, want)
	}
}

// Batches that come in any order, at once, by two gateways and more than once make one job of each of them once.
func TestBatches(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rival, _ := w.open(w.cfg)
	const total = 12
	var want strings.Builder
	contents := make([]string, total)
	for i := range contents {
		contents[i] = strings.Repeat(fmt.Sprintf("row of %d\n", i+1), 1+i*3000) // the larger ones in two parts
		want.WriteString(contents[i])
	}
	var all sync.WaitGroup
	for round := range 3 {
		for i, content := range contents {
			store := []*upload.Store{w.store, rival}[(i+round)%2]
			all.Go(func() {
				b, err := w.chunk(store, "s", i+1, total, content)
				if err != nil || b.Session != "s" || b.Total != total || b.Complete != (b.Missing == total+1) {
					t.Errorf("batch %d: %+v, %v", i+1, b, err)
				}
			})
		}
	}
	all.Wait()
	b, err := w.store.BatchedOf(t.Context(), job.DefaultTenant, "", "s")
	w.must(err)
	numbers, err := w.store.Numbers(t.Context(), job.DefaultTenant, b.ID)
	w.must(err)
	if !b.Complete || b.Received != total || b.Records != int64(strings.Count(want.String(), "\n")) || b.SizeBytes != int64(want.Len()) || len(numbers) != total || !slices.IsSorted(numbers) {
		t.Fatalf("%+v, numbers %v", b, numbers)
	}
	w.sweep()
	w.wantJob(b.ID, want.String())
	_, err = w.store.Info(t.Context(), job.DefaultTenant, b.ID)
	w.wantError(err, handler.ErrNotFound) // it is not tus's
	if again, err := w.chunk(rival, "s", 3, total, contents[2]); err != nil || again != b {
		t.Errorf("a repeat after the last: %+v, %v", again, err)
	}
	_, err = w.chunk(rival, "s", 3, total, "other\n")
	w.wantError(err, upload.ErrBatchChanged)

	// Composed, they are one object, and nothing else is left.
	w.exec("UPDATE jobs SET state = 'JOB_COMPLETE', completed_at = now() WHERE id = $1", b.ID)
	if n, err := w.store.Compose(t.Context(), 10); err != nil || n != 1 {
		t.Fatalf("composed %d, %v", n, err)
	}
	w.sweep()
	if got := string(w.content(b.ID)); got != want.String() {
		t.Error("composing changed the file")
	}
	if keys := w.all(); len(keys) != 1 {
		t.Errorf("objects are %q", keys)
	}
}

// all lists the keys of every upload.
func (w *world) all() (keys []string) {
	w.Helper()
	for o, err := range w.bucket.List(w.Context(), "uploads/") {
		w.must(err)
		keys = append(keys, o.Key)
	}
	return keys
}

// What contradicts what was said before is refused and leaves nothing.
func TestBatchesThatContradict(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *upload.Config) { c.MaxBytes = 100 })
	for _, c := range []struct {
		session       string
		number, total int
		content       string
		want          error
	}{
		{"s", 2, 3, "b\n", nil},
		{"s", 2, 3, "x\n", upload.ErrBatchChanged},
		{"s", 1, 4, "a\n", upload.ErrTotalChanged},
		{"s", 4, 3, "a\n", upload.ErrBatchNumber},
		{"s", 0, 3, "a\n", upload.ErrBatchNumber},
		{"new", 4, 3, "a\n", upload.ErrBatchNumber},
		{"s", 1, 3, strings.Repeat("a", 97), handler.ErrMaxSizeExceeded},
		{"s", 2, 3, "b\n", nil},
	} {
		if _, err := w.chunk(w.store, c.session, c.number, c.total, c.content); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	b, err := w.store.BatchedOf(t.Context(), job.DefaultTenant, "", "s")
	w.must(err)
	if b.Received != 1 || b.Missing != 1 || b.SizeBytes != 2 || len(w.all()) != 1 {
		t.Errorf("%+v, objects %q", b, w.all())
	}
	_, err = w.store.BatchedOf(t.Context(), "others", "", "s")
	w.wantError(err, job.ErrNotFound)
	_, err = w.store.BatchedOf(t.Context(), job.DefaultTenant, "", "new")
	w.wantError(err, job.ErrNotFound)
}

// A session that nobody goes on with ends with all that had come, and its name stays used.
func TestSessionExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b, err := w.chunk(w.store, "s", 1, 2, "a\n")
	w.must(err)
	w.exec("UPDATE uploads SET expires_at = clock_timestamp() WHERE id = $1", b.ID)
	_, err = w.chunk(w.store, "s", 2, 2, "b\n")
	w.wantError(err, upload.ErrGone)
	if n, err := w.store.Expire(t.Context(), 10); err != nil || n != 1 {
		t.Fatalf("expired %d, %v", n, err)
	}
	w.sweep()
	w.wantAborted(b.ID)
	if keys := w.all(); len(keys) > 0 {
		t.Errorf("objects are left: %q", keys)
	}
	_, err = w.chunk(w.store, "s", 2, 2, "b\n")
	w.wantError(err, upload.ErrGone)
}

// Whose process dies before a batch is accepted leaves the batch to its repeat; and nobody removes an accepted one whose
// answer was lost.
func TestBatchOfDeadProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dead, err := w.store.BeginBatch(t.Context(), job.DefaultTenant)
	w.must(err)
	w.must(dead.Write(t.Context(), strings.NewReader("a\n")))
	upload.StopRenewing(dead)
	b, err := w.chunk(w.store, "s", 1, 1, "a\n")
	w.must(err)
	w.exec("UPDATE uploads SET expires_at = clock_timestamp()")
	if n, err := w.store.Expire(t.Context(), 10); err != nil || n != 1 {
		t.Fatalf("expired %d, %v", n, err)
	}
	w.sweep()
	w.wantJob(b.ID, "a\n")
	if keys := w.all(); len(keys) != 1 {
		t.Errorf("objects are %q", keys)
	}
	in, err := w.store.BeginBatch(t.Context(), job.DefaultTenant)
	w.must(err)
	w.must(in.Write(t.Context(), strings.NewReader("b\n")))
	b, err = in.Accept(t.Context(), upload.Batch{
		Session: "t", Draft: job.Draft{Tenant: job.DefaultTenant, Channel: "test"}, Number: 1, Total: 1, Digest: sha256.Sum256([]byte("b\n")), Header: []byte("h\n"),
	}, nil)
	w.must(err)
	in.Abort(t.Context(), "the answer was lost")
	w.sweep()
	w.wantJob(b.ID, "b\n")
}

// A job whose client says when it is whole gets its header in front; what came with a failed step is as if it had not.
func TestComplete(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := job.Draft{ID: job.NewID(), Tenant: job.DefaultTenant, Channel: "test", CreditConfig: `{"a":1}`}
	_, err := w.store.OpenBatched(t.Context(), d, "csv", nil, nil)
	w.must(err)
	send := func(number int, header, content string, step error) error {
		in, err := w.store.BeginBatch(t.Context(), job.DefaultTenant)
		w.must(err)
		w.must(in.Write(t.Context(), strings.NewReader(content)))
		_, err = in.Accept(t.Context(), upload.Batch{
			Job: d.ID, Draft: job.Draft{Tenant: job.DefaultTenant}, Number: number, Digest: sha256.Sum256([]byte(content)), Header: []byte(header),
		}, func(upload.Batched) func(pgx.Tx) error { return func(pgx.Tx) error { return step } })
		return err
	}
	_, err = w.store.Complete(t.Context(), job.DefaultTenant, d.ID, nil)
	w.wantError(err, upload.ErrNoBatches)
	n, err := w.store.TakeNumber(t.Context(), job.DefaultTenant, d.ID)
	w.must(err)
	w.must(send(7, "h\n", "seven\n", nil))
	w.must(send(n, "h\n", "one\n", nil))
	refused := errors.New("refused")
	w.wantError(send(9, "h\n", "nine\n", refused), refused)
	w.wantError(send(9, "other\n", "nine\n", nil), upload.ErrHeaderChanged)
	w.must(send(9, "h\n", "", nil))
	if n, err = w.store.TakeNumber(t.Context(), job.DefaultTenant, d.ID); n != 10 || err != nil {
		t.Errorf("number %d behind 9, %v", n, err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if b, err := w.store.Complete(t.Context(), job.DefaultTenant, d.ID, nil); err != nil || !b.Complete || b.Received != 3 {
				t.Errorf("%+v, %v", b, err)
			}
		})
	}
	all.Wait()
	w.sweep()
	w.wantJob(d.ID, "h\none\nseven\n")
	w.wantError(send(8, "h\n", "eight\n", nil), upload.ErrBatchesComplete)
	w.must(send(7, "h\n", "seven\n", nil))
	if j, err := w.jobs.Get(t.Context(), job.DefaultTenant, d.ID); err != nil || j.CreditConfig != d.CreditConfig {
		t.Errorf("job is %+v, %v", j.Draft, err)
	}
	w.must(w.store.Delete(t.Context(), job.DefaultTenant, d.ID))
	w.sweep()
	if keys := w.all(); len(keys) > 0 {
		t.Errorf("objects are left: %q", keys)
	}
}
