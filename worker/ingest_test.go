package worker_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/aggregate"
	"sluice/internal/blob"
	"sluice/internal/job"
	"sluice/worker"
)

func TestFileToOffers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.file(csv...)
	w.start()
	j := w.ends(id)
	if j.State != job.JobComplete || j.RowsAccepted != 4 || j.RowsRejected != 1 || j.Attempts != 1 || j.ProcessedBytes != j.SizeBytes {
		t.Fatalf("job = %+v, error %v", j, j.Error)
	}
	if !maps.Equal(j.RejectsByReason, map[string]int64{"bad_date": 1}) {
		t.Errorf("rejects by reason = %v", j.RejectsByReason)
	}
	if got := w.offers(id); !slices.Equal(got, []string{"A", "B"}) {
		t.Errorf("decisions for %q", got)
	}
	o := blob.Object(j.Result.Aggregates)
	file, err := aggregate.Open(w.bucket.ReaderAt(t.Context(), o), o.SizeBytes)
	w.must(err)
	rows, err := file.Page(nil, nil, 10)
	w.must(err)
	if len(rows) != 3 || rows[0].AccountID != "A" || rows[0].Count != 2 || rows[0].Total.String() != "750" {
		t.Errorf("aggregates = %+v", rows)
	}
	if got := w.read(j.Result.Rejects); strings.Count(got, "\n") != 2 || !strings.Contains(got, "someday") {
		t.Errorf("rejects = %q", got)
	}
	if keys := w.results(id); len(keys) != 2 {
		t.Errorf("objects %q", keys)
	}
}

func (w *world) read(o job.Object) string {
	w.Helper()
	in := w.bucket.Open(w.Context(), blob.Object(o))
	defer in.Close()
	body, err := io.ReadAll(in)
	w.must(err)
	return string(body)
}

// A file's own fault ends its job, with the rejects that say why.
func TestFileFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	for name, c := range map[string]struct {
		file, code string
		rejects    bool
	}{
		"empty":          {"", "empty_file", false},
		"no column":      {"a,b\n1,2\n", "missing_column", false},
		"no row is good": {"account_id,date,amount\nA,someday,1\nB,never,1\n", "no_valid_rows", true},
	} {
		id := w.file(slices.DeleteFunc([]string{c.file}, func(s string) bool { return s == "" })...)
		j := w.ends(id)
		if j.State != job.Failed || j.Error.Code != c.code {
			t.Errorf("%s: %s, %v", name, j.State, j.Error)
			continue
		}
		if (j.Result != nil && j.Result.Rejects.Key != "") != c.rejects {
			t.Errorf("%s: result %+v", name, j.Result)
		}
		if keys := w.results(id); len(keys) > 0 != c.rejects {
			t.Errorf("%s: objects %q", name, keys)
		}
	}
	if n := w.count("offers"); n != 0 {
		t.Errorf("%d offers", n)
	}
}

// A stored object that is not what was recorded fails the job; nothing is taken
// from it.
func TestSourceChanges(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(w *world, key string){
		"overwritten": func(w *world, key string) {
			_, err := w.bucket.Put(w.Context(), key, []byte(strings.Repeat("9", len(csv[1]))))
			w.must(err)
		},
		"deleted": func(w *world, key string) { w.must(w.bucket.Delete(w.Context(), key)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := w.file(csv...)
			g := w.gate(partKey(id, 1))
			w.start()
			<-g.reached
			change(w, partKey(id, 1))
			close(g.opened)
			j := w.ends(id)
			if j.State != job.Failed || j.Error.Code != "source_changed" || w.count("offers") != 0 {
				t.Errorf("%s, %v, %d offers", j.State, j.Error, w.count("offers"))
			}
		})
	}
}

// An attempt whose job another worker has by now changes nothing, and what it
// wrote is swept.
func TestLostLeaseChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.file(csv...)
	g := w.gate(partKey(id, 1))
	stop := w.start(func(c *worker.Config) { c.Concurrency = 1 }) // busy: it will not claim the job again
	<-g.reached
	lost := w.get(id)
	w.eventually("the lease's loss", func() bool {
		w.exec(`UPDATE jobs SET lease_expires_at = now() - interval '1 s' WHERE id = $1 AND state = 'IN_PROGRESS'`, id)
		_, err := w.jobs.Recover(t.Context(), 1, true)
		w.must(err)
		return w.get(id).State == job.UploadComplete // unless a heartbeat came in between
	})
	other, _, err := w.jobs.Claim(t.Context(), job.IngestArgs{JobID: id, Fence: lost.Fence + 1}, "another")
	w.must(err)
	close(g.opened)
	w.eventually("the attempt's end", func() bool {
		return w.count(`river_job WHERE kind = 'ingest' AND state = 'completed'`) >= 1
	})
	j := w.get(id)
	if j.Fence != other.Fence || j.State != job.InProgress || w.count("offers") != 0 || j.RowsAccepted != 0 {
		t.Errorf("after the lost attempt: %+v, %d offers", j, w.count("offers"))
	}
	stop()
	if _, err := w.bucket.Put(t.Context(), job.ResultPrefix(tenant, id)+"2/aggregates.parquet", []byte("left")); err != nil {
		t.Fatal(err)
	}
	w.must(w.jobs.Fail(t.Context(), other, job.Error{Code: "c", Message: "m"}, false, nil))
	w.start()
	w.eventually("the sweep", func() bool { return len(w.results(id)) == 0 })
}

// Sweeping keeps what a result names, and what the running attempt writes.
func TestSweepKeepsWhatIsInUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.file(csv...)
	stop := w.start()
	j := w.ends(id)
	named := w.results(id)
	left := job.ResultPrefix(tenant, id) + "1/aggregates.parquet"
	_, err := w.bucket.Put(t.Context(), left, []byte("left"))
	w.must(err)
	stop()
	w.exec(`INSERT INTO strays VALUES ($1, $2, now())`, id, tenant)
	w.start()
	w.eventually("the sweep", func() bool { return w.count("strays") == 0 })
	if got := w.results(id); !slices.Equal(got, named) || len(named) != 2 {
		t.Errorf("swept to %q, want the two of %+v", got, j.Result)
	}
}

// A worker that is told to stop hands its job back at once, and says so.
func TestReleaseOnShutdown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.file(csv...)
	g := w.gate(partKey(id, 1))
	stop := w.start()
	<-g.reached
	stop()
	j := w.get(id)
	if j.State != job.UploadComplete || !strings.Contains(j.WaitReason, "stopped") || !j.WaitUntil.IsZero() {
		t.Fatalf("after the stop: %s, waits because %q until %v", j.State, j.WaitReason, j.WaitUntil)
	}
	close(g.opened)
	w.start()
	if j := w.ends(id); j.State != job.JobComplete || j.Attempts != 2 || j.Deaths != 0 {
		t.Errorf("%s after %d attempts, %d deaths", j.State, j.Attempts, j.Deaths)
	}
}

// A store that does not answer costs the job nothing but time, and its user is
// told for what it waits.
func TestStoreAway(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]func(rw http.ResponseWriter, r *http.Request) bool{
		"refuses": func(rw http.ResponseWriter, _ *http.Request) bool {
			http.Error(rw, "away", http.StatusForbidden) // which the SDK does not repeat
			return true
		},
		"breaks off reads": func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet {
				panic(http.ErrAbortHandler)
			}
			return false
		},
		"breaks off writes": func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut {
				panic(http.ErrAbortHandler)
			}
			return false
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := w.file(csv...)
			w.onS3.Store(&away)
			w.start()
			j := w.await(id, "a wait, or an end", func(j job.Job) bool { return j.WaitReason != "" || j.State.Terminal() })
			if j.State != job.UploadComplete || !strings.Contains(j.WaitReason, "object store") || !j.WaitUntil.After(j.UpdatedAt) {
				t.Fatalf("%s, %v, waits because %q until %v", j.State, j.Error, j.WaitReason, j.WaitUntil)
			}
			w.onS3.Store(nil)
			if j := w.ends(id); j.State != job.JobComplete || j.WaitReason != "" || j.Deaths != 0 {
				t.Errorf("%s, %v, waits because %q", j.State, j.Error, j.WaitReason)
			}
		})
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	want := []time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second}
	for i, d := range want {
		if got := worker.Backoff(i + 1); got != d {
			t.Errorf("after %d attempts %v, want %v", i+1, got, d)
		}
	}
	for _, attempts := range []int{9, 100, 1 << 30} {
		if got := worker.Backoff(attempts); got != 5*time.Minute {
			t.Errorf("after %d attempts %v, want 5 minutes", attempts, got)
		}
	}
}

// Progress is shown while a job runs: rows, whatever becomes of them, and bytes,
// as read so far.
func TestProgress(t *testing.T) {
	t.Parallel()
	const rows = 100_000 // past the head of a file, which is read before its rows
	for name, c := range map[string]struct {
		rows     string // two of them
		accepted bool
		rejected map[string]bool // their reasons
	}{
		"accepted alone": {"A,2024-01-01,1.00\nA,2024-01-02,1.00\n", true, map[string]bool{}},
		"both":           {"A,2024-01-01,1.00\nA,2024-01-01,much\n", true, map[string]bool{"bad_amount": true}},
		"rejected alone": {"A,2024-13-01,1.00\nA,2024-01-01,much\n", false, map[string]bool{"bad_amount": true, "bad_date": true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := w.file("account_id,date,amount\n"+strings.Repeat(c.rows, rows/2), "B,2024-01-01,1.00\n")
			g := w.gate(partKey(id, 1))
			w.start()
			<-g.reached
			j := w.await(id, "progress", func(j job.Job) bool {
				return j.RowsAccepted > 0 == c.accepted && len(j.RejectsByReason) == len(c.rejected) && j.ProcessedBytes > 0
			})
			if j.State != job.InProgress || j.Stage != job.Parsing || j.RowsAccepted+j.RowsRejected > rows || j.ProcessedBytes > j.SizeBytes {
				t.Errorf("progress = %s, %s, %d rows, %d bytes", j.State, j.Stage, j.RowsAccepted, j.ProcessedBytes)
			}
			told := int64(0)
			for reason, n := range j.RejectsByReason {
				told += n
				if !c.rejected[reason] {
					t.Errorf("%d rows of %s", n, reason)
				}
			}
			if told != j.RowsRejected {
				t.Errorf("%d rejects, by reason %v", j.RowsRejected, j.RejectsByReason)
			}
			close(g.opened)
			if j = w.ends(id); j.State != job.JobComplete || j.RowsAccepted+j.RowsRejected != rows+1 {
				t.Errorf("%s, %v: %d and %d rows", j.State, j.Error, j.RowsAccepted, j.RowsRejected)
			}
		})
	}
}

// tracer sees the statement that stores a result, the last one of an attempt's
// transaction, before it is sent.
type tracer struct{ storing func() }

func (p *tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	if strings.Contains(q.SQL, "-- name: InsertResult") {
		p.storing()
	}
	return ctx
}

func (*tracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// A panic is a death. The first is not held against the file, for it may have
// been a neighbour's; after three alone the job is given up.
func TestPanics(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		panics, attempts, deaths int
		state                    job.State
	}{
		"once":    {1, 2, 0, job.JobComplete},
		"thrice":  {3, 4, 2, job.JobComplete},
		"for all": {99, 4, 3, job.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var left atomic.Int64
			left.Store(int64(c.panics))
			w := newWorld(t, func(cfg *pgxpool.Config) {
				cfg.ConnConfig.Tracer = &tracer{storing: func() {
					if left.Add(-1) >= 0 {
						panic("as asked")
					}
				}}
			})
			id := w.file(csv...)
			w.start()
			j := w.ends(id)
			if j.State != c.state || j.Attempts != c.attempts || j.Deaths != c.deaths {
				t.Errorf("%s after %d attempts, %d deaths; want %+v", j.State, j.Attempts, j.Deaths, c)
			}
			if j.State == job.Failed && j.Error.Code != "poison" {
				t.Errorf("failed for %v", j.Error)
			}
		})
	}
}

// A job that must be alone waits for its neighbours, and no other begins beside it.
func TestAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alone := w.file(csv...)
	l, _, err := w.jobs.Claim(t.Context(), job.IngestArgs{JobID: alone, Fence: w.get(alone).Fence}, "one that dies")
	w.must(err)
	w.must(w.jobs.Died(t.Context(), l))
	g := w.gate(partKey(alone, 1))
	w.start(func(c *worker.Config) { c.Concurrency = 3 })
	<-g.reached
	neighbour := w.file(csv...)
	w.eventually("the neighbour to be fetched", func() bool {
		return w.count(`river_job WHERE state = 'running' AND args->>'job_id' = $1`, neighbour) == 1
	})
	if j := w.get(neighbour); j.Attempts != 0 {
		t.Errorf("the neighbour was begun: %+v", j)
	}
	close(g.opened)
	for _, id := range []string{alone, neighbour} {
		if j := w.ends(id); j.State != job.JobComplete {
			t.Errorf("%s, %v", j.State, j.Error)
		}
	}
}

// cutter breaks a connection behind a commit that Postgres has done, so that
// its client does not learn of it.
type cutter struct {
	net.Conn
	armed *atomic.Bool
	cut   bool
}

func (c *cutter) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "commit\x00") && c.armed.CompareAndSwap(true, false) {
		c.cut = true
	}
	return c.Conn.Write(p)
}

func (c *cutter) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.cut && n > 0 {
		c.Conn.Close()
		return 0, errors.New("cut as asked")
	}
	return n, err
}

// TestCommitWithoutAnswer: the transaction that completes the job is done, but
// its worker does not hear so. What the result names must stay.
func TestCommitWithoutAnswer(t *testing.T) {
	t.Parallel()
	var stored, armed atomic.Bool
	w := newWorld(t, func(cfg *pgxpool.Config) {
		dial := cfg.ConnConfig.DialFunc
		cfg.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dial(ctx, network, addr)
			return &cutter{Conn: c, armed: &armed}, err
		}
		cfg.ConnConfig.Tracer = &tracer{storing: func() { armed.Store(stored.CompareAndSwap(false, true)) }}
	})
	id := w.file(csv...)
	// One at a time, so that the commit behind the statement is the job's own.
	w.start(func(c *worker.Config) { c.Concurrency = 1 })
	j := w.ends(id)
	w.eventually("the attempt's end", func() bool {
		return w.count(`river_job WHERE kind = 'ingest' AND state NOT IN ('running', 'available')`) == 1
	})
	if armed.Load() || !stored.Load() {
		t.Fatalf("no commit was cut: %s, %v, stored %v", j.State, j.Error, stored.Load())
	}
	if keys := w.results(id); j.State != job.JobComplete || len(keys) != 2 {
		t.Errorf("%s with objects %q, want both that the result names", j.State, keys)
	}
}

// Args that a newer build wrote wait for a newer worker.
func TestNewerArgs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.file(csv...)
	w.exec(`UPDATE river_job SET args = jsonb_set(args, '{version}', '99') WHERE args->>'job_id' = $1`, id)
	stop := w.start()
	w.eventually("the job to be put off", func() bool {
		return w.count(`river_job WHERE args->>'job_id' = $1 AND state = 'scheduled'`, id) == 1
	})
	if j := w.get(id); j.State != job.UploadComplete || j.Attempts != 0 {
		t.Errorf("%s after %d attempts", j.State, j.Attempts)
	}
	stop()
	w.exec(`UPDATE river_job SET args = jsonb_set(args, '{version}', '1'), scheduled_at = now() WHERE args->>'job_id' = $1`, id)
	w.start()
	if j := w.ends(id); j.State != job.JobComplete {
		t.Errorf("%s, %v", j.State, j.Error)
	}
}

// A kind of a newer build that announces a job cannot lose it either: River
// discards what it does not know, and the job is enqueued anew.
func TestNewerKind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.file(csv...)
	w.exec(`UPDATE river_job SET kind = 'ingest-of-tomorrow' WHERE args->>'job_id' = $1`, id)
	w.start()
	if j := w.ends(id); j.State != job.JobComplete {
		t.Errorf("%s, %v", j.State, j.Error)
	}
}
