package drop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/internal/blob"
	"sluice/internal/drop/db"
	"sluice/internal/job"
	"sluice/internal/scope"
)

const (
	// listLease is how long a lister may be silent before another goes on for it. A
	// page may take longer: then two are at it, and what the first has taken the
	// second passes over.
	listLease = 15 * time.Second
	// pagesAtOnce is after how many pages of a thousand keys another watch that is
	// due has its turn.
	pagesAtOnce = 10
)

// Round lists the watches that are due, each until it is through or others have
// waited for ten pages, gives turns, and does what is to be done with objects whose
// job has ended. Any number of processes may be at it; it may be broken off
// anywhere, and the next one goes on where the last page was recorded.
func (s *Store) Round(ctx context.Context) error {
	err := errors.Join(s.advanceAll(ctx), s.actAll(ctx))
	for {
		row, claimed := s.as(scope.System).ClaimListing(ctx, listLease)
		if errors.Is(claimed, pgx.ErrNoRows) {
			return err
		}
		if claimed != nil {
			return errors.Join(err, fmt.Errorf("claim listing: %w", claimed))
		}
		if ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		err = errors.Join(err, s.list(ctx, row))
	}
}

// list goes through some pages of a watch that it has claimed. An error of the
// server's is the watch's: its operator is told, and it is tried again.
func (s *Store) list(ctx context.Context, row db.Watch) error {
	w := watchOf(row)
	more, err := s.pages(ctx, w, &row)
	refused, _ := job.AsLimit(err) // of its tenant: what is there waits
	switch {
	case errors.Is(err, errFenced):
		return nil // another goes on
	case refused != nil:
		return s.yield(ctx, row, s.cfg.Interval/2, refused.Error())
	case err != nil:
		s.log.WarnContext(ctx, "watch not listed", slog.String("watch_id", w.ID), slog.Any("err", err))
		// The text stays in the log: it may name what the tenant should not know.
		return s.yield(ctx, row, s.cfg.Interval/2, "the bucket cannot be read at the moment; the log has the details")
	case more:
		return s.yield(ctx, row, 0, "")
	}
	err = s.as(scope.System).EndListing(ctx, db.EndListingParams{ID: row.ID, ListFence: row.ListFence, Pause: s.cfg.Interval / 2})
	if err != nil {
		return fmt.Errorf("end listing of watch %s: %w", row.ID, err)
	}
	return nil
}

func (s *Store) yield(ctx context.Context, row db.Watch, pause time.Duration, reason string) error {
	err := s.as(scope.System).YieldListing(context.WithoutCancel(ctx), db.YieldListingParams{ID: row.ID, ListFence: row.ListFence, Pause: pause, ListError: reason})
	if err != nil {
		return fmt.Errorf("yield listing of watch %s: %w", row.ID, err)
	}
	return nil
}

// errFenced reports that another lister has the watch.
var errFenced = errors.New("listing taken over")

// pages takes what is new on the next pages, and records each that is done. more
// says that there are others.
func (s *Store) pages(ctx context.Context, w Watch, row *db.Watch) (more bool, err error) {
	bucket := s.cfg.Bucket.Other(w.Bucket)
	versioning, err := bucket.Versioning(ctx)
	if err != nil {
		return false, err
	}
	at := blob.Marker{Key: row.ListKey, VersionID: row.ListVersion}
	for range pagesAtOnce {
		page, next, more, err := bucket.Page(ctx, w.Prefix, at, versioning != blob.Unversioned)
		if err == nil {
			err = s.takePage(ctx, w, bucket, page)
		}
		if err != nil || !more {
			return false, err
		}
		if next == at || !storable(next.Key) { // a server that is at fault must not keep us here
			return false, fmt.Errorf("list %s/%s: the server does not say where to go on", w.Bucket, w.Prefix)
		}
		at = next
		n, err := s.as(scope.System).SaveListing(ctx, db.SaveListingParams{
			ID: row.ID, ListFence: row.ListFence, ListKey: at.Key, ListVersion: at.VersionID, Lease: listLease,
		})
		if err != nil {
			return false, fmt.Errorf("save listing of watch %s: %w", row.ID, err)
		}
		if n == 0 {
			return false, errFenced
		}
	}
	return true, nil
}

// identity tells versions of an object apart, as the ledger does.
type identity struct {
	key, version, etag string
	size               int64
}

func identityOf(o blob.Object) identity {
	if o.Overwritable() {
		return identity{key: o.Key, etag: o.ETag, size: o.SizeBytes}
	}
	return identity{key: o.Key, version: o.VersionID}
}

// takePage takes what is not in the ledger yet. A list has no metadata, and is old
// once it is read: each is looked at.
func (s *Store) takePage(ctx context.Context, w Watch, bucket *blob.Bucket, page []blob.Found) error {
	known, err := s.known(ctx, w, page)
	if err != nil {
		return err
	}
	for _, o := range page {
		if !w.wants(o.Key) || w.older(o) || known[identityOf(o.Object)] {
			continue
		}
		found, err := bucket.Look(ctx, o.Key, o.VersionID)
		if errors.Is(err, blob.ErrNotFound) {
			continue // deleted since
		}
		if errors.Is(err, blob.ErrDenied) { // to be seen, and no reason to withhold those behind it
			s.log.WarnContext(ctx, "object not readable", slog.String("watch_id", w.ID), slog.Any("err", err))
			continue
		}
		if err == nil {
			err = s.take(ctx, w, found)
		}
		if err != nil {
			return err
		}
	}
	if w.InOrder {
		return s.advance(ctx, w.ID)
	}
	return nil
}

func (s *Store) known(ctx context.Context, w Watch, page []blob.Found) (map[identity]bool, error) {
	var keys []string
	for _, o := range page {
		if w.wants(o.Key) {
			keys = append(keys, o.Key)
		}
	}
	rows, err := s.as(scope.System).KnownKeys(ctx, db.KnownKeysParams{Bucket: w.Bucket, Keys: keys})
	if err != nil {
		return nil, fmt.Errorf("read ledger: %w", err)
	}
	known := make(map[identity]bool, len(rows))
	for _, r := range rows {
		known[identityOf(blob.Object{Key: r.ObjectKey, VersionID: r.VersionID, ETag: r.Etag, SizeBytes: r.SizeBytes})] = true
	}
	return known, nil
}
