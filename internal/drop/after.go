package drop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/internal/blob"
	"sluice/internal/drop/db"
	"sluice/internal/job"
	"sluice/internal/scope"
)

const (
	// actLease is when an action that was begun is tried again, unless it is done.
	actLease = 2 * time.Minute
	// actAtOnce bounds what one round does.
	actAtOnce = 1000
)

// Tags that Tag sets.
const (
	TagJob   = "sluice-job"
	TagState = "sluice-state"
)

// What became of an object, in the ledger.
const (
	outcomeTagged  = "tagged "
	outcomeMoved   = "moved"
	outcomeDeleted = "deleted"
	outcomeGone    = "gone: it was deleted or replaced before"
	outcomeKept    = "kept: its job was deleted before"
	outcomeLarge   = "kept: S3 copies no object above 5 GiB"
)

// actAll does what is due, up to a bound. What fails is due again later.
func (s *Store) actAll(ctx context.Context) error {
	for range actAtOnce {
		if more, err := s.act(ctx, ""); err != nil || !more {
			return err
		}
	}
	return nil
}

// act does what is due longest; of a job alone where one is named. Each step can be
// done again: a step that was done and not recorded finds it done.
func (s *Store) act(ctx context.Context, jobID string) (more bool, err error) {
	due, err := s.as(scope.System).ClaimAction(ctx, db.ClaimActionParams{JobID: jobID, Lease: actLease})
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("claim action: %w", err)
	}
	d := due.Drop
	r := db.RecordActionParams{ID: d.ID}
	if r.Outcome, err = s.dispose(ctx, d, job.State(due.State)); err != nil {
		s.log.WarnContext(ctx, "object not disposed of", slog.String("job_id", d.JobID), slog.Any("err", err))
		return true, nil // due again after the lease; the others need not wait for it
	}
	r.Gone = r.Outcome == outcomeMoved || r.Outcome == outcomeDeleted || r.Outcome == outcomeGone
	// A job that failed may be retried, and its tag then says how that ended.
	r.Done = job.State(due.State) == job.JobComplete || !strings.HasPrefix(r.Outcome, outcomeTagged)
	if err := s.as(scope.System).RecordAction(ctx, r); err != nil {
		return false, fmt.Errorf("record action: %w", err)
	}
	s.log.InfoContext(ctx, "object disposed of", slog.String("job_id", d.JobID), slog.String("outcome", r.Outcome))
	return true, nil
}

// dispose does to an object what its watch says, if it is still the version whose
// job has ended, and returns what became of it.
func (s *Store) dispose(ctx context.Context, d db.Drop, state job.State) (outcome string, err error) {
	if state == "" {
		return outcomeKept, nil
	}
	bucket := s.cfg.Bucket.Other(d.Bucket)
	found, err := bucket.Look(ctx, d.ObjectKey, d.VersionID)
	if err != nil && !errors.Is(err, blob.ErrNotFound) {
		return "", err
	}
	present := err == nil && same(d, found)
	switch {
	case !present && After(d.After) == Move:
		return s.moved(ctx, bucket, d)
	case !present:
		return outcomeGone, nil
	case After(d.After) == Tag:
		outcome = outcomeTagged + string(state)
		err = bucket.Tag(ctx, found.Object, map[string]string{TagJob: d.JobID, TagState: string(state)})
	case After(d.After) == Move:
		outcome, err = outcomeMoved, bucket.CopyTo(ctx, found.Object, d.MoveTo)
		if err == nil {
			err = bucket.Expunge(ctx, found.Object)
		}
	case After(d.After) == Delete:
		outcome, err = outcomeDeleted, bucket.Expunge(ctx, found.Object)
	}
	switch {
	case errors.Is(err, blob.ErrTooLarge):
		return outcomeLarge, nil
	case errors.Is(err, blob.ErrChanged), errors.Is(err, blob.ErrNotFound):
		return outcomeGone, nil
	}
	return outcome, err
}

// same tells whether the object is the version of the ledger. Without a version id,
// one that was written later in its place is not it, though it have the same bytes;
// with one its time says nothing: some servers date a version anew when another is
// deleted.
func same(d db.Drop, found blob.Found) bool {
	return found.ETag == d.Etag && found.SizeBytes == d.SizeBytes &&
		(!found.Overwritable() || found.ModifiedAt.Equal(d.ModifiedAt))
}

// moved tells whether an earlier try moved what is not there any more.
func (s *Store) moved(ctx context.Context, bucket *blob.Bucket, d db.Drop) (string, error) {
	_, err := bucket.Look(ctx, d.MoveTo, "")
	if errors.Is(err, blob.ErrNotFound) {
		return outcomeGone, nil
	}
	return outcomeMoved, err
}
