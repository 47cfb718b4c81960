package job

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/internal/audit"
	"sluice/internal/job/db"
	"sluice/internal/scope"
)

// Priority says whose jobs go first. It is strict: while jobs of a higher priority
// are announced to the workers, others wait. A cap bounds how many these are.
type Priority int16

// The priorities of tenants, as River knows them: the smallest is fetched first.
const (
	High   Priority = 2
	Normal Priority = 3 // of who has no limits
	Low    Priority = 4
)

// Limits are what a tenant may have of what all share. A tenant without any has
// Normal priority and the zero values.
type Limits struct {
	Tenant   string
	Priority Priority
	// MaxRunning is how many of its jobs run at once, in all workers together. The
	// others are held, in their order; 0 holds all of them. Nil: no cap.
	MaxRunning *int32
	// Retention is how long its ended jobs are kept, with files and results: whole
	// seconds; 0 means for ever. Nil: as long as the workers are told to keep anybody's.
	Retention *time.Duration
	Quotas
}

// Load is what a tenant has in the queue.
type Load struct {
	Limits
	Running int64 // jobs that a worker has
	Queued  int64 // jobs that a worker may take
	Held    int64 // jobs that wait for others of their tenant
	// DayBytes were received today, UTC, and StoredBytes are held: counted while one of
	// the Quotas but MaxUploadBytes holds, else 0.
	DayBytes, StoredBytes int64
}

// SetLimits has edit change a tenant's limits, and returns them as they are then.
// They hold from its return: jobs that wait are reordered, admitted or held back;
// those that run go on, though they be more than may.
func (s *Store) SetLimits(ctx context.Context, tenant string, edit func(*Limits)) (l Limits, err error) {
	err = s.InTx(ctx, scope.System, func(tx pgx.Tx) error {
		if l, err = setLimits(ctx, db.New(tx), tenant, edit); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Act{Tenant: tenant, Action: audit.TenantSet, Subject: tenant, Detail: l.words()})
	})
	if err != nil {
		return Limits{}, fmt.Errorf("set limits of tenant %s: %w", tenant, err)
	}
	return l, s.level(ctx, tenant, true)
}

// words say what the limits are, for the audit log.
func (l Limits) words() string {
	words := []string{fmt.Sprintf("priority=%d", l.Priority)}
	if l.MaxRunning != nil {
		words = append(words, fmt.Sprintf("max_running=%d", *l.MaxRunning))
	}
	if l.Retention != nil {
		words = append(words, fmt.Sprintf("retention=%s", *l.Retention))
	}
	for _, q := range []struct {
		name Limit
		most *int64
	}{
		{LimitUploadBytes, l.MaxUploadBytes},
		{LimitOpenUploads, l.MaxOpenUploads},
		{LimitJobs, l.MaxJobs},
		{LimitDayBytes, l.MaxDayBytes},
		{LimitStoredBytes, l.MaxStoredBytes},
	} {
		if q.most != nil {
			words = append(words, fmt.Sprintf("max_%s=%d", q.name, *q.most))
		}
	}
	return strings.Join(words, " ")
}

func setLimits(ctx context.Context, q *db.Queries, tenant string, edit func(*Limits)) (Limits, error) {
	if err := q.AddLimit(ctx, tenant); err != nil {
		return Limits{}, err
	}
	row, err := q.LockLimits(ctx, tenant)
	if err != nil {
		return Limits{}, err
	}
	l := limitsOf(row)
	edit(&l)
	saved := db.SaveLimitsParams{
		Tenant: tenant, Priority: int16(l.Priority), MaxRunning: l.MaxRunning,
		MaxUploadBytes: l.MaxUploadBytes, MaxOpenUploads: l.MaxOpenUploads, MaxJobs: l.MaxJobs, MaxDayBytes: l.MaxDayBytes, MaxStoredBytes: l.MaxStoredBytes,
	}
	if l.Retention != nil {
		saved.RetentionSeconds = new(int64(l.Retention.Seconds()))
	}
	if err := q.SaveLimits(ctx, saved); err != nil {
		return Limits{}, err
	}
	if err := q.ForgetUsage(ctx); err != nil {
		return Limits{}, err
	}
	return l, q.Reprioritize(ctx, db.ReprioritizeParams{Tenant: tenant, Priority: int16(l.Priority), Begun: priorityBegun})
}

// Loads returns what each tenant has in the queue, and may have, by their names: of
// all that have limits, or jobs that have not ended.
func (s *Store) Loads(ctx context.Context) ([]Load, error) {
	rows, err := s.as(scope.System).ListLimits(ctx)
	if err != nil {
		return nil, fmt.Errorf("list limits: %w", err)
	}
	loads := make([]Load, len(rows))
	for i, r := range rows {
		loads[i] = Load{
			Limits: limitsOf(db.LockLimitsRow{
				Tenant: r.Tenant, Priority: r.Priority, MaxRunning: r.MaxRunning, RetentionSeconds: r.RetentionSeconds,
				MaxUploadBytes: r.MaxUploadBytes, MaxOpenUploads: r.MaxOpenUploads, MaxJobs: r.MaxJobs, MaxDayBytes: r.MaxDayBytes, MaxStoredBytes: r.MaxStoredBytes,
			}),
			Running: r.Running, Queued: r.Queued, Held: r.Held, DayBytes: r.DayBytes, StoredBytes: r.StoredBytes,
		}
	}
	return loads, nil
}

func limitsOf(r db.LockLimitsRow) Limits {
	l := Limits{
		Tenant: r.Tenant, Priority: Priority(r.Priority), MaxRunning: r.MaxRunning,
		Quotas: Quotas{r.MaxUploadBytes, r.MaxOpenUploads, r.MaxJobs, r.MaxDayBytes, r.MaxStoredBytes},
	}
	if r.RetentionSeconds != nil {
		l.Retention = new(time.Duration(*r.RetentionSeconds) * time.Second)
	}
	return l
}
