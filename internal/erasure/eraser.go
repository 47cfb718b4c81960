package erasure

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/blob"
	"sluice/internal/erasure/db"
	"sluice/internal/job"
	"sluice/internal/renewal"
	"sluice/internal/scope"
	"sluice/internal/upload"
)

const (
	// lease is how long a worker may be silent before another goes on with its erasure. Two at once do no harm.
	lease = 15 * time.Second
	// pause is how long an erasure rests that waits for others to end.
	pause = 5 * time.Second
	// defaultGrace is EraserConfig.Grace's default.
	defaultGrace = 15 * time.Minute
)

// EraserConfig is what an Eraser needs. All but Grace and Logger are required.
type EraserConfig struct {
	Pool    *pgxpool.Pool // of a migrated database; stays the caller's to close
	Bucket  *blob.Bucket
	Jobs    *job.Store
	Uploads *upload.Store
	// Grace is how long an erasure lasts at least, so that requests to S3 that were under way have ended. It must be the
	// sweep's; 0 means 15 minutes.
	Grace  time.Duration
	Logger *slog.Logger // nil: none
}

// Eraser does what a Store begins. Any number of goroutines, and processes, may do so at once.
type Eraser struct {
	cfg EraserConfig
	log *slog.Logger
}

// NewEraser returns the eraser of cfg.
func NewEraser(cfg EraserConfig) (*Eraser, error) {
	if cfg.Pool == nil || cfg.Bucket == nil || cfg.Jobs == nil || cfg.Uploads == nil {
		return nil, errors.New("erasure: Pool, Bucket, Jobs and Uploads are required")
	}
	cfg.Grace = cmp.Or(cfg.Grace, defaultGrace)
	return &Eraser{cfg: cfg, log: cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))}, nil
}

// as returns what runs statements for the erasure of a tenant.
func (e *Eraser) as(tenant string) scope.DB { return scope.Over(e.cfg.Pool, scope.Eraser(tenant)) }

func (e *Eraser) q(tenant string) *db.Queries { return db.New(e.as(tenant)) }

// Round takes every erasure that is due as far as it can go now. It may be broken off at any time: what is done is found
// done by the next, in whichever process. One that fails does not stop the others.
func (e *Eraser) Round(ctx context.Context) error {
	var failed error
	for {
		tenant, err := db.New(scope.Over(e.cfg.Pool, scope.System)).ClaimErasure(ctx, lease)
		if errors.Is(err, pgx.ErrNoRows) {
			return failed
		}
		if err != nil {
			return errors.Join(failed, fmt.Errorf("claim erasure: %w", err))
		}
		if err := e.work(ctx, tenant); err != nil {
			failed = errors.Join(failed, fmt.Errorf("erase tenant %s: %w", tenant, err))
		}
	}
}

// work advances one erasure, and holds it meanwhile.
func (e *Eraser) work(ctx context.Context, tenant string) error {
	stop := renewal.Every(ctx, lease/3, func(ctx context.Context) bool {
		if err := e.q(tenant).Postpone(ctx, db.PostponeParams{Tenant: tenant, Pause: lease}); err != nil && ctx.Err() == nil {
			e.log.WarnContext(ctx, "erasure not held", slog.Any("err", err)) // another worker may go on with it, which does no harm
		}
		return true
	})
	defer stop()
	err := e.advance(ctx, tenant)
	stop()
	return errors.Join(err, e.q(tenant).Postpone(ctx, db.PostponeParams{Tenant: tenant, Pause: pause}))
}

// advance does what can be done, and finishes once nothing is left and nothing can come. Keys go last: who has one sees
// how far it is.
func (e *Eraser) advance(ctx context.Context, tenant string) error {
	found, closed, err := e.measure(ctx, tenant)
	if err != nil || !closed {
		return err
	}
	if err := e.deleteRows(ctx, tenant, first); err != nil {
		return err
	}
	if err := e.deleteJobs(ctx, tenant); err != nil {
		return err
	}
	settled, err := e.q(tenant).IsSettled(ctx, db.IsSettledParams{Tenant: tenant, Grace: e.cfg.Grace})
	if err != nil || !settled {
		return err
	}
	if err := e.cfg.Jobs.Unannounce(ctx); err != nil {
		return err
	}
	for _, prefix := range prefixes(tenant) {
		if err := e.cfg.Bucket.Empty(ctx, prefix); err != nil {
			return err
		}
	}
	if err := e.deleteRows(ctx, tenant, last); err != nil {
		return err
	}
	return e.finish(ctx, tenant, found)
}

// prefixes are where a tenant's objects are.
func prefixes(tenant string) []string {
	return []string{"uploads/" + tenant + "/", "results/" + tenant + "/"}
}

// deletion deletes up to a thousand rows of a tenant, and says how many.
type deletion func(q *db.Queries, ctx context.Context, tenant string) (int64, error)

// first are what makes work, and what else nobody needs meanwhile. last are uploads, whose objects the sweep has yet to
// look for, persons in the audit log, and what lets somebody in or keeps him out.
var (
	first = []deletion{
		(*db.Queries).DeleteWatches, (*db.Queries).DeleteDeliveries, (*db.Queries).DeleteWebhooks, (*db.Queries).DeleteTokens,
		(*db.Queries).DeleteLimits, (*db.Queries).DeleteIdempotencyKeys,
	}
	last = []deletion{
		(*db.Queries).DeleteConcats, (*db.Queries).DeleteUploads, (*db.Queries).DeleteDrops, (*db.Queries).DeleteUsage,
		(*db.Queries).ForgetPersons, (*db.Queries).DeleteEndedSessions, (*db.Queries).DeleteSessions, (*db.Queries).DeleteKeys,
	}
)

// deleteRows deletes until there are none, each time in a transaction of its own.
func (e *Eraser) deleteRows(ctx context.Context, tenant string, all []deletion) error {
	for _, remove := range all {
		if err := repeat(func() (int64, error) { return remove(e.q(tenant), ctx, tenant) }); err != nil {
			return fmt.Errorf("delete rows: %w", err)
		}
	}
	return nil
}

// deleteJobs ends what is open, and deletes the jobs, each as its user could, which stops what works on it. Their
// objects are swept from then on.
func (e *Eraser) deleteJobs(ctx context.Context, tenant string) error {
	err := repeat(func() (int64, error) {
		return e.q(tenant).EndUploads(ctx, db.EndUploadsParams{Tenant: tenant, Grace: e.cfg.Grace})
	})
	if err != nil {
		return fmt.Errorf("end uploads: %w", err)
	}
	return repeat(func() (int64, error) {
		ids, err := e.q(tenant).ListJobs(ctx, tenant)
		if err != nil {
			return 0, fmt.Errorf("list jobs: %w", err)
		}
		for _, id := range ids {
			if err := e.cfg.Uploads.Erase(ctx, tenant, id); err != nil && !errors.Is(err, job.ErrNotFound) {
				return 0, err
			}
		}
		return int64(len(ids)), nil
	})
}

// repeat calls do until it has done nothing.
func repeat(do func() (int64, error)) error {
	for {
		if n, err := do(); err != nil || n == 0 {
			return err
		}
	}
}
