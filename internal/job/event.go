package job

import (
	"context"
	"fmt"

	"sluice/internal/job/db"
	"sluice/internal/scope"
)

// Event is a job as it was at one of its versions.
type Event struct {
	Job
	// Step tells a change of state from one of progress alone.
	Step bool
}

// EventsAfter returns what became of j since its version after, in order: each
// change of state as it was, and j itself last where it has made progress since.
// It is empty when j is not newer than after. No event has a Result.
//
// j is a snapshot of Get. What happens after it is for the next snapshot, so
// that the versions of all events returned over time rise.
func (s *Store) EventsAfter(ctx context.Context, j Job, after int64) ([]Event, error) {
	if j.Version <= after {
		return nil, nil
	}
	j.Result = nil
	rows, err := s.as(scope.Tenant(j.Tenant)).ListSteps(ctx, db.ListStepsParams{JobID: j.ID, Tenant: j.Tenant, After: after, Until: j.Version})
	if err != nil {
		return nil, fmt.Errorf("list steps of job %s: %w", j.ID, err)
	}
	events := make([]Event, 0, len(rows)+1)
	for _, r := range rows {
		if r.Version < j.Version {
			events = append(events, Event{Job: j.at(r), Step: true})
		}
	}
	last := len(rows) > 0 && rows[len(rows)-1].Version == j.Version
	return append(events, Event{Job: j, Step: last}), nil
}

// at returns the job as it was at a step. Its source, once received, is what it
// was ever since.
func (j Job) at(r db.ListStepsRow) Job {
	j.Version, j.State, j.Stage, j.UpdatedAt = r.Version, State(r.State), Stage(deref(r.Stage)), r.At.UTC()
	j.ProcessedBytes, j.RowsAccepted, j.RowsRejected = r.ProcessedBytes, r.RowsAccepted, r.RowsRejected
	j.RejectsByReason = r.RejectsByReason
	j.Error, j.CanRetry, j.CompletedAt = nil, r.CanRetry, utc(nil)
	if r.ErrorCode != nil {
		j.Error = &Error{Code: *r.ErrorCode, Message: deref(r.ErrorMessage)}
	}
	if j.State.Terminal() {
		j.CompletedAt = j.UpdatedAt
	}
	return j
}
