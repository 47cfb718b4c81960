package drop_test

import (
	"strings"
	"testing"

	"sluice/internal/drop"
	"sluice/internal/job"
)

func (w *world) limited(edit func(*job.Quotas)) {
	w.Helper()
	_, err := w.jobs.SetLimits(w.Context(), tenant, func(l *job.Limits) { edit(&l.Quotas) })
	w.must(err)
}

// What is over a limit of its tenant's is not taken, by event or listing, and is when it is not
// any more; the watch says why it waits.
func TestOverLimitWaits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limit job.Limit
		set   func(*job.Quotas, *int64)
		most  int64
	}{
		"bytes of a day": {job.LimitDayBytes, func(q *job.Quotas, n *int64) { q.MaxDayBytes = n }, 15},
		"jobs":           {job.LimitJobs, func(q *job.Quotas, n *int64) { q.MaxJobs = n }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			watch := w.watch()
			w.limited(func(q *job.Quotas) { c.set(q, &c.most) })
			w.put("in/a.csv", "1234567890")
			w.put("in/b.csv", "1234567890")
			w.hint("in/a.csv")
			err := w.store.Hint(t.Context(), []drop.Hint{{Bucket: w.bucket, Key: "in/b.csv"}})
			if refused, ok := job.AsLimit(err); !ok || refused.Limit != c.limit || refused.Max != c.most {
				t.Fatalf("the event of one more is answered with %v", err)
			}
			w.round()
			w.wantJobs(1)
			if said := w.text("SELECT list_error FROM watches WHERE id = $1", watch.ID); !strings.HasPrefix(said, "No more than ") {
				t.Errorf("the watch says %q", said)
			}
			w.limited(func(q *job.Quotas) { c.set(q, nil) })
			w.round()
			w.wantJobs(2)
			if said := w.text("SELECT list_error FROM watches WHERE id = $1", watch.ID); said != "" {
				t.Errorf("the watch says %q", said)
			}
		})
	}
}

// What is larger than a file of its tenant's may be has a job that says so, and keeps
// nothing behind it from being taken: by event, by listing, and in order.
func TestTooLargeIsAborted(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*drop.Draft){
		"at once":  func(*drop.Draft) {},
		"in order": func(d *drop.Draft) { d.InOrder = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.watch(edit)
			w.limited(func(q *job.Quotas) { q.MaxUploadBytes = new(int64(5)) })
			w.put("in/a.csv", "1234567890")
			w.put("in/b.csv", "12345")
			w.hint("in/a.csv")
			w.round()
			w.round()
			w.wantJobs(2)
			if said := w.text("SELECT error_message FROM jobs WHERE filename = 'a.csv' AND state = 'ABORTED'"); !strings.HasPrefix(said, "A file may have 5 bytes") {
				t.Errorf("the job says %q", said)
			}
			if n := w.count("jobs WHERE filename = 'b.csv' AND state = 'UPLOAD_COMPLETE'"); n != 1 {
				t.Error("the file behind it was not taken")
			}
		})
	}
}
