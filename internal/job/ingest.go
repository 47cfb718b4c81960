package job

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
)

// River's priorities, of which the smallest is fetched first. A job that was
// begun before goes ahead of those that were not: it keeps its place.
const (
	priorityAgain = 1
	priorityFirst = 2
)

// IngestVersion is the version of IngestArgs that this build writes, and the
// newest that it can work.
const IngestVersion = 1

// IngestArgs announce a job to the workers: River's args of kind "ingest". They
// hold no state; the job's row does.
type IngestArgs struct {
	Version int    `json:"version"` // of this structure: 1
	JobID   string `json:"job_id"`
	Fence   int64  `json:"fence"` // the job's when it was enqueued; Claim asks for it
	// Alone says that a worker died of the job, or beside it: no other is to run in
	// the process meanwhile.
	Alone bool `json:"alone,omitempty"`
}

// Kind names the args in River's table. It never changes.
func (IngestArgs) Kind() string { return "ingest" }

// InsertOpts leaves one attempt to River: retries are ours, each with a River
// job and a fence of its own.
func (IngestArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: 1} }

// enqueue inserts the River job for the row as it will be saved, and returns its
// id.
func (s *Store) enqueue(ctx context.Context, tx pgx.Tx, j row, delay time.Duration) (*int64, error) {
	opts := river.InsertOpts{Priority: priorityFirst}
	if j.Attempts > 0 {
		opts.Priority = priorityAgain
	}
	if delay > 0 {
		opts.ScheduledAt = j.Clock.Add(delay)
	}
	args := IngestArgs{Version: IngestVersion, JobID: j.ID, Fence: j.Fence, Alone: j.Alone}
	res, err := s.river.InsertTx(ctx, tx, args, &opts)
	if err != nil {
		return nil, fmt.Errorf("insert river job for %s: %w", j.ID, err)
	}
	return &res.Job.ID, nil
}
