package worker_test

import (
	"strings"
	"testing"

	"sluice/internal/job"
	"sluice/worker"
)

// An import is held to what its tenant may send, and leaves nothing when it is refused,
// whether its file is kept or not.
func TestImportOverLimit(t *testing.T) {
	t.Parallel()
	file := strings.Join(csv, "")
	for name, keep := range map[string]bool{"kept": true, "not kept": false} {
		for limit, set := range map[job.Limit]func(*job.Quotas, *int64){
			job.LimitUploadBytes: func(q *job.Quotas, n *int64) { q.MaxUploadBytes = n },
			job.LimitDayBytes:    func(q *job.Quotas, n *int64) { q.MaxDayBytes = n },
		} {
			t.Run(name+", "+string(limit), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				var edit []func(*worker.Import)
				if keep {
					edit = append(edit, w.keeping())
				}
				limited := func(most *int64) {
					t.Helper()
					_, err := w.jobs.SetLimits(t.Context(), tenant, func(l *job.Limits) { set(&l.Quotas, most) })
					w.must(err)
				}
				limited(new(int64(10)))
				_, err := w.imports(t.Context(), strings.NewReader(file), edit...)
				if err == nil || !strings.Contains(err.Error(), "10 bytes") {
					t.Fatalf("%v, want the limit", err)
				}
				for o := range w.bucket.List(t.Context(), "") {
					t.Errorf("%s is left", o.Key)
				}
				if n := w.count("jobs") + w.count("uploads WHERE state <> 'gone'"); n != 0 {
					t.Errorf("%d jobs and uploads are left", n)
				}
				limited(new(int64(len(file))))
				j, err := w.imports(t.Context(), strings.NewReader(file), edit...)
				w.must(err)
				if j.State != job.JobComplete {
					t.Errorf("ended as %v", j.State)
				}
			})
		}
	}
}
