package drop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"path"
	"strings"

	"github.com/jackc/pgx/v5"

	"sluice/internal/audit"
	"sluice/internal/blob"
	"sluice/internal/drop/db"
	"sluice/internal/job"
	"sluice/internal/scope"
)

// What an object may say of itself, in its user metadata.
const (
	metaCredit    = "credit-model-config"
	metaAggregate = "aggregate-config"
	metaParse     = "parse-config"
)

// take makes a job of an object as Look found it, unless this version of it has
// one, or the watch does not want it: one transaction, in which the ledger decides.
func (s *Store) take(ctx context.Context, w Watch, found blob.Found) error {
	if !w.wants(found.Key) || w.older(found) {
		return nil
	}
	id := "" // of its job
	err := s.within(func(begin beginTx) error {
		return s.cfg.Jobs.InTx(ctx, scope.Tenant(w.Tenant), func(tx pgx.Tx) (err error) {
			id, err = s.takeTx(ctx, tx, w, found, begin)
			return err
		})
	})
	if err == nil && id != "" {
		s.log.InfoContext(ctx, "object taken", slog.String("watch_id", w.ID), slog.String("job_id", id))
	}
	return err
}

// within does something that begins jobs. Where a file is larger than its tenant's may be, which no later time
// changes, it is done again with that file's job aborted.
func (s *Store) within(do func(beginTx) error) error {
	err := do(s.enqueue)
	if refused, ok := job.AsLimit(err); ok && refused.Limit == job.LimitUploadBytes {
		return do(s.refuse(refused))
	}
	return err
}

// beginTx is the first step of a job of that id and size.
type beginTx func(ctx context.Context, tx pgx.Tx, id string, sizeBytes int64) error

func (s *Store) enqueue(ctx context.Context, tx pgx.Tx, id string, sizeBytes int64) error {
	return s.cfg.Jobs.EnqueueUnreadTx(ctx, tx, id, sizeBytes)
}

// refuse is enqueue, but has the jobs of files that are too large say so.
func (s *Store) refuse(why *job.LimitError) beginTx {
	return func(ctx context.Context, tx pgx.Tx, id string, sizeBytes int64) error {
		if sizeBytes <= why.Max {
			return s.enqueue(ctx, tx, id, sizeBytes)
		}
		return s.cfg.Jobs.AbortTx(ctx, tx, id, why.Error())
	}
}

// older tells that the object was written before the watch begins to look. The
// server tells whole seconds.
func (w Watch) older(found blob.Found) bool {
	return found.ModifiedAt.Unix() < w.Since.Unix()
}

// takeTx returns the id of the job that it makes, "" where it makes none.
func (s *Store) takeTx(ctx context.Context, tx pgx.Tx, w Watch, found blob.Found, begin beginTx) (jobID string, err error) {
	q := db.New(tx)
	if _, err := q.HoldWatch(ctx, w.ID); errors.Is(err, pgx.ErrNoRows) {
		return "", nil // removed meanwhile
	} else if err != nil {
		return "", fmt.Errorf("hold watch %s: %w", w.ID, err)
	}
	id := job.NewID()
	n, err := q.InsertDrop(ctx, db.InsertDropParams{
		Tenant: w.Tenant, WatchID: w.ID, JobID: id, Bucket: w.Bucket,
		ObjectKey: found.Key, VersionID: found.VersionID, Etag: found.ETag, SizeBytes: found.SizeBytes, ModifiedAt: found.ModifiedAt,
		Waiting: w.InOrder, After: string(w.After), MoveTo: w.target(found.Key, id),
	})
	if err != nil {
		return "", fmt.Errorf("record object: %w", err)
	}
	if n == 0 {
		return "", nil
	}
	if err := s.cfg.Jobs.CreateTx(audit.As(ctx, audit.WatchActor+w.ID), tx, w.draft(id, found)); err != nil {
		return "", err
	}
	if w.InOrder {
		return id, nil // its turn comes
	}
	return id, begin(ctx, tx, id, found.SizeBytes)
}

// draft is the job of an object, with its own settings before the watch's.
func (w Watch) draft(id string, found blob.Found) job.Draft {
	own := func(name, otherwise string) string {
		text := found.Metadata[name]
		if plain, err := new(mime.WordDecoder).DecodeHeader(text); err == nil {
			text = plain // AWS gives back in RFC 2047 what is not ASCII
		}
		if text = strings.ToValidUTF8(text, "\uFFFD"); strings.TrimSpace(text) == "" {
			return otherwise
		}
		return text
	}
	return job.Draft{
		ID: id, Tenant: w.Tenant, Channel: Channel, Filename: path.Base(found.Key),
		CreditConfig:    own(metaCredit, w.CreditConfig),
		AggregateConfig: own(metaAggregate, w.AggregateConfig),
		ParseConfig:     own(metaParse, w.ParseConfig),
	}
}

// target is the key that an object is moved to. The job's id in it makes it one
// that nothing else has, so nothing is overwritten, and a move done twice is one.
func (w Watch) target(key, jobID string) string {
	if w.After != Move {
		return ""
	}
	return w.MoveTo + jobID + "/" + path.Base(key)
}

// Source is where the bytes of a job of this door are: one version of one object,
// of the bucket that is returned with it. Another job is job.ErrNotFound.
func (s *Store) Source(ctx context.Context, tenant, jobID string) (*blob.Bucket, blob.Object, error) {
	r, err := s.as(scope.Worker(tenant)).GetSource(ctx, db.GetSourceParams{JobID: jobID, Tenant: tenant})
	if errors.Is(err, pgx.ErrNoRows) {
		err = job.ErrNotFound
	}
	if err != nil {
		return nil, blob.Object{}, fmt.Errorf("find source of job %s: %w", jobID, err)
	}
	return s.cfg.Bucket.Other(r.Bucket), blob.Object{Key: r.ObjectKey, VersionID: r.VersionID, ETag: r.Etag, SizeBytes: r.SizeBytes}, nil
}
