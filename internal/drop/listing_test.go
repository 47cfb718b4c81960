package drop_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"sluice/internal/drop"
)

func newBody(text string) io.ReadSeeker { return strings.NewReader(text) }

// What is there already is taken from a date on, or all, or not at all.
func TestBackfill(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("a/1", "x")
	w.put("b/1", "x")
	w.put("c/1", "x")
	from, err := drop.ParseBackfill("2020-02-29")
	w.must(err)
	w.watch(func(d *drop.Draft) { d.Prefix, d.Since = "a/", drop.All })
	w.watch(func(d *drop.Draft) { d.Prefix, d.Since = "b/", from })
	w.watch(func(d *drop.Draft) { d.Prefix = "c/" })
	w.exec("UPDATE watches SET since = since + interval '10 seconds' WHERE prefix = 'c/'") // the server tells whole seconds
	w.round()
	if got := w.text("SELECT string_agg(object_key, ' ' ORDER BY id) FROM drops"); got != "a/1 b/1" && got != "b/1 a/1" {
		t.Errorf("taken: %s", got)
	}
	listed, err := w.store.List(t.Context(), tenant)
	w.must(err)
	for _, watch := range listed {
		if watch.ListedAt.IsZero() || watch.ListError != "" {
			t.Errorf("the watch is %+v", watch)
		}
	}
}

// A listing that is broken off goes on behind the last page that was recorded, and
// its operator is told meanwhile.
func TestListingGoesOn(t *testing.T) {
	t.Parallel()
	for _, versioned := range []bool{true, false} {
		t.Run(fmt.Sprint("versioned ", versioned), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if versioned {
				w.versions()
			}
			const objects = 1100 // more than a page
			var wg sync.WaitGroup
			for i := range objects {
				if wg.Go(func() { w.put(fmt.Sprintf("in/%04d", i), "x") }); i%16 == 0 {
					wg.Wait()
				}
			}
			wg.Wait()
			w.watch(func(d *drop.Draft) { d.Since = drop.All })
			var begun, again atomic.Int32
			on := func(rw http.ResponseWriter, r *http.Request, _ http.Handler) bool {
				if !r.URL.Query().Has("prefix") {
					return false
				}
				if !r.URL.Query().Has("start-after") && !r.URL.Query().Has("key-marker") {
					begun.Add(1)
					return false
				}
				if again.Add(1) > 1 {
					return false
				}
				rw.WriteHeader(http.StatusForbidden)
				return true
			}
			w.onS3.Store(&on)
			w.round()
			w.wantJobs(1000)
			if got := w.text("SELECT list_error FROM watches"); got == "" {
				t.Error("nobody is told that the bucket cannot be listed")
			}
			w.round()
			w.wantJobs(objects)
			if begun.Load() != 1 {
				t.Errorf("the listing began %d times", begun.Load())
			}
			if got := w.text("SELECT list_key || list_error FROM watches WHERE listed_at IS NOT NULL"); got != "" {
				t.Errorf("the listing ended at %q", got)
			}
		})
	}
}

// Any number of processes list and are told of the same objects at once.
func TestListersAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch()
	const objects = 40
	for i := range objects {
		w.put(fmt.Sprintf("in/%d", i), "x")
	}
	var wg sync.WaitGroup
	for range 4 {
		store := w.open(w.own)
		wg.Go(func() {
			for i := range objects {
				if err := store.Hint(t.Context(), []drop.Hint{{Bucket: w.bucket, Key: fmt.Sprintf("in/%d", i)}}); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			w.exec("UPDATE watches SET list_at = now(), list_until = NULL")
			if err := store.Round(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	w.wantJobs(objects)
}

// An object that may not be read withholds nothing that lies behind it.
func TestUnreadableObject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch()
	w.put("in/a", "x")
	w.put("in/b", "x")
	on := func(rw http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		denied := r.Method == http.MethodHead && strings.HasSuffix(r.URL.Path, "/in/a")
		if denied {
			rw.WriteHeader(http.StatusForbidden)
		}
		return denied
	}
	w.onS3.Store(&on)
	w.round()
	w.wantJobs(1)
	w.onS3.Store(nil)
	w.round()
	w.wantJobs(2)
}

// Of a watch in order one job is queued at a time, the smallest name first, also
// when events tell of another first; removing it starts what waits.
func TestOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	watch := w.watch(func(d *drop.Draft) { d.InOrder = true })
	queued := func() string {
		return w.text("SELECT coalesce(string_agg(filename, ' ' ORDER BY id), '') FROM jobs WHERE state = 'UPLOAD_COMPLETE'")
	}
	w.put("in/2", "x")
	w.put("in/1", "x")
	w.put("in/3", "x")
	w.hint("in/2")
	w.wantJobs(0) // a list tells which name is the smallest
	if n := w.count("river_job WHERE kind = 'watch'"); n != 1 {
		t.Errorf("%d rounds are announced", n)
	}
	w.must(w.store.Round(t.Context()))
	w.wantJobs(3)
	for _, want := range []string{"1", "2"} {
		if got := queued(); got != want {
			t.Fatalf("queued: %q, want %q", got, want)
		}
		id := w.text("SELECT id FROM jobs WHERE state = 'UPLOAD_COMPLETE'")
		w.must(w.store.Ended(t.Context(), id)) // it has not
		if got := queued(); got != want {
			t.Fatalf("queued: %q, want %q", got, want)
		}
		w.ends("FAILED")
		w.must(w.store.Ended(t.Context(), id))
	}
	w.put("in/5", "x")
	w.put("in/6", "x")
	w.put("in/4", "x")
	w.round()
	w.exec("UPDATE jobs SET state = 'ABORTED', completed_at = now(), error_code = 'aborted', error_message = 'x' WHERE filename = '4'") // cancelled while it waited
	w.ends("JOB_COMPLETE")
	w.must(w.store.Round(t.Context())) // its worker died before it said so
	if got := queued(); got != "5" {
		t.Fatalf("queued: %q, want 5", got)
	}
	w.must(w.store.Remove(t.Context(), tenant, watch.ID))
	if got := queued(); got != "5 6" && got != "6 5" {
		t.Errorf("queued after the watch was removed: %q", got)
	}
}
