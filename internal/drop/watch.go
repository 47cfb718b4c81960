package drop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sluice/internal/audit"
	"sluice/internal/blob"
	"sluice/internal/drop/db"
	"sluice/internal/job"
	"sluice/internal/scope"
)

// After is what becomes of an object when its job has ended.
type After string

// Keep leaves the object alone. Tag tags it with its job and how that ended, each
// time it ends. Move and Delete wait for JOB_COMPLETE: what failed stays where it
// is, for a retry.
const (
	Keep   After = "keep"
	Tag    After = "tag"
	Move   After = "move"
	Delete After = "delete"
)

// maxKeyBytes is S3's limit for a key.
const maxKeyBytes = 1024

// Draft is what a watch is made of.
type Draft struct {
	Tenant, Bucket string
	Prefix         string   // of keys; "": the whole bucket
	Suffixes       []string // of keys, as they are; none: every key
	// The configurations, JSON or "", of objects that bring none of their own. The
	// caller has checked them.
	CreditConfig, AggregateConfig, ParseConfig string
	After                                      After  // "" means Keep
	MoveTo                                     string // prefix of the same bucket that Move moves to
	// InOrder has one file processed after the other, of those that were found the
	// smallest name first.
	InOrder bool
	// Since leaves alone what was written before, by the S3 server's clock. The zero
	// time means from now on; All: nothing is left alone.
	Since time.Time
}

// All is the Draft.Since before which nothing was written.
var All = time.Unix(0, 0).UTC()

// ParseBackfill reads what of that is there already is to be taken, as people say
// it: "" for nothing, "all", a date, which begins at midnight UTC, or a time of RFC
// 3339. It returns a Draft.Since.
func ParseBackfill(text string) (time.Time, error) {
	switch text {
	case "":
		return time.Time{}, nil
	case "all":
		return All, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil && at.After(All) {
			return at.UTC(), nil
		}
	}
	return time.Time{}, errors.New(`must be "all", a date such as 2026-01-31, or a time such as 2026-01-31T08:00:00Z`)
}

// Watch is a prefix of a bucket whose objects become jobs of a tenant. It is a
// snapshot and owned by the caller.
type Watch struct {
	Draft // Since is All where nothing is left alone

	ID        string
	CreatedAt time.Time
	ListedAt  time.Time // when a listing last came to its end; zero until then
	ListError string    // why the listing does not go on; "" while it does
}

var (
	// ErrNotFound is returned for an id that does not exist or is another tenant's:
	// the two are not to be told apart.
	ErrNotFound = errors.New("watch not found")
	// ErrOverlap is returned for a watch that has a key in common with another, or
	// that one would move objects into.
	ErrOverlap = errors.New("watches overlap")
)

// DraftError says which field of a Draft is wrong, and why, in words for its user.
type DraftError struct{ Field, Detail string }

func (e *DraftError) Error() string { return e.Field + ": " + e.Detail }

// Add makes a watch. The bucket must be there, and must keep versions, or its
// server heed conditions, where objects are to be moved or deleted. That the
// tenant may read the bucket at all is the caller's to check: Sluice's own
// credentials read every bucket, and no tenant knows of another's.
func (s *Store) Add(ctx context.Context, d Draft) (Watch, error) {
	if d.After == "" {
		d.After = Keep
	}
	if err := s.check(d); err != nil {
		return Watch{}, err
	}
	now, err := s.probe(ctx, d)
	if err != nil {
		return Watch{}, err
	}
	if d.Since.IsZero() {
		d.Since = now
	}
	var row db.Watch
	err = pgx.BeginFunc(ctx, scope.Over(s.cfg.Pool, scope.System), func(tx pgx.Tx) error {
		if row, err = s.insert(ctx, db.New(tx), d); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Act{Tenant: row.Tenant, Action: audit.WatchCreate, Subject: row.ID})
	})
	if err != nil {
		return Watch{}, err
	}
	s.log.InfoContext(ctx, "watch added", slog.String("watch_id", row.ID), slog.String("bucket", row.Bucket))
	return watchOf(row), nil
}

func (s *Store) insert(ctx context.Context, q *db.Queries, d Draft) (db.Watch, error) {
	if err := q.LockWatches(ctx); err != nil {
		return db.Watch{}, fmt.Errorf("lock watches: %w", err)
	}
	entangled, err := q.Entangled(ctx, db.EntangledParams{Bucket: d.Bucket, Prefix: d.Prefix, MoveTo: d.MoveTo})
	if err != nil {
		return db.Watch{}, fmt.Errorf("compare watches: %w", err)
	}
	if entangled {
		return db.Watch{}, ErrOverlap
	}
	since := &d.Since
	if d.Since.Equal(All) {
		since = nil
	}
	row, err := q.InsertWatch(ctx, db.InsertWatchParams{
		ID: newID(), Tenant: d.Tenant, Bucket: d.Bucket, Prefix: d.Prefix, Suffixes: append([]string{}, d.Suffixes...),
		CreditModelConfig: d.CreditConfig, AggregateConfig: d.AggregateConfig, ParseConfig: d.ParseConfig,
		After: string(d.After), MoveTo: d.MoveTo, InOrder: d.InOrder, Since: since,
	})
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.ConstraintName == "watches_apart" {
		return db.Watch{}, ErrOverlap
	}
	if err != nil {
		return db.Watch{}, fmt.Errorf("insert watch: %w", err)
	}
	return row, nil
}

// check finds what is wrong with a draft without asking anybody.
func (s *Store) check(d Draft) error {
	for field, text := range map[string]string{"prefix": d.Prefix, "move_to": d.MoveTo, "suffixes": strings.Join(d.Suffixes, "")} {
		if len(text) > maxKeyBytes || !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 {
			return &DraftError{field, "must be UTF-8 text of at most 1024 bytes"}
		}
		if field != "suffixes" && !straight(text) {
			return &DraftError{field, "must not have . or .. between slashes"}
		}
	}
	switch {
	case d.Tenant == "":
		return &DraftError{"tenant", "is needed"}
	case d.Bucket == "" || strings.Contains(d.Bucket, "/"):
		return &DraftError{"bucket", "must be the name of a bucket"}
	case d.Bucket == s.cfg.Bucket.Name():
		return &DraftError{"bucket", "is Sluice's own; watch another one"}
	case d.After != Keep && d.After != Tag && d.After != Move && d.After != Delete:
		return &DraftError{"after", "must be keep, tag, move or delete"}
	case (d.After == Move) != (d.MoveTo != ""):
		return &DraftError{"move_to", "is needed to move, and for nothing else"}
	case d.After == Move && (strings.HasPrefix(d.MoveTo, d.Prefix) || strings.HasPrefix(d.Prefix, d.MoveTo)):
		return &DraftError{"move_to", "must be apart from the prefix, or what was moved would be found again"}
	}
	return nil
}

// probe asks the server for its time, and whether the watch can do its work.
func (s *Store) probe(ctx context.Context, d Draft) (time.Time, error) {
	bucket := s.cfg.Bucket.Other(d.Bucket)
	now, err := bucket.Clock(ctx, d.Prefix)
	switch {
	case errors.Is(err, blob.ErrNotFound):
		return now, &DraftError{"bucket", "is not there"}
	case errors.Is(err, blob.ErrDenied):
		return now, &DraftError{"bucket", "may not be listed with Sluice's credentials"}
	}
	if err != nil || d.After != Move && d.After != Delete {
		return now, err
	}
	versioning, err := bucket.Versioning(ctx)
	if err != nil || versioning == blob.Versioned {
		return now, err
	}
	guards, err := s.cfg.Bucket.Guards(ctx, "probes/")
	if err == nil && !guards {
		err = &DraftError{"after", "the bucket keeps no versions and its server deletes an object even if another was written " +
			"in its place meanwhile: turn versioning on, or choose keep or tag"}
	}
	return now, err
}

// List returns a tenant's watches, oldest first; of every tenant for "".
func (s *Store) List(ctx context.Context, tenant string) ([]Watch, error) {
	rows, err := s.as(scope.Of(tenant)).ListWatches(ctx, tenant)
	if err != nil {
		return nil, fmt.Errorf("list watches: %w", err)
	}
	watches := make([]Watch, len(rows))
	for i, r := range rows {
		watches[i] = watchOf(r)
	}
	return watches, nil
}

// Get returns a tenant's watch; anybody's for the tenant "".
func (s *Store) Get(ctx context.Context, tenant, id string) (Watch, error) {
	if !validID(id) {
		return Watch{}, ErrNotFound
	}
	row, err := s.as(scope.Of(tenant)).GetWatch(ctx, db.GetWatchParams{ID: id, Tenant: tenant})
	if errors.Is(err, pgx.ErrNoRows) {
		return Watch{}, ErrNotFound
	}
	if err != nil {
		return Watch{}, fmt.Errorf("get watch %s: %w", id, err)
	}
	return watchOf(row), nil
}

// Remove ends a tenant's watch; anybody's for the tenant "". What it has found
// goes on to its end, those that wait for their turn at once, and stays where it
// is: what was to be done afterwards is not done any more. The ledger stays.
func (s *Store) Remove(ctx context.Context, tenant, id string) error {
	w, err := s.Get(ctx, tenant, id)
	if err != nil {
		return err
	}
	return s.within(func(begin beginTx) error { return s.remove(ctx, w.Tenant, id, begin) })
}

func (s *Store) remove(ctx context.Context, tenant, id string, begin beginTx) error {
	return s.cfg.Jobs.InTx(ctx, scope.Tenant(tenant), func(tx pgx.Tx) error {
		q := db.New(tx)
		n, err := q.DeleteWatch(ctx, db.DeleteWatchParams{ID: id, Tenant: tenant})
		if err != nil {
			return fmt.Errorf("delete watch %s: %w", id, err)
		}
		if n == 0 {
			return ErrNotFound
		}
		if err := q.KeepRest(ctx, db.KeepRestParams{WatchID: id, Tenant: tenant}); err != nil {
			return fmt.Errorf("keep objects of watch %s: %w", id, err)
		}
		if err := audit.Record(ctx, tx, audit.Act{Tenant: tenant, Action: audit.WatchDelete, Subject: id}); err != nil {
			return err
		}
		for {
			if more, err := s.start(ctx, tx, tenant, id, begin); err != nil || !more {
				return err
			}
		}
	})
}

func watchOf(r db.Watch) Watch {
	w := Watch{
		ID: r.ID, CreatedAt: r.CreatedAt.UTC(), ListError: r.ListError,
		Draft: Draft{
			Tenant: r.Tenant, Bucket: r.Bucket, Prefix: r.Prefix, Suffixes: r.Suffixes,
			CreditConfig: r.CreditModelConfig, AggregateConfig: r.AggregateConfig, ParseConfig: r.ParseConfig,
			After: After(r.After), MoveTo: r.MoveTo, InOrder: r.InOrder, Since: All,
		},
	}
	if r.Since != nil {
		w.Since = r.Since.UTC()
	}
	if r.ListedAt != nil {
		w.ListedAt = r.ListedAt.UTC()
	}
	return w
}

// newID makes an id like a job's, with a prefix of its own.
func newID() string { return idPrefix + strings.TrimPrefix(job.NewID(), "job_") }

const idPrefix = "watch_"

func validID(id string) bool {
	rest, ok := strings.CutPrefix(id, idPrefix)
	return ok && job.ValidID("job_"+rest)
}
