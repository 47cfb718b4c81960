package main_test

import (
	"context"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// holdReads makes workers wait before they read a file, until open is called,
// and tells of each read that waits.
func (f *fleet) holdReads() (reached <-chan struct{}, open func()) {
	at, opened := make(chan struct{}), make(chan struct{})
	hold := func(r *http.Request) {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/uploads/") {
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

// TestPostgresAway: while Postgres is away for longer than a lease no lease can
// be renewed, and none is taken for lost when it is back.
func TestPostgresAway(t *testing.T) {
	t.Parallel()
	f := newMortalFleet(t)
	f.end(1)
	f.workers, f.gone = f.workers[:1], f.gone[:1]
	reached, open := f.holdReads()
	id := f.alone(reached)
	f.endPostgres(fleetLease * 3 / 2)
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
	reached, open := f.holdReads()
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
