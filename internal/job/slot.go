package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"sluice/internal/job/db"
	"sluice/internal/scope"
)

// fillAtOnce bounds the jobs that one transaction admits or holds back.
const fillAtOnce = 1000

// heldReason is why a held job waits.
const heldReason = "as many jobs of its tenant are under way as may be at once"

// A job has a slot of its tenant's from the insertion of its River job to its end,
// except while it waits to be tried again. Slots are counted, not kept: whatever
// dies, a job that is recovered has its slot still, and one that has ended has none.
// Of a tenant with a cap no more jobs have slots than it says, so no more run; the
// others are held, in no queue of River's, where they would be in the way of other
// tenants' jobs.

// unfinished tells whether the job waits for a worker or has one.
func (j *row) unfinished() bool {
	return State(j.State) == UploadComplete || State(j.State) == InProgress
}

// slotted tells whether the job has a slot.
func (j *row) slotted() bool { return j.unfinished() && !j.Held }

// queue has the job that enters UploadComplete announced to the workers after the
// delay. Where its tenant has a cap it is held instead, until balance finds it a slot:
// if it has just come to the queue, or lets others go ahead while it waits.
func (s *Store) queue(ctx context.Context, tx pgx.Tx, j *row, before row, delay time.Duration) error {
	queued := before.unfinished()
	if !queued {
		j.QueuedAt = j.Clock
	}
	if j.Capped && (!queued || delay > 0) {
		j.Held, j.RiverJobID = true, nil
		if j.WaitReason == "" {
			j.WaitReason = heldReason
		}
		return nil
	}
	priority, due := j.Priority, time.Time{}
	if queued && j.Attempts > 0 {
		priority = priorityBegun
	}
	if delay > 0 {
		due = j.Clock.Add(delay)
	}
	ids, err := s.enqueue(ctx, tx, []river.InsertManyParams{announcement(j.ID, j.Fence, j.Alone, priority, due)})
	if err != nil {
		return fmt.Errorf("enqueue job %s: %w", j.ID, err)
	}
	j.RiverJobID = &ids[0]
	return nil
}

// balance brings the slots that a tenant's jobs have to what may be taken: it admits
// held jobs in their order, or holds back queued ones, the last first; what runs goes
// on. It does so for fillAtOnce jobs at most, and tells for how many.
//
// All that take or leave a slot of one tenant come here, one after the other. An
// impatient caller does nothing where another is here.
func (s *Store) balance(ctx context.Context, tx pgx.Tx, tenant string, patient bool) (n int, err error) {
	q := db.New(tx)
	free, hasCap, err := freeSlots(ctx, q, tenant, patient)
	switch {
	case err != nil:
		return 0, fmt.Errorf("count free slots: %w", err)
	case free < 0:
		held, err := q.HoldJobs(ctx, db.HoldJobsParams{Tenant: tenant, MaxRows: int32(min(-free, fillAtOnce)), Reason: heldReason})
		if err != nil {
			return 0, fmt.Errorf("hold jobs back: %w", err)
		}
		return int(held), nil
	case free == 0:
		return 0, nil
	}
	// Without a cap nobody waits, but for the time of the next attempt: River does that.
	held, err := q.LockHeld(ctx, db.LockHeldParams{Tenant: tenant, Due: hasCap, MaxRows: int32(min(free, fillAtOnce))})
	if err != nil {
		return 0, fmt.Errorf("find held jobs: %w", err)
	}
	return len(held), s.admit(ctx, tx, held)
}

// freeSlots tells how many more jobs of a tenant may have slots, below 0 how many
// fewer, and keeps it so until the transaction ends. Without a cap it is a number
// that is never reached.
func freeSlots(ctx context.Context, q *db.Queries, tenant string, patient bool) (free int64, hasCap bool, err error) {
	lock := q.TryLockLimit
	if patient {
		lock = q.LockLimit
	}
	most, err := lock(ctx, tenant)
	if errors.Is(err, pgx.ErrNoRows) { // another has it, or there are no limits and never were
		return 0, false, nil
	}
	if err != nil || most == nil {
		return math.MaxInt32, false, err
	}
	taken, err := q.CountSlots(ctx, tenant)
	return int64(*most) - taken, true, err
}

// admit has held jobs announced.
func (s *Store) admit(ctx context.Context, tx pgx.Tx, held []db.LockHeldRow) error {
	if len(held) == 0 {
		return nil
	}
	jobs, ids := make([]river.InsertManyParams, len(held)), make([]string, len(held))
	for i, h := range held {
		ids[i], jobs[i] = h.ID, announcement(h.ID, h.Fence, h.Alone, h.Priority, deref(h.WaitUntil))
	}
	announced, err := s.enqueue(ctx, tx, jobs)
	if err != nil {
		return err
	}
	if _, err := db.New(tx).AdmitJobs(ctx, db.AdmitJobsParams{Ids: ids, RiverJobIds: announced}); err != nil {
		return fmt.Errorf("admit held jobs: %w", err)
	}
	return nil
}

// Level sees to it that of each tenant as many jobs have slots as may: it admits
// held ones whose wait is over, and mends what a change of limits or a process of an
// older version left. Workers may call it at once.
func (s *Store) Level(ctx context.Context) error {
	tenants, err := s.as(scope.System).ListUneven(ctx)
	if err != nil {
		return fmt.Errorf("list tenants whose slots are uneven: %w", err)
	}
	for _, tenant := range tenants {
		if err := s.level(ctx, tenant, false); err != nil {
			return err
		}
	}
	return nil
}

// level balances a tenant's slots, in as many transactions as it takes.
func (s *Store) level(ctx context.Context, tenant string, patient bool) error {
	for n := fillAtOnce; n == fillAtOnce; {
		err := s.InTx(ctx, scope.System, func(tx pgx.Tx) (err error) {
			n, err = s.balance(ctx, tx, tenant, patient)
			return err
		})
		if err != nil {
			return err
		}
		if n > 0 {
			s.log.InfoContext(ctx, "jobs admitted or held back by their tenant's cap", slog.Int("jobs", n))
		}
	}
	return nil
}
