package job

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"sluice/internal/span"
)

// priorityBegun is River's priority of a job that was begun and is tried again: it
// goes ahead of those that were not, and so keeps its place. Jobs that wait for
// their first turn have their tenant's Priority.
const priorityBegun = 1

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

// announcement is the River job of a row as it will be saved. It is due at that
// time, at once for the zero Time.
func announcement(id string, fence int64, alone bool, priority int16, due time.Time) river.InsertManyParams {
	return river.InsertManyParams{
		Args:       IngestArgs{Version: IngestVersion, JobID: id, Fence: fence, Alone: alone},
		InsertOpts: &river.InsertOpts{Priority: int(priority), ScheduledAt: due},
	}
}

// enqueue inserts River jobs and returns their ids, in order.
func (s *Store) enqueue(ctx context.Context, tx pgx.Tx, jobs []river.InsertManyParams) (ids []int64, err error) {
	ctx, end := span.Begin(ctx, "enqueue")
	defer func() { end(err) }()
	inserted, err := s.river.InsertManyTx(ctx, tx, jobs)
	if err != nil {
		return nil, fmt.Errorf("insert river jobs: %w", err)
	}
	ids = make([]int64, len(inserted))
	for i, res := range inserted {
		ids[i] = res.Job.ID
	}
	return ids, nil
}
