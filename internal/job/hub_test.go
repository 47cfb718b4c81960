package job_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/job"
)

// run lets the hub run until the end of the test. Who listened before is woken
// by each of its connections.
func (f fixture) run(h *job.Hub) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.ctx())
	go func() { _ = h.Run(ctx) }()
	f.t.Cleanup(func() { cancel(); <-h.Done() })
}

// woken waits for a value, and fails the test when none comes.
func (f fixture) woken(wake <-chan struct{}) {
	f.t.Helper()
	select {
	case <-wake:
	case <-time.After(30 * time.Second):
		f.t.Fatal("not woken")
	}
}

func TestHubWakesItsListeners(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id, other := f.open(), f.open()
	h := job.NewHub(f.pool, nil)
	first, stopFirst := h.Listen(id)
	defer stopFirst()
	second, stopSecond := h.Listen(id)
	quiet, stopQuiet := h.Listen(other)
	defer stopQuiet()
	f.run(h)
	for _, ch := range []<-chan struct{}{first, second, quiet} {
		f.woken(ch)
	}
	f.tx(func(tx pgx.Tx) error { return f.EnqueueTx(t.Context(), tx, id, 1, 1) })
	f.woken(first)
	f.woken(second)
	stopSecond()
	f.claim(id)
	f.woken(first)
	for name, ch := range map[string]<-chan struct{}{"stopped": second, "other": quiet} {
		select {
		case <-ch:
			t.Errorf("the listener %s was woken", name)
		default:
		}
	}
}

// When the server was lost no request meets a connection that died with it.
func TestHubResetsThePool(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id := f.open()
	h := job.NewHub(f.pool, nil)
	wake, stop := h.Listen(id)
	defer stop()
	f.run(h)
	f.woken(wake)
	use := func() (errs error) {
		var conns []*pgxpool.Conn
		for range 4 {
			conn, err := f.pool.Acquire(t.Context())
			f.must(err)
			conns = append(conns, conn)
		}
		for _, conn := range conns {
			errs = errors.Join(errs, conn.QueryRow(t.Context(), `SELECT 1`).Scan(new(int)))
			conn.Release()
		}
		return errs
	}
	f.must(use())
	other, err := pgx.ConnectConfig(t.Context(), f.pool.Config().ConnConfig)
	f.must(err)
	defer other.Close(t.Context())
	_, err = other.Exec(t.Context(), `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()`)
	f.must(err)
	f.woken(wake) // by the next connection
	f.must(use())
}

// What is said on another channel is heard by the one connection there is, and
// after it was lost by the next.
func TestHubHearsAnotherChannel(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id := f.open()
	h := job.NewHub(f.pool, nil)
	wake, stop := h.Listen(id)
	defer stop()
	heard := make(chan string, 1)
	h.Also("another", func(payload string) { heard <- payload })
	f.run(h)
	for _, payload := range []string{"first", "second"} {
		f.woken(wake) // it listens
		f.exec(`SELECT pg_notify('another', $1)`, payload)
		if got := <-heard; got != payload {
			t.Errorf("heard %q", got)
		}
		var connections int
		f.must(f.pool.QueryRow(t.Context(), `SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
			WHERE query LIKE 'LISTEN%' AND datname = current_database()`).Scan(&connections))
		if connections != 1 {
			t.Errorf("%d connections listen", connections)
		}
	}
}

// A step that nobody was told of, for the connection was gone, wakes all the same.
func TestHubReconnects(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id := f.open()
	h := job.NewHub(f.pool, nil)
	wake, stop := h.Listen(id)
	defer stop()
	f.run(h)
	f.woken(wake)
	for range 3 {
		f.tx(func(tx pgx.Tx) error { // the notification goes out when the connection is dead
			_, err := tx.Exec(t.Context(), `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()`)
			if err != nil {
				return err
			}
			_, err = tx.Exec(t.Context(), `SELECT pg_notify('sluice_job', $1)`, id)
			return err
		})
		f.woken(wake)
	}
}

// Whatever snapshots a listener happens to read, it is told of every step once,
// in order, as it was.
func TestEventsAfter(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id := f.open()
	var snapshots []job.Job
	look := func() { snapshots = append(snapshots, f.get(id)) }
	look()
	f.tx(func(tx pgx.Tx) error { return f.EnqueueTx(t.Context(), tx, id, 1000, 1) })
	look()
	l := f.claim(id)
	look()
	for n := range int64(3) {
		f.must(f.Progress(t.Context(), l, job.Progress{Stage: job.Parsing, ProcessedBytes: 100 * n}))
		look()
	}
	f.must(f.Release(t.Context(), l, "test", 0))
	look()
	last := f.claim(id)
	f.must(f.Progress(t.Context(), last, job.Progress{Stage: job.Parsing, RowsRejected: 2, RejectsByReason: map[string]int64{"bad_date": 2}}))
	f.must(f.Fail(t.Context(), last, job.Error{Code: "empty_file", Message: "The file is empty."}, true, nil))
	look()

	want := []job.State{job.UploadComplete, job.InProgress, job.UploadComplete, job.InProgress, job.Failed}
	for from, first := range snapshots {
		for to := from; to < len(snapshots); to++ {
			steps, after := []job.State{}, first.Version
			for _, s := range []job.Job{snapshots[to], snapshots[len(snapshots)-1]} {
				events, err := f.EventsAfter(t.Context(), s, after)
				f.must(err)
				for _, e := range events {
					if e.Version <= after {
						t.Fatalf("version %d after %d", e.Version, after)
					}
					after = e.Version
					if e.Step {
						steps = append(steps, e.State)
					}
				}
			}
			passed := map[job.State]int{job.Open: 0, job.UploadComplete: 1, job.InProgress: 2, job.Failed: 5}[first.State]
			if first.State == job.UploadComplete && first.Attempts > 0 {
				passed = 3
			}
			if diff := cmp.Diff(want[passed:], steps); diff != "" {
				t.Errorf("from snapshot %d by %d: %s", from, to, diff)
			}
		}
	}
	events, err := f.EventsAfter(t.Context(), snapshots[len(snapshots)-1], 0)
	f.must(err)
	if e := events[0]; e.State != job.UploadComplete || e.Error != nil || !e.CompletedAt.IsZero() || e.SizeBytes != 1000 || len(e.RejectsByReason) != 0 {
		t.Errorf("the first step reads %+v", e)
	}
	if e := events[len(events)-1]; e.Error == nil || e.Error.Code != "empty_file" || !e.CanRetry || e.CompletedAt.IsZero() || e.RejectsByReason["bad_date"] != 2 {
		t.Errorf("the last step reads %+v", e)
	}
}
