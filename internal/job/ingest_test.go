package job_test

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestEachEnqueueIsAnnounced: River's inserting client leaves out a
// notification that follows another too soon, and the job would wait for a
// worker's next poll.
func TestEachEnqueueIsAnnounced(t *testing.T) {
	t.Parallel()
	f := setup(t)
	conn, err := f.pool.Acquire(t.Context())
	f.must(err)
	defer conn.Release()
	_, err = conn.Exec(t.Context(), `LISTEN "public.river_insert"`)
	f.must(err)
	const jobs = 5
	for range jobs {
		f.queued()
	}
	var heard int
	for ; heard < jobs; heard++ {
		// The notifications were sent with commits that have returned.
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		_, err := conn.Conn().WaitForNotification(ctx)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			break
		}
		f.must(err)
	}
	if heard != jobs {
		t.Errorf("%d jobs were announced %d times", jobs, heard)
	}
}
