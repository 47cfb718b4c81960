package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/internal/job/db"
)

// change asks for one step of one job.
type change struct {
	id    string
	from  State         // the only state to come from; "": any that the table allows
	to    State         // where to
	held  *Lease        // the step is its holder's alone; nil: anybody's
	delay time.Duration // how long the River job waits, for a step to UploadComplete
	edit  func(*row)    // what else changes; nil: nothing
	// unqueued is a step to UploadComplete of which no worker is told: the same
	// transaction claims the job.
	unqueued bool
}

// row is a job as it is changed: locked, with the time of Postgres's clock.
type row db.LockJobRow

// step is the only way in which a job changes its state. Under a lock on the row
// it checks the table of steps and the lease, then saves the change, inserts the
// River job that is due, notifies, and at the job's end has its webhooks told, all
// in tx. A slot that it leaves is given to the next of its tenant's held jobs.
//
// It locks the job until tx ends, and of a tenant with a cap all steps that take or
// leave a slot. Call it last in a transaction that does much else, or the job's own
// heartbeat waits.
func (s *Store) step(ctx context.Context, tx pgx.Tx, c change) (row, error) {
	q := db.New(tx)
	locked, err := q.LockJob(ctx, c.id)
	j := row(locked)
	if err := c.check(j, err); err != nil {
		return row{}, fmt.Errorf("step job %s: %w", c.id, err)
	}
	before := j
	j.enter(c.to)
	if c.edit != nil {
		c.edit(&j)
	}
	if c.to == UploadComplete && !c.unqueued {
		if err := s.queue(ctx, tx, &j, before, c.delay); err != nil {
			return row{}, err
		}
	}
	if err := q.SaveJob(ctx, j.saved()); err != nil {
		return row{}, fmt.Errorf("save job %s: %w", c.id, err)
	}
	if j.Capped && (j.Held || before.slotted() && !j.slotted()) {
		if _, err := s.balance(ctx, tx, j.Tenant, true); err != nil {
			return row{}, err
		}
	}
	if c.to.Terminal() {
		if err := s.announce(ctx, tx, j); err != nil {
			return row{}, err
		}
	}
	onCommit(tx, func() {
		s.metrics.steps.WithLabelValues(j.State).Inc()
		s.log.InfoContext(ctx, "job steps",
			slog.String("job_id", j.ID), slog.String("from", before.State), slog.String("to", j.State), slog.Int64("fence", j.Fence))
	})
	return j, nil
}

// check decides whether the step may be done to the row that was found, or not
// found as err says.
func (c change) check(j row, err error) error {
	missing := errors.Is(err, pgx.ErrNoRows)
	switch {
	case err != nil && !missing:
		return err
	case c.held != nil && (missing || j.Fence != c.held.Fence):
		return ErrLostLease
	case c.to == InProgress && j.Held: // announced before its tenant's cap was lowered
		return ErrLostLease
	case missing:
		return ErrNotFound
	case c.from != "" && State(j.State) != c.from:
		return fmt.Errorf("%w: %s to %s", ErrStep, j.State, c.to)
	}
	return checkStep(State(j.State), c.to)
}

// enter makes the row what every job in that state is. It raises the fence, so
// whoever held or was to claim the job until now no longer can.
func (j *row) enter(to State) {
	j.State = string(to)
	j.Version++
	j.Fence++
	j.UpdatedAt = j.Clock
	j.Stage, j.LeaseExpiresAt, j.CompletedAt = nil, nil, nil
	j.ErrorCode, j.ErrorMessage, j.CanRetry = nil, nil, false
	j.Solitary, j.WaitReason, j.WaitUntil = false, "", nil
	j.Held = false
	if to == UploadComplete || to == InProgress {
		j.ProcessedBytes, j.RowsAccepted, j.RowsRejected = 0, 0, 0
		j.RejectsByReason = counted(nil)
	}
	if to.Terminal() {
		j.CompletedAt = &j.Clock
	}
}

// claim makes the row one that worker holds until the lease expires.
func (j *row) claim(worker string, expiry time.Duration) {
	stage, expires := string(Parsing), j.Clock.Add(expiry)
	j.Stage, j.LeaseExpiresAt = &stage, &expires
	j.StartedAt = &j.Clock
	j.Worker = worker
	j.Attempts++
}

// fail gives the reason why the job ended.
func (j *row) fail(e Error, canRetry bool) {
	j.ErrorCode, j.ErrorMessage, j.CanRetry = &e.Code, &e.Message, canRetry
}

// count takes over the figures of the attempt that ended the job.
func (j *row) count(r Result) {
	j.RowsAccepted, j.RowsRejected = r.TransactionsProcessed, r.RowsRejected
	j.RejectsByReason = counted(r.RejectsByReason)
}

// digest takes over the checksum of what was read, where none is known.
func (j *row) digest(r Result) {
	if bits := int64(r.SourceCRC64); r.SourceRead && j.Crc64 == nil {
		j.Crc64 = &bits
	}
}

func (j *row) saved() db.SaveJobParams {
	return db.SaveJobParams{
		ID:              j.ID,
		Tenant:          j.Tenant,
		State:           j.State,
		Stage:           j.Stage,
		Version:         j.Version,
		SizeBytes:       j.SizeBytes,
		Crc64:           j.Crc64,
		ReferenceDate:   j.ReferenceDate,
		Fence:           j.Fence,
		RiverJobID:      j.RiverJobID,
		LeaseExpiresAt:  j.LeaseExpiresAt,
		Worker:          j.Worker,
		Attempts:        j.Attempts,
		ProcessedBytes:  j.ProcessedBytes,
		RowsAccepted:    j.RowsAccepted,
		RowsRejected:    j.RowsRejected,
		RejectsByReason: j.RejectsByReason,
		Alone:           j.Alone,
		Solitary:        j.Solitary,
		Deaths:          j.Deaths,
		DeathFences:     j.DeathFences,
		WaitReason:      j.WaitReason,
		WaitUntil:       j.WaitUntil,
		Held:            j.Held,
		QueuedAt:        j.QueuedAt,
		ErrorCode:       j.ErrorCode,
		ErrorMessage:    j.ErrorMessage,
		CanRetry:        j.CanRetry,
		UpdatedAt:       j.UpdatedAt,
		StartedAt:       j.StartedAt,
		CompletedAt:     j.CompletedAt,
	}
}
