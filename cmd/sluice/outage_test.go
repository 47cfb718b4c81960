package main_test

import (
	"context"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// holdReads makes workers wait before they read an object whose key has part in
// it, until open is called, and tells of each read that waits.
func (f *fleet) holdReads(part string) (reached <-chan struct{}, open func()) {
	at, opened := make(chan struct{}), make(chan struct{})
	hold := func(r *http.Request) {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, part) {
			return
		}
		gone := r.Context().Done() // its worker was killed, or gave up
		select {
		case at <- struct{}{}:
		case <-opened:
		case <-gone:
		}
		select {
		case <-opened:
		case <-gone:
		}
	}
	f.door.onRequest.Store(&hold)
	return at, func() { close(opened) }
}

// alone sends a file and returns its job once it is tried alone, which it is
// after its first worker was killed.
func (f *fleet) alone(reached <-chan struct{}) (id string) {
	f.Helper()
	id = f.send(newSample(f, 500))
	<-reached
	f.kill(0)
	<-reached
	var solitary bool
	if f.ask(&solitary, `SELECT solitary FROM jobs WHERE id = $1`, id); !solitary {
		f.Fatal("the job is not alone in its process")
	}
	return id
}

// outage is how long a server is away: longer than a lease, or SLUICE_OUTAGE.
func outage(t testing.TB) time.Duration {
	t.Helper()
	long := os.Getenv("SLUICE_OUTAGE")
	if long == "" {
		return fleetLease * 3 / 2
	}
	away, err := time.ParseDuration(long)
	if err != nil {
		t.Fatal(err)
	}
	return away
}

// TestS3Away: while S3 is away jobs wait, and their users are told for what; when
// it is back they go on by themselves, and no attempt was a death.
func TestS3Away(t *testing.T) {
	t.Parallel()
	f, file := newFleet(t), newSample(t, 500)
	f.ended(f.send(file)) // a worker that finds no S3 at its start gives up
	f.door.shut.Store(true)
	id := f.send(file)
	<-time.After(outage(t)) // the fault itself
	eventually(t, "the reason why the job waits", func(context.Context) bool {
		var told bool
		f.ask(&told, `SELECT wait_reason LIKE '%object store%' AND wait_until > updated_at FROM jobs WHERE id = $1`, id)
		return told
	})
	f.door.shut.Store(false)
	if state := f.awaitEnd(id); state != "JOB_COMPLETE" {
		t.Errorf("the job is %s", state)
	}
	f.checkSums(file, id)
	var deaths int
	if f.ask(&deaths, `SELECT deaths FROM jobs WHERE id = $1`, id); deaths != 0 {
		t.Errorf("%d deaths", deaths)
	}
}

// TestPostgresAway: while Postgres is away for longer than a lease no lease can
// be renewed, and none is taken for lost when it is back.
func TestPostgresAway(t *testing.T) {
	t.Parallel()
	f := newMortalFleet(t)
	f.end(1)
	f.workers, f.gone = f.workers[:1], f.gone[:1]
	reached, open := f.holdReads("/uploads/")
	id := f.alone(reached)
	f.endPostgres(outage(t))
	var attempts, deaths int
	eventually(t, "the lease to be renewed, or lost", func(context.Context) bool {
		var settled bool
		f.ask(&settled, `SELECT coalesce(lease_expires_at > clock_timestamp(), true) FROM jobs WHERE id = $1`, id)
		return settled
	})
	open()
	state, code := f.ended(id)
	f.ask(&attempts, `SELECT attempts FROM jobs WHERE id = $1`, id)
	f.ask(&deaths, `SELECT deaths FROM jobs WHERE id = $1`, id)
	if state != "JOB_COMPLETE" || attempts != 2 || deaths != 0 {
		t.Errorf("%s %s after %d attempts and %d deaths, want the one that was under way", state, code, attempts, deaths)
	}
}

// TestFrozenWorkerIsNoDeath: a worker that was stopped past its lease, and goes
// on, takes its death back. What it held was not what ended it.
func TestFrozenWorkerIsNoDeath(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.end(1)
	f.workers, f.gone = f.workers[:1], f.gone[:1]
	reached, open := f.holdReads("/uploads/")
	id := f.alone(reached)
	f.signal(0, syscall.SIGSTOP)
	f.work(1) // by which it is recovered
	count := func(want int) func(context.Context) bool {
		return func(context.Context) bool {
			var deaths int
			f.ask(&deaths, `SELECT deaths FROM jobs WHERE id = $1`, id)
			return deaths == want
		}
	}
	eventually(t, "the stopped worker to be counted dead", count(1))
	f.signal(0, syscall.SIGCONT)
	eventually(t, "its death to be taken back", count(0))
	open()
	if state, code := f.ended(id); state != "JOB_COMPLETE" {
		t.Errorf("%s %s", state, code)
	}
}
