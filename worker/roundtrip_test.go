package worker_test

import (
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"sluice/internal/job"
	"sluice/worker"
)

// Where S3 is far away its round trips are what a small job lasts: one for each
// part and one for each object of the result, and no other.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	const whole = "account_id,date,amount\nA,2024-01-01,10.00\n"
	for name, c := range map[string]struct {
		parts []string
		want  []string
	}{
		"one part":              {[]string{whole}, []string{"GET 1-0", "PUT aggregates.parquet"}},
		"two parts and rejects": {csv, []string{"GET 1-0", "GET 1-1", "PUT rejects.csv", "PUT aggregates.parquet"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var mu sync.Mutex
			var got []string
			on := func(_ http.ResponseWriter, r *http.Request) bool {
				mu.Lock()
				defer mu.Unlock()
				if !r.URL.Query().Has("list-type") { // the sweep's, which no job waits for
					got = append(got, r.Method+" "+path.Base(r.URL.Path))
				}
				return false
			}
			w.onS3.Store(&on)
			id := w.file(c.parts...)
			w.start()
			if j := w.ends(id); j.State != job.JobComplete {
				t.Fatalf("%s, %v", j.State, j.Error)
			}
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// Workers wait for S3 side by side, each for as many jobs as it may have at once.
func TestSideBySide(t *testing.T) {
	t.Parallel()
	const workers, atOnce = 2, 3
	w := newWorld(t)
	var waiting atomic.Int32
	all := make(chan struct{})
	on := func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/1-0") {
			return false
		}
		if waiting.Add(1) == workers*atOnce {
			close(all)
		}
		select {
		case <-all:
		case <-w.Context().Done():
		}
		return false
	}
	w.onS3.Store(&on)
	var ids []string
	for range workers * atOnce {
		ids = append(ids, w.file(csv...))
	}
	for range workers {
		w.start(func(c *worker.Config) { c.Concurrency = atOnce })
	}
	for _, id := range ids {
		if j := w.ends(id); j.State != job.JobComplete || j.Attempts != 1 {
			t.Errorf("%s after %d attempts, %v", j.State, j.Attempts, j.Error)
		}
	}
}
